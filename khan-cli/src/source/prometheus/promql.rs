//! The queries.

use super::need::Need;
use super::rows::OTHER;

/// Labels that every row keeps: whose table, who counts it, and the state where it is exported.
const ALWAYS: [&str; 3] = ["node", "side", "state"];

/// Connections to be counted, summed by what is needed: those of side `client`, those of side `server` whose client no node
/// counts, and those of side `unknown` whose client no node knows for its own.
///
/// Each series is read by one `sum` only, since classes have nothing in common, and no `or` drops anything for the same
/// reason.
pub fn connections(need: &Need) -> String {
    let mut sums = classes("khan_connection", need);
    sums.extend(strangers(need));
    sums.push(undecided("khan_connection", need));
    sums.join("\nor\n")
}

/// Of [`connections`] of the sides `client` and `unknown`, the idle ones.
pub fn idle(need: &Need) -> String {
    let mut sums = classes("khan_connection_idle", need);
    sums.push(undecided("khan_connection_idle", need));
    sums.join("\nor\n")
}

fn classes(metric: &str, need: &Need) -> Vec<String> {
    let mut sums = Vec::new();
    for (src_matcher, src) in need.src.classes("src") {
        for (dst_matcher, dst) in need.dst.classes("dst") {
            let matchers = ["side=\"client\"", &src_matcher, &dst_matcher];
            let matchers: Vec<_> = matchers.into_iter().filter(|matcher| !matcher.is_empty()).collect();
            let by = by(need, src.iter().chain(&dst).map(String::as_str));
            sums.push(format!("sum by ({by}) ({metric}{{{}}})", matchers.join(",")));
        }
    }
    sums
}

/// Connections seen on the server's node whose client's node has no agent: a pod that no node counts as a client, and a
/// node (under one of its addresses) that has no series of its own.
///
/// An agent whose bound on series was reached counts some of its clients without their addresses: by app, and the rest in
/// one sum. A pod that may be among those is taken to be.
fn strangers(need: &Need) -> [String; 2] {
    const NODES: &str = "node|network|gateway";
    let by = by_address(need);
    let pods = format!(
        "sum by ({by}) (khan_connection{{side=\"server\",src_ip!=\"\",src_type!~\"{NODES}\"}} \
         unless on (src_ip) khan_connection{{side=\"client\"}} \
         unless on (src_type, src_ns, src_app) khan_connection{{side=\"client\",src_ip=\"\",src_type!=\"\"}} \
         unless on () khan_connection{{side=\"client\",src_app=\"{OTHER}\"}})"
    );
    let nodes = format!(
        "sum by ({by}) (khan_connection{{side=\"server\",src_name!=\"\",src_type=~\"{NODES}\"}} \
         unless on (src_name) label_replace(group by (node) (khan_connection), \"src_name\", \"$1\", \"node\", \"(.+)\"))"
    );
    [pods, nodes]
}

/// Connections of clients whose node is not known where they are seen, with their addresses, which tell whether several
/// nodes see the same ones. Not those that the client's own node counts.
fn undecided(metric: &str, need: &Need) -> String {
    let by = by_address(need);
    format!(
        "sum by ({by}) ({metric}{{side=\"unknown\"}} \
         unless on (src_ip) khan_connection{{side=\"client\",src_ip!=\"\"}})"
    )
}

fn by_address(need: &Need) -> String {
    let ends =
        ["src", "dst"].map(|end| ["type", "ns", "app", "workload", "name", "ip"].map(|name| format!("{end}_{name}")));
    by(need, ends.iter().flatten().map(String::as_str))
}

fn by<'a>(need: &Need, ends: impl Iterator<Item = &'a str>) -> String {
    let optional = [("dst_port", need.port), ("transport", need.transport)];
    let optional = optional.into_iter().filter(|(_, needed)| *needed).map(|(label, _)| label);
    ALWAYS.into_iter().chain(ends).chain(optional).collect::<Vec<_>>().join(", ")
}

/// Which target speaks for which node, and when it was scraped.
pub const SCRAPED: &str = "max by (job, instance, node) (timestamp(khan_connection))";

/// When each target's snapshot was taken: the time of the scrape less the age that the agent then told.
pub const TAKEN: &str =
    "max by (job, instance) (timestamp(khan_agent_snapshot_age_seconds) - khan_agent_snapshot_age_seconds)";

/// When any target was scraped last, for a server whose series are too old to be in an answer: a day is looked back.
pub const LAST: &str = "max(max_over_time(timestamp(khan_agent_snapshot_age_seconds)[1d:1m]))";

/// What each target tells about itself.
pub const ABOUT: &str = "{__name__=~\"khan_agent_build_info|khan_agent_scan_interval_seconds|khan_agent_scan_duration_seconds|\
                         khan_conntrack_entries|khan_conntrack_entries_limit\"}";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{GroupBy, Query};

    #[test]
    fn only_what_is_needed_is_asked_for() {
        let need = Need::of(&Query { group_by: GroupBy::NODES, ..Query::default() });
        let sums = connections(&need);
        let mut lines = sums.lines();
        assert_eq!(
            lines.next(),
            Some("sum by (node, side, state, src_type, dst_type) (khan_connection{side=\"client\"})")
        );
        assert_eq!(lines.filter(|line| *line == "or").count(), 3);
        let need = Need::of(&Query::default());
        assert_eq!(idle(&need).lines().filter(|line| *line != "or").count(), 17);
        let first = "sum by (node, side, state, src_type, src_ns, src_app, dst_type, dst_ns, dst_app, dst_port) \
                     (khan_connection_idle{side=\"client\",src_type=~\"pod|service\",src_app!=\"\",\
                     dst_type=~\"pod|service\",dst_app!=\"\"})";
        assert_eq!(idle(&need).lines().next(), Some(first));
    }
}
