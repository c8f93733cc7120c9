//! Candidates for a filter: fields, then what each is compared with.

use khan_api::{Kind, Protocol};

use super::values::{listed, named, ports, words};
use super::{Around, Candidate, Candidates, Names};
use crate::model::State;
use crate::model::filter::{Flag, Subject};

/// The fields with the sign that follows, and what they compare.
const FIELDS: [(&str, &str); 21] = [
    ("src:", "client: NAMESPACE/APP, address, part of a name; src~ takes a regular expression"),
    ("dst:", "what is dialled or answers"),
    ("any:", "either end"),
    ("ns:", "namespace of either end"),
    ("app:", "app, workload or name of either end"),
    ("pod:", "pod at either end, by the beginning of its name"),
    ("svc:", "service"),
    ("workload:", "workload of a pod at either end"),
    ("ip:", "address or CIDR of either end"),
    ("type:", "pod, service, node, external, ..."),
    ("node:", "node of the table, or of either end"),
    ("port:", "port dialled or answering, or LOW-HIGH"),
    ("proto:", "tcp, udp, sctp"),
    ("state:", "a state, or open, opening, closed"),
    ("is:", "new, rising, unknown, stale, previous"),
    ("conns>", "connections of the row; also >= < <= = !="),
    ("delta>", "change over the window"),
    ("rate>", "change per minute"),
    ("est<", "established share in percent"),
    ("idle>", "idle connections"),
    ("halfclosed>", "half-closed connections"),
];

/// What may take the place of the last word of a filter.
pub(super) fn candidates(head: &str, around: &Around<'_>, names: &mut Names) -> Candidates {
    let start = word_start(head);
    let word = &head[start..];
    let Some(end) = word.find(|c: char| !c.is_ascii_alphabetic()) else {
        let fields = FIELDS.iter().map(|(field, meaning)| Candidate::new(*field, *meaning));
        let mut found = Candidates::fitting(start, word, fields);
        // A name alone is looked for at either end.
        if !word.is_empty() {
            found.list.extend(named(word, Subject::Any, around, names).list);
        }
        return found;
    };
    let (field, value) = (word[..end].to_ascii_lowercase(), &word[end..]);
    let Some(value) = value.strip_prefix([':', '=']) else {
        return if field.is_empty() || value.starts_with(['/', '-', '.']) {
            named(word, Subject::Any, around, names).shifted(start)
        } else {
            Candidates::default()
        };
    };
    let mut of = |subject| named(value, subject, around, names);
    let found = match &*field {
        "src" | "source" => of(Subject::Src),
        "dst" | "dest" | "destination" => of(Subject::Dst),
        "any" | "either" => of(Subject::Any),
        "ns" | "namespace" => of(Subject::Namespace),
        "app" => of(Subject::App),
        "pod" => of(Subject::Pod),
        "svc" | "service" => of(Subject::Service),
        "workload" => of(Subject::Workload),
        "ip" => of(Subject::Address),
        "node" => of(Subject::Node),
        "port" => ports(value, around, names),
        "type" => listed(value, words(Kind::ALL.map(Kind::as_str))),
        "proto" | "protocol" => listed(value, words(Protocol::ALL.map(Protocol::as_str))),
        "state" => {
            let states = State::all_known().map(|state| Candidate::new(state.as_str().to_ascii_lowercase(), ""));
            listed(value, words(["open", "opening", "closed"]).chain(states))
        }
        "is" | "flag" => listed(value, words(Flag::ALL.map(Flag::word))),
        _ => Candidates::default(),
    };
    found.shifted(head.len() - value.len())
}

/// Where the last word begins, without a minus before it.
fn word_start(head: &str) -> usize {
    let (mut start, mut quoted) = (0, false);
    for (at, c) in head.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '-' | '!' if at == start => start = at + 1,
            // The brackets of a regular expression are part of it.
            '(' | ')' if !quoted && !head[start..at].contains('~') => start = at + 1,
            c if c.is_whitespace() && !quoted => start = at + c.len_utf8(),
            _ => {}
        }
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::filter::FIELD_NAMES;
    use crate::model::fixture::{Agent, view};

    fn texts(head: &str) -> (usize, Vec<String>) {
        let agent = Agent::new("n1", 0)
            .row("shop/cart@n1", "svc:data/redis", 6379, 30)
            .row("shop/web@n1", "svc:data/redis", 6379, 5)
            .row("10.40.7.19", "pay/ledger@n1", 8443, 7);
        let view = view(&[agent]);
        let found = candidates(head, &Around::edges(&view, &[], &[]), &mut Names::default());
        (found.start, found.list.into_iter().map(|one| one.text).collect())
    }

    #[test]
    fn every_field_is_offered() {
        let all: Vec<_> = FIELDS.iter().map(|(field, _)| field.trim_end_matches([':', '<', '>'])).collect();
        assert_eq!(all, FIELD_NAMES);
        assert_eq!(texts("").1.len(), FIELDS.len());
        assert_eq!(texts("port:80 -(st"), (10, vec!["state:".into(), "dst:".into(), "est<".into()]));
    }

    #[test]
    fn values_are_those_that_there_are() {
        assert_eq!(texts("src:s"), (4, vec!["shop/cart".into(), "shop/web".into()]));
        assert_eq!(texts("dst:x or -dst:pay/ledger,r"), (25, vec!["data/redis".into()]));
        assert_eq!(texts("src:shop/cart,shop"), (14, vec!["shop/web".into()]));
        assert_eq!(texts("shop/"), (0, vec!["shop/cart".into(), "shop/web".into()]));
        assert_eq!(texts("port:"), (5, vec!["6379".into(), "8443".into()]));
        assert_eq!(texts("(is:n"), (4, vec!["new".into(), "rising".into(), "unknown".into()]));
        assert_eq!(texts("state:est"), (6, vec!["established".into()]));
        assert_eq!(texts("node:"), (5, vec!["n1".into()]));
        for nothing in ["src~s", "src~(s", "conns>5", "any:\"two w", "zzz"] {
            assert_eq!(texts(nothing).1, [""; 0], "{nothing}");
        }
    }
}
