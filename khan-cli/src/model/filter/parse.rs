//! Words to terms.

use std::str::FromStr;

use khan_api::{Lifecycle, Protocol, TcpState};

use super::lex::{self, Word};
use super::{Compare, Filter, FilterError, Flag, GroupTerm, Measure, Not, RowTerm, StateTerm};
use crate::model::group_by::RowKey;
use crate::model::selector::{Glob, Selector};
use crate::model::state::State;

const FIELDS: &str = "src, dst, any, ns, app, pod, svc, workload, ip, type, node, port, proto, state, is, conns, delta, \
                      rate, est, idle, halfclosed";

pub(super) fn parse(text: &str) -> Result<Filter, FilterError> {
    let mut filter = Filter::default();
    for word in lex::words(text)? {
        let negated = word.negated;
        match term(&word)? {
            Term::Row(term) => filter.rows.push(Not { negated, term }),
            Term::Group(term) => filter.groups.push(Not { negated, term }),
        }
    }
    Ok(filter)
}

enum Term {
    Row(RowTerm),
    Group(GroupTerm),
}

fn term(word: &Word) -> Result<Term, FilterError> {
    let Some(field) = word.field.as_deref().map(str::to_ascii_lowercase) else {
        if let Some(instead) = foreign(word) {
            return Err(error(word, instead.to_owned()));
        }
        return Ok(Term::Row(RowTerm::Any(selectors(word, "")?)));
    };
    if let Some((measure, _)) = Measure::NAMES.iter().find(|(_, name)| *name == field) {
        return number(word, *measure).map(Term::Group);
    }
    if field == "port" {
        return ports(word).map(Term::Row);
    }
    let known = matches!(
        &*field,
        "src"
            | "source"
            | "dst"
            | "dest"
            | "destination"
            | "any"
            | "either"
            | "ns"
            | "namespace"
            | "app"
            | "pod"
            | "svc"
            | "service"
            | "workload"
            | "ip"
            | "type"
            | "node"
            | "proto"
            | "protocol"
            | "state"
            | "is"
            | "flag"
            | "row"
    );
    if !known {
        return Err(error(word, format!("there is no field {field:?} (fields: {FIELDS})")));
    }
    if !matches!(&*word.operator, ":" | "=") {
        return Err(error(word, format!("{field} is compared with ':' and not with {:?}", word.operator)));
    }
    Ok(Term::Row(match &*field {
        "src" | "source" => RowTerm::Src(selectors(word, "")?),
        "dst" | "dest" | "destination" => RowTerm::Dst(selectors(word, "")?),
        "any" | "either" => RowTerm::Any(selectors(word, "")?),
        "node" => RowTerm::Node(each(word, |text| Ok(Glob::from(text)))?),
        "proto" | "protocol" => RowTerm::Protocol(each(word, protocol)?),
        "state" => RowTerm::State(each(word, state)?),
        "is" | "flag" => return flag(word),
        "row" => return member(word).map(Term::Row),
        typed => RowTerm::Any(selectors(word, &format!("{typed}/"))?),
    }))
}

/// What to write instead of a word that other languages join terms with. In quotes it is a text like any other.
fn foreign(word: &Word) -> Option<&'static str> {
    let [(text, _, width)] = &word.values[..] else { return None };
    if text.chars().count() != *width {
        return None;
    }
    match &*text.to_ascii_lowercase() {
        "or" | "|" | "||" => Some("there is no \"or\" between terms: commas mean it within one, as in src:a,b"),
        "and" | "&" | "&&" => Some("terms are joined by \"and\" as they stand: leave this word out"),
        "not" => Some("\"not\" is written as - before a term, as in -src:a"),
        text if text.starts_with('(') || text.ends_with(')') => Some("there are no brackets around terms"),
        _ => None,
    }
}

fn error(word: &Word, message: String) -> FilterError {
    FilterError { message, column: word.column, width: word.width.max(1) }
}

/// Every alternative through `read`, whose error gets the alternative's place.
fn each<T>(word: &Word, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, FilterError> {
    let one = |(text, column, width): &(String, usize, usize)| {
        let wrong = |message| FilterError { message, column: *column, width: (*width).max(1) };
        if text.is_empty() { Err(wrong("a value is missing".to_owned())) } else { read(text).map_err(wrong) }
    };
    word.values.iter().map(one).collect()
}

fn selectors(word: &Word, prefix: &str) -> Result<Vec<Selector>, FilterError> {
    each(word, |text| Selector::from_str(&format!("{prefix}{text}")).map_err(|error| error.to_string()))
}

fn protocol(text: &str) -> Result<Protocol, String> {
    let found = Protocol::ALL.into_iter().find(|protocol| protocol.as_str().eq_ignore_ascii_case(text));
    found.ok_or_else(|| format!("{text:?} is not one of tcp, udp, sctp"))
}

fn state(text: &str) -> Result<StateTerm, String> {
    let name = text.replace('-', "_").to_ascii_lowercase();
    Ok(match &*name {
        "open" => StateTerm::Part(Lifecycle::Open),
        "opening" => StateTerm::Part(Lifecycle::Opening),
        "closed" => StateTerm::Part(Lifecycle::Closed),
        "est" => StateTerm::One(State::Tcp(TcpState::Established)),
        _ => StateTerm::One(State::from_name(&name).ok_or_else(|| {
            let names: Vec<_> = State::all_known().map(|state| state.as_str().to_ascii_lowercase()).collect();
            format!("{text:?} is no state (states: {}, open, opening, closed)", names.join(", "))
        })?),
    })
}

fn flag(word: &Word) -> Result<Term, FilterError> {
    let mut flags = each(word, |text| {
        let found = Flag::ALL
            .into_iter()
            .find(|flag| flag.word().eq_ignore_ascii_case(text) || flag.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| format!("{text:?} is not one of rising, new, unknown, stale, ghost"))
    })?;
    match (flags.pop(), flags.is_empty()) {
        (Some(Flag::Ghost), true) => Ok(Term::Row(RowTerm::Ghost)),
        (Some(flag), true) => Ok(Term::Group(GroupTerm::Is(flag))),
        _ => Err(error(word, "is: takes one word; write it once for each".to_owned())),
    }
}

fn member(word: &Word) -> Result<RowTerm, FilterError> {
    let read = |text: &str| {
        let (key, by) = text.split_once('@')?;
        Some((by.replace('+', ",").parse().ok()?, RowKey(u128::from_str_radix(key, 16).ok()?)))
    };
    match each(word, |text| read(text).ok_or_else(|| format!("{text:?} names no row")))?[..] {
        [(by, key)] => Ok(RowTerm::Member(by, key)),
        _ => Err(error(word, "row: takes one row".to_owned())),
    }
}

fn ports(word: &Word) -> Result<RowTerm, FilterError> {
    let compare = Compare::SIGNS.iter().find(|(_, sign)| *sign == word.operator).map(|(compare, _)| *compare);
    let port = |text: &str| text.parse::<u16>().map_err(|_| format!("{text:?} is not a port between 0 and 65535"));
    let range = |text: &str| {
        let (low, high) = match (compare, text.split_once('-')) {
            (None | Some(Compare::Equal), Some((low, high))) => (port(low)?, port(high)?),
            (None | Some(Compare::Equal), None) => (port(text)?, port(text)?),
            (Some(Compare::More), _) => (port(text)?.saturating_add(1), u16::MAX),
            (Some(Compare::AtLeast), _) => (port(text)?, u16::MAX),
            (Some(Compare::Less), _) => (0, port(text)?.saturating_sub(1)),
            (Some(Compare::AtMost), _) => (0, port(text)?),
            (Some(Compare::Unequal), _) => return Err("write -port: for \"not this port\"".to_owned()),
        };
        if low > high { Err(format!("{text:?} runs backwards")) } else { Ok((low, high)) }
    };
    each(word, range).map(RowTerm::Port)
}

fn number(word: &Word, measure: Measure) -> Result<GroupTerm, FilterError> {
    let field = word.field.as_deref().unwrap_or_default();
    let Some((compare, _)) = Compare::SIGNS.iter().find(|(_, sign)| *sign == word.operator) else {
        return Err(error(word, format!("{field} is a number; compare it with > >= < <= = or !=")));
    };
    let values = each(word, thousandths)?;
    match values[..] {
        [value] => Ok(GroupTerm::Number(measure, *compare, value)),
        _ => Err(error(word, format!("{field} is compared with one number"))),
    }
}

/// `1500`, `1.5k`, `2M`, `50%`; in thousandths.
fn thousandths(text: &str) -> Result<i64, String> {
    let (digits, factor) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1e3),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1e6),
        Some(b'%') => (&text[..text.len() - 1], 1.0),
        _ => (text, 1.0),
    };
    let value: f64 = digits.parse().map_err(|_| format!("{text:?} is not a number"))?;
    let value = value * factor * 1000.0;
    #[expect(clippy::cast_possible_truncation, reason = "checked on this line")]
    if value.is_finite() && value.abs() < 9e15 {
        Ok(value.round() as i64)
    } else {
        Err(format!("{text:?} is too large"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(text: &str) -> Filter {
        parse(text).unwrap_or_else(|error| panic!("{text}\n{}\n{error}", error.carets()))
    }

    #[test]
    fn the_documented_example_is_read() {
        let filter = filter("src:shop/* dst:postgres port:5432 conns>100 delta>50 state:time_wait");
        assert_eq!(filter.rows.len(), 4);
        assert_eq!(filter.groups[0].term, GroupTerm::Number(Measure::Connections, Compare::More, 100_000));
        assert_eq!(filter.to_string(), "src:app/shop/* dst:postgres port:5432 state:time_wait conns>100 delta>50");
    }

    #[test]
    fn terms_are_read_back() {
        for text in [
            "any:web",
            "-any:ns/kube-system",
            "src:10.0.0.0/8,type/external",
            "port:80,443,8000-8999",
            "proto:udp,tcp",
            "state:open,syn_sent",
            "node:n*",
            "is:ghost",
            "is:new",
            "conns>=1500",
            "rate<-2.5",
            "-est!=100",
            "any:\"two words\"",
            "any:fd00::1",
            "row:000000000000000000000000000000ff@src+dst-pod+port",
        ] {
            assert_eq!(filter(text).to_string(), text);
        }
        for bare in ["fd00::1", "dead:beef::/32", "fe::1"] {
            assert_eq!(filter(bare).to_string(), format!("any:{bare}"));
        }
        assert_eq!(filter("!ns:kube-system"), filter("-ns:kube-system"));
        assert_eq!(filter("port>=1024 conns>1.5k"), filter("port:1024-65535 conns>1500"));
        assert!(filter("   ").is_empty());
    }

    #[test]
    fn errors_say_where() {
        for (text, column, width, message) in [
            ("dst:web prot:tcp", 8, 8, "there is no field \"prot\""),
            ("port:http", 5, 4, "\"http\" is not a port"),
            ("port:80,x,90", 8, 1, "\"x\" is not a port"),
            ("state:tyme_wait", 6, 9, "\"tyme_wait\" is no state"),
            ("conns:5", 0, 7, "conns is a number"),
            ("conns>many", 6, 4, "\"many\" is not a number"),
            ("src>web", 0, 7, "src is compared with ':'"),
            ("src:", 4, 1, "a value is missing"),
            ("é dst:\"web", 6, 4, "the quote that opens here"),
            ("ip:hello", 3, 5, "\"hello\" is neither an IP address nor a CIDR"),
            ("port:90-80", 5, 5, "runs backwards"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!((error.column, error.width), (column, width), "{text}\n{}", error.carets());
            assert!(error.message.contains(message), "{}", error.message);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_within_its_bounds(text in "[-!a-z:<>=,\"/0-9. é*]{0,24}") {
            match parse(&text) {
                Ok(filter) => prop_assert_eq!(parse(&filter.to_string()), Ok(filter)),
                Err(error) => prop_assert!(error.column <= text.chars().count()),
            }
        }
    }
}
