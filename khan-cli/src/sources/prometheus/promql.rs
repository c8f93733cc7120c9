//! The queries.

use super::label_set::LabelSet;
use super::rows::OTHER;
use crate::sources::nodes::NodeChoice;

/// Labels that every row keeps: whose table, who counts it, and the state where it is exported.
const ALWAYS: [&str; 3] = ["node", "side", "state"];

/// Connections to be counted, summed by what is needed: those of side `client`, those of side `server` whose client no node
/// counts, and those of side `unknown` whose client no node knows for its own.
///
/// Each series is read by one `sum` only, since classes have nothing in common, and no `or` drops anything for the same
/// reason.
pub fn connections(labels: &LabelSet, nodes: &NodeChoice) -> String {
    let connection = Metric::new("khan_connection", nodes);
    let mut sums = classes(&connection, labels);
    sums.extend(strangers(labels, nodes));
    sums.push(undecided(&connection, labels, nodes));
    sums.join("\nor\n")
}

/// Of [`connections`] of the sides `client` and `unknown`, those of one of the metrics that count [some of them](SOME).
pub fn some(metric: &'static str, labels: &LabelSet, nodes: &NodeChoice) -> String {
    some_of(&Metric::new(metric, nodes), labels, nodes)
}

/// Those to dead backends, in the same way, once two scrapes have told so: clients of a backend that ended just now are about to
/// notice.
pub fn dead(labels: &LabelSet, nodes: &NodeChoice) -> String {
    let metric = Metric { twice: true, ..Metric::new("khan_connection_dead_backend", nodes) };
    some_of(&metric, labels, nodes)
}

fn some_of(metric: &Metric, labels: &LabelSet, nodes: &NodeChoice) -> String {
    let mut sums = classes(metric, labels);
    sums.push(undecided(metric, labels, nodes));
    sums.join("\nor\n")
}

/// The metrics that count some of the connections: idle, stalled, unanswered.
pub const SOME: [&str; 3] = ["khan_connection_idle", "khan_connection_stalled", "khan_connection_unanswered"];

/// TCP connections that end a second. They are counted by app: no port, no pod.
pub fn closed(nodes: &NodeChoice) -> String {
    let series = Metric::new("khan_connections_closed_total", nodes).with(&["side=\"client\""]);
    let ends = ["src", "dst"].map(|end| format!("{end}_type, {end}_ns, {end}_app")).join(", ");
    // Over the same time as the alerts.
    format!("sum by (node, side, {ends}) (rate({series}[5m])) > 0")
}

/// A metric of the nodes that are looked at.
struct Metric {
    name: &'static str,
    /// A matcher of their names; empty for all.
    nodes: String,
    /// Only series that were scraped more than once in five minutes.
    twice: bool,
}

impl Metric {
    fn new(name: &'static str, nodes: &NodeChoice) -> Self {
        let names: Vec<_> = nodes.names().map(pattern).collect();
        let nodes = if names.is_empty() { String::new() } else { format!("node=~\"{}\"", names.join("|")) };
        Self { name, nodes, twice: false }
    }

    /// Its series with these labels; empty matchers are none.
    fn with(&self, matchers: &[&str]) -> String {
        let all = std::iter::once(&*self.nodes).chain(matchers.iter().copied());
        let all: Vec<_> = all.filter(|matcher| !matcher.is_empty()).collect();
        let series = if all.is_empty() { self.name.to_owned() } else { format!("{}{{{}}}", self.name, all.join(",")) };
        if self.twice { format!("{series} and count_over_time({series}[5m]) > 1") } else { series }
    }
}

/// A regular expression for exactly this text, within a string of PromQL, where a backslash is written twice.
fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' => pattern.push_str(r"\\\\"),
            '"' => pattern.push_str("\\\""),
            letter if letter.is_ascii_punctuation() => pattern.extend(["\\\\", &*letter.to_string()]),
            letter if letter.is_control() => pattern.extend(letter.escape_default()),
            letter => pattern.push(letter),
        }
    }
    pattern
}

fn classes(metric: &Metric, labels: &LabelSet) -> Vec<String> {
    let mut sums = Vec::new();
    for (src_matcher, src) in labels.src.classes("src") {
        for (dst_matcher, dst) in labels.dst.classes("dst") {
            let by = by(labels, src.iter().chain(&dst).map(String::as_str));
            let series = metric.with(&["side=\"client\"", &src_matcher, &dst_matcher]);
            sums.push(format!("sum by ({by}) ({series})"));
        }
    }
    sums
}

/// Connections seen on the server's node whose client's node has no agent: a pod that no node counts as a client, and a
/// node (under one of its addresses) that has no series of its own.
///
/// An agent whose bound on series was reached counts some of its clients without their addresses: by app, and the rest in
/// one sum. A pod that may be among those is taken to be.
fn strangers(labels: &LabelSet, nodes: &NodeChoice) -> [String; 2] {
    const NODES: &str = "node|network|gateway";
    let by = by_address(labels);
    let connection = Metric::new("khan_connection", nodes);
    let client = "side=\"client\"";
    let pods = format!(
        "sum by ({by}) ({} unless on (src_ip) {} unless on (src_type, src_ns, src_app) {} unless on () {})",
        connection.with(&["side=\"server\"", "src_ip!=\"\"", &format!("src_type!~\"{NODES}\"")]),
        connection.with(&[client]),
        connection.with(&[client, "src_ip=\"\"", "src_type!=\"\""]),
        connection.with(&[client, &format!("src_app=\"{OTHER}\"")]),
    );
    let nodes = format!(
        "sum by ({by}) ({} unless on (src_name) label_replace(group by (node) ({}), \"src_name\", \"$1\", \"node\", \"(.+)\"))",
        connection.with(&["side=\"server\"", "src_name!=\"\"", &format!("src_type=~\"{NODES}\"")]),
        connection.with(&[]),
    );
    [pods, nodes]
}

/// Connections of clients whose node is not known where they are seen, with their addresses, which tell whether several
/// nodes see the same ones. Not those that the client's own node counts.
fn undecided(metric: &Metric, labels: &LabelSet, nodes: &NodeChoice) -> String {
    let (by, connection) = (by_address(labels), Metric::new("khan_connection", nodes));
    let (unknown, known) = (metric.with(&["side=\"unknown\""]), connection.with(&["side=\"client\"", "src_ip!=\"\""]));
    format!("sum by ({by}) ({unknown} unless on (src_ip) {known})")
}

fn by_address(labels: &LabelSet) -> String {
    let ends =
        ["src", "dst"].map(|end| ["type", "ns", "app", "workload", "name", "ip"].map(|name| format!("{end}_{name}")));
    by(labels, ends.iter().flatten().map(String::as_str))
}

fn by<'a>(labels: &LabelSet, ends: impl Iterator<Item = &'a str>) -> String {
    let optional = [("dst_port", labels.port), ("transport", labels.transport)];
    let optional = optional.into_iter().filter(|(_, needed)| *needed).map(|(label, _)| label);
    ALWAYS.into_iter().chain(ends).chain(optional).collect::<Vec<_>>().join(", ")
}

/// Which target speaks for which node, and when it was scraped.
pub fn scraped(nodes: &NodeChoice) -> String {
    format!("max by (job, instance, node) (timestamp({}))", Metric::new("khan_connection", nodes).with(&[]))
}

/// When each target's snapshot was taken: the time of the scrape minus the age that the agent reported.
pub const TAKEN: &str =
    "max by (job, instance) (timestamp(khan_agent_snapshot_age_seconds) - khan_agent_snapshot_age_seconds)";

/// The same by node, for times of which nothing else tells which target speaks for which node; where agents' own series are
/// not kept, the time of the scrape.
pub fn taken_by_node(nodes: &NodeChoice) -> String {
    let series = Metric::new("khan_connection", nodes).with(&[]);
    format!(
        "max by (node) (group by (job, instance, node) ({series}) * on (job, instance) group_left {TAKEN})\nor\n\
         max by (node) (timestamp({series}))"
    )
}

/// When any target was scraped last, for a server whose series are too old to be in an answer: a day is looked back.
pub const LAST: &str = "max(max_over_time(timestamp(khan_agent_snapshot_age_seconds)[1d:1m]))";

/// When there were connections for the first time within the last `seconds`, give or take a fiftieth of them.
pub fn oldest(seconds: f64) -> String {
    let (seconds, step) = (seconds.ceil(), (seconds / 50.0).ceil().max(1.0));
    format!("min_over_time(timestamp(group(khan_connection))[{seconds}s:{step}s])")
}

/// What each target reports about itself.
pub const ABOUT: &str = "{__name__=~\"khan_agent_build_info|khan_agent_scan_interval_seconds|khan_agent_scan_duration_seconds|\
                         khan_agent_snapshot_compared_seconds|khan_conntrack_entries|khan_conntrack_entries_limit|\
                         khan_agent_table_entries|khan_agent_table_limit|khan_agent_table_scan_seconds\"}";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{GroupBy, Query};

    #[test]
    fn only_what_is_needed_is_asked_for() {
        let labels = LabelSet::of(&Query { group_by: GroupBy::NODES, ..Query::default() });
        let all = NodeChoice::default();
        let sums = connections(&labels, &all);
        let mut lines = sums.lines();
        assert_eq!(
            lines.next(),
            Some("sum by (node, side, state, src_type, dst_type) (khan_connection{side=\"client\"})")
        );
        assert_eq!(lines.filter(|line| *line == "or").count(), 3);
        let labels = LabelSet::of(&Query::default());
        assert_eq!(some(SOME[0], &labels, &all).lines().filter(|line| *line != "or").count(), 17);
        let first = "sum by (node, side, state, src_type, src_ns, src_app, dst_type, dst_ns, dst_app, dst_port) \
                     (khan_connection_idle{side=\"client\",src_type=~\"pod|service\",src_app!=\"\",\
                     dst_type=~\"pod|service\",dst_app!=\"\"})";
        assert_eq!(some(SOME[0], &labels, &all).lines().next(), Some(first));
    }

    #[test]
    fn every_series_is_of_the_nodes_that_are_looked_at() {
        let labels = LabelSet::of(&Query::default());
        let nodes = NodeChoice::new(&["n1".to_owned(), "n2.a".to_owned()]);
        let text = [
            connections(&labels, &nodes),
            some(SOME[1], &labels, &nodes),
            dead(&labels, &nodes),
            closed(&nodes),
            scraped(&nodes),
        ]
        .concat();
        let series = text.matches("khan_connection").count();
        assert_eq!(text.matches(r#"{node=~"n1|n2\\.a""#).count(), series, "{text}");
        assert_eq!(scraped(&NodeChoice::default()), "max by (job, instance, node) (timestamp(khan_connection))");
        assert_eq!(pattern("a\"b\\c\n"), r#"a\"b\\\\c\n"#);
    }
}
