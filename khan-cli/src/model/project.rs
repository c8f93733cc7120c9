//! View, query and history to the rows that are drawn, copied and exported: the only list that anything reads.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use khan_api::{Protocol, Timestamp};

use super::filter::eval::Measured;
use super::filter::{Filter, Flag, GroupTerm, Measure, RowTerm};
use super::fold::fold;
use super::group::{GroupBy, RowKey};
use super::history::{Change, History, Series, Trend};
use super::leak::Growth;
use super::party::Party;
use super::pivot::{Group, NONE, Pivot, Sum, pivot};
use super::query::{Query, SortBy};
use super::state::State;
use super::view::{Remainder, View};

/// How many rows get a trend; more are never on a screen at once.
const TRENDS: usize = 1_000;
/// How long a row is called new.
const NEW: Duration = Duration::from_mins(5);

/// The answer to a query on a view.
#[derive(Clone, Debug, Default)]
pub struct Projection {
    /// [`View::id`] of the view that it was made from.
    pub view: u64,
    /// What rows are, as asked.
    pub group_by: GroupBy,
    /// In order, at most the query's limit and the rows that it keeps.
    pub rows: Vec<Projected>,
    /// Groups that match, shown or beyond the limit.
    pub matching: usize,
    /// Groups before the filter's group terms.
    pub groups: usize,
    /// Sum over the groups that match.
    pub total: Sum,
    /// Its change.
    pub change: Option<Change>,
    /// Its past; only meaningful without group terms.
    pub trend: Trend,
    /// Sum over the matching groups beyond the limit: the `(other)` row.
    pub hidden: Sum,
    /// What agents left out; no filter can look into it.
    pub rest: Option<Remainder>,
}

impl Projection {
    /// How many matching groups are beyond the limit.
    pub fn hidden_groups(&self) -> usize {
        self.matching - self.rows.len()
    }

    /// Share of all matching connections that the rows show, 0 to 1; 1 when there are none.
    pub fn shown_share(&self) -> f64 {
        let all = self.total.connections;
        if all == 0 { 1.0 } else { (all - self.hidden.connections) as f64 / all as f64 }
    }

    /// The row with this key.
    pub fn row(&self, key: RowKey) -> Option<&Projected> {
        self.rows.iter().find(|row| row.key == key)
    }
}

/// One row.
#[derive(Clone, Debug)]
pub struct Projected {
    /// Names the row in every projection of one grouping.
    pub key: RowKey,
    /// The client's end, when the query groups by it.
    pub src: Option<Party>,
    /// The destination's end.
    pub dst: Option<Party>,
    /// Who answers, when the query groups by that beside the destination.
    pub behind: Option<Party>,
    /// The node whose table holds the connections.
    pub node: Option<Arc<str>>,
    /// The port dialled; `None` when not grouped by it, or not told.
    pub port: Option<u16>,
    /// The transport.
    pub protocol: Option<Protocol>,
    /// The state.
    pub state: Option<State>,
    /// Counts.
    pub sum: Sum,
    /// Change of the connections; `None` when nothing can be compared.
    pub change: Option<Change>,
    /// When it was first seen, if the history is older than it.
    pub first_seen: Option<Timestamp>,
    /// How it grew over the leak rule's window.
    pub growth: Growth,
    /// Its past, for the first 1,000 rows.
    pub trend: Trend,
    /// Whether it stands for many destinations: it is a row of [`Query::fans`] then.
    pub fan: bool,
    flags: u8,
}

impl Projected {
    /// The flags that are set, in the order of the column.
    pub fn flags(&self) -> impl Iterator<Item = Flag> + '_ {
        Flag::ALL.into_iter().filter(|flag| self.has(*flag))
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: Flag) -> bool {
        self.flags & 1 << flag as u8 != 0
    }

    /// The text of an end; empty when the query does not group by it.
    pub fn source(&self) -> &str {
        self.src.as_ref().map_or("", |party| &party.text)
    }

    /// The same for the destination.
    pub fn destination(&self) -> &str {
        self.dst.as_ref().map_or("", |party| &party.text)
    }

    /// The same for who answers.
    pub fn backend(&self) -> &str {
        self.behind.as_ref().map_or("", |party| &party.text)
    }
}

impl Query {
    /// The same question within one row of its answer, told apart by `group_by`: a drill-down.
    #[must_use]
    pub fn within(&self, row: RowKey, group_by: GroupBy) -> Self {
        let groups = Vec::new();
        let filter = Filter { rows: self.filter.rows.clone(), groups }.and_row(RowTerm::Member(self.group_by, row));
        Self { group_by, filter, fold: false, keep: Vec::new(), ..self.clone() }
    }

    fn orders_by_change(&self) -> bool {
        matches!(self.sort.by, SortBy::Delta | SortBy::Rate)
    }
}

/// Answers `query` on `view`. Changes, trends and RISING need [`History::track`] to have been called with the query;
/// without it they are absent.
pub fn project(view: &View, query: &Query, history: &History) -> Projection {
    let mut pivot = pivot(view, query);
    fold(view, query, &mut pivot);
    let series = history.series(query);
    let fans = query.fans().and_then(|fans| history.series(&fans));
    let mut answer = Projection {
        view: view.id,
        group_by: query.group_by,
        groups: pivot.groups.len(),
        rest: view.rest,
        ..Projection::default()
    };
    let context = Context { view, query, history, series, fans, pivot: &pivot };
    let mut candidates: Vec<Candidate<'_>> = pivot.groups.iter().map(|group| context.candidate(group)).collect();
    candidates.retain(|candidate| query.filter.passes_group(candidate, query.inverted));
    answer.matching = candidates.len();
    for candidate in &candidates {
        answer.total.merge(&candidate.group.sum);
    }
    let order = |a: &Candidate<'_>, b: &Candidate<'_>| context.order(a, b);
    if query.limit > 0 && candidates.len() > query.limit {
        candidates.select_nth_unstable_by(query.limit, order);
        let beyond: Vec<_> = candidates.drain(query.limit..).collect();
        let (kept, hidden): (Vec<_>, Vec<_>) =
            beyond.into_iter().partition(|candidate| query.keep.contains(&candidate.group.key));
        for candidate in &hidden {
            answer.hidden.merge(&candidate.group.sum);
        }
        candidates.extend(kept);
    }
    candidates.sort_unstable_by(order);
    answer.rows = candidates.iter().enumerate().map(|(at, candidate)| context.row(candidate, at < TRENDS)).collect();
    if let Some(series) = series {
        // Nothing is heard: there is no number that could have changed.
        let comparable = query.filter.groups.is_empty() && view.counted_nodes() > 0;
        answer.change = history.total_change(series, &answer.total, query).filter(|_| comparable);
        answer.trend = history.total_trend(series, &answer.total, query.trend);
    }
    answer
}

struct Context<'a> {
    view: &'a View,
    query: &'a Query,
    history: &'a History,
    series: Option<&'a Series>,
    /// Those of folded rows.
    fans: Option<&'a Series>,
    pivot: &'a Pivot,
}

/// A group with what its order and the filter need to know; the rest is worked out for rows that are shown.
struct Candidate<'a> {
    group: &'a Group,
    change: Option<Change>,
    flags: u8,
}

impl Context<'_> {
    fn candidate<'g>(&self, group: &'g Group) -> Candidate<'g> {
        let filter = &self.query.filter.groups;
        let asks = |wanted: fn(&GroupTerm) -> bool| filter.iter().any(|not| wanted(&not.term));
        let changes = self.query.orders_by_change()
            || asks(|term| matches!(term, GroupTerm::Number(Measure::Delta | Measure::Rate, ..)));
        let flags = asks(|term| matches!(term, GroupTerm::Is(_)));
        Candidate {
            group,
            change: if changes { self.change(group) } else { None },
            flags: if flags { self.flags(group, &self.growth(group)) } else { 0 },
        }
    }

    fn series(&self, group: &Group) -> Option<&Series> {
        if group.fan.is_some() { self.fans } else { self.series }
    }

    fn change(&self, group: &Group) -> Option<Change> {
        self.history.change(self.series(group)?, group.key, &group.sum, self.query)
    }

    fn first_seen(&self, group: &Group) -> Option<Timestamp> {
        self.history.first_seen(self.series(group)?, group.key)
    }

    fn growth(&self, group: &Group) -> Growth {
        let samples = |series| self.history.samples(series, group.key, self.query.rule.window);
        self.series(group).map_or_else(Growth::default, |series| Growth::of(&samples(series)))
    }

    fn flags(&self, group: &Group, growth: &Growth) -> u8 {
        let unknown = |parties: &[Party], at: u32| parties.get(at as usize).is_some_and(Party::is_unknown);
        let first_seen = self.first_seen(group);
        let series = self.series(group);
        let since_baseline = series.is_some_and(|s| History::is_since_baseline(s, group.key, self.query));
        let now = self.history.span().map_or_else(Timestamp::default, |(_, newest)| newest);
        Flag::ALL.into_iter().fold(0, |flags, flag| {
            let set = match flag {
                Flag::Rising => growth.rises(&self.query.rule),
                Flag::New => since_baseline || first_seen.is_some_and(|seen| now.since(seen) < NEW),
                Flag::Unknown => {
                    unknown(&self.pivot.sources, group.src)
                        || unknown(&self.pivot.destinations, group.dst)
                        || unknown(&self.pivot.backends, group.behind)
                }
                Flag::Stale => group.sum.stale > 0,
                Flag::Ghost => group.sum.ghosts > 0,
            };
            flags | u8::from(set) << flag as u8
        })
    }

    fn row(&self, candidate: &Candidate<'_>, with_trend: bool) -> Projected {
        let group = candidate.group;
        // Many share a party of externals, and each row tells of its own.
        let party = |parties: &[Party], at: u32, outside: u32| {
            let party = parties.get(at as usize)?.clone();
            Some(if outside == 0 { party } else { Party { addresses: outside, ..party } })
        };
        let growth = self.growth(group);
        Projected {
            key: group.key,
            src: party(&self.pivot.sources, group.src, group.outside[0]),
            dst: match group.fan {
                Some(fan) => Some(fan.party()),
                None => party(&self.pivot.destinations, group.dst, group.outside[1]),
            },
            behind: party(&self.pivot.backends, group.behind, 0),
            node: (group.node != NONE).then(|| self.view.nodes[group.node as usize].node.as_str().into()),
            port: group.port,
            protocol: group.protocol,
            state: group.state,
            sum: group.sum,
            change: self.change(group),
            first_seen: self.first_seen(group),
            growth,
            trend: match self.series(group) {
                Some(series) if with_trend => self.history.trend(series, group.key, &group.sum, self.query.trend),
                _ => Trend::default(),
            },
            fan: group.fan.is_some(),
            flags: self.flags(group, &growth),
        }
    }

    fn order(&self, a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
        let text = |parties: &'_ [Party], at: u32| parties.get(at as usize).map(|party| Arc::clone(&party.text));
        let node = |at: u32| self.view.nodes.get(at as usize).map(|node| node.node.as_str());
        let sources = || text(&self.pivot.sources, a.group.src).cmp(&text(&self.pivot.sources, b.group.src));
        let ends = || {
            let backends =
                || text(&self.pivot.backends, a.group.behind).cmp(&text(&self.pivot.backends, b.group.behind));
            let order = text(&self.pivot.destinations, a.group.dst).cmp(&text(&self.pivot.destinations, b.group.dst));
            order.then_with(backends)
        };
        let sum = |pick: fn(&Sum) -> u64| pick(&b.group.sum).cmp(&pick(&a.group.sum));
        let number = |pick: fn(Change) -> f64| {
            let value = |candidate: &Candidate<'_>| candidate.change.map_or(f64::NEG_INFINITY, pick);
            value(b).total_cmp(&value(a))
        };
        let first = match self.query.sort.by {
            SortBy::Connections => sum(|sum| sum.connections),
            SortBy::Delta => number(|change| change.delta as f64),
            SortBy::Rate => number(Change::per_minute),
            SortBy::Established => {
                b.group.sum.states.established_percent().cmp(&a.group.sum.states.established_percent())
            }
            SortBy::Idle => sum(|sum| sum.idle_connections),
            SortBy::HalfClosed => sum(Sum::half_closed),
            SortBy::Source => sources(),
            SortBy::Destination => ends(),
            SortBy::Port => a.group.port.cmp(&b.group.port),
            SortBy::Node => node(a.group.node).cmp(&node(b.group.node)),
            SortBy::State => a.group.state.map(State::as_str).cmp(&b.group.state.map(State::as_str)),
        };
        let first = if self.query.sort.reverse { first.reverse() } else { first };
        // Equal rows keep one order, so that lists do not flicker.
        first
            .then_with(|| sum(|sum| sum.connections))
            .then_with(sources)
            .then_with(ends)
            .then_with(|| (a.group.port, a.group.state, a.group.key).cmp(&(b.group.port, b.group.state, b.group.key)))
    }
}

impl Measured for Candidate<'_> {
    fn number(&self, measure: Measure) -> Option<f64> {
        let sum = &self.group.sum;
        match measure {
            Measure::Connections => Some(sum.connections as f64),
            Measure::Delta => self.change.map(|change| change.delta as f64),
            Measure::Rate => self.change.map(Change::per_minute),
            Measure::Established => sum.states.established_percent().map(f64::from),
            Measure::Idle => Some(sum.idle_connections as f64),
            Measure::HalfClosed => Some(sum.half_closed() as f64),
        }
    }

    fn is(&self, flag: Flag) -> bool {
        self.flags & 1 << flag as u8 != 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::fixture::{Agent, view};

    fn shop() -> Agent {
        Agent::new("n1", 0)
            .row("shop/web@n1", "data/db@n2", 5432, 10)
            .row("shop/cart@n1", "svc:data/redis", 6379, 30)
            .row("shop/web@n1", "svc:data/redis", 6379, 5)
            .established(3)
            .row("?10.40.7.19", "pay/ledger@n1", 8443, 7)
            .row("1.1.1.1", "edge/ingress@n1", 443, 1)
            .row("1.0.0.1", "edge/ingress@n1", 443, 2)
    }

    fn ask(query: &Query) -> Projection {
        project(&view(&[shop()]), query, &History::default())
    }

    fn lines(projection: &Projection) -> Vec<String> {
        projection.rows.iter().map(|r| format!("{} {} {}", r.source(), r.destination(), r.sum.connections)).collect()
    }

    #[test]
    fn groups_are_limited_and_the_rest_is_exact() {
        let projection = ask(&Query { limit: 2, ..Query::default() });
        assert_eq!(lines(&projection), ["shop/cart data/redis 30", "shop/web data/db 10"]);
        assert_eq!((projection.matching, projection.hidden_groups(), projection.hidden.connections), (5, 3, 15));
        assert!((projection.shown_share() - 40.0 / 55.0).abs() < 1e-9);
    }

    #[test]
    fn a_kept_row_is_shown_beyond_the_limit_and_the_rest_stays_exact() {
        let last = ask(&Query::default()).rows.pop().unwrap();
        let projection = ask(&Query { limit: 2, keep: vec![last.key], ..Query::default() });
        assert_eq!(lines(&projection)[2], "external edge/ingress 3");
        assert_eq!((projection.rows.len(), projection.hidden_groups(), projection.hidden.connections), (3, 2, 12));
    }

    #[test]
    fn each_row_counts_the_external_addresses_of_its_own() {
        let agent = shop().row("1.1.1.1", "pay/ledger@n1", 8443, 4);
        let projection = project(&view(&[agent]), &Query::default(), &History::default());
        let outside = projection.rows.iter().filter(|row| row.source() == "external");
        let mut counts: Vec<_> =
            outside.map(|row| (row.destination().to_owned(), row.src.as_ref().unwrap().addresses)).collect();
        counts.sort();
        assert_eq!(counts, [("edge/ingress".to_owned(), 2), ("pay/ledger".to_owned(), 1)]);
    }

    #[test]
    fn externals_stand_together_and_unknown_ones_alone() {
        let projection = ask(&Query { group_by: GroupBy::SOURCES, ..Query::default() });
        assert_eq!(lines(&projection), ["shop/cart  30", "shop/web  15", "?10.40.7.19  7", "external  3"]);
        assert_eq!(projection.rows[3].src.as_ref().unwrap().addresses, 2);
        assert!(projection.rows[2].has(Flag::Unknown) && !projection.rows[3].has(Flag::Unknown));
    }

    #[test]
    fn filters_count_what_they_let_through() {
        for (text, expected) in [
            ("dst:redis", vec!["shop/cart data/redis 30", "shop/web data/redis 5"]),
            ("dst:redis -src:web", vec!["shop/cart data/redis 30"]),
            ("state:time_wait", vec!["shop/web data/redis 2"]),
            ("src:web conns<=5", vec!["shop/web data/redis 5"]),
            ("is:unknown", vec!["?10.40.7.19 pay/ledger 7"]),
            ("port:400-500", vec!["external edge/ingress 3"]),
            ("1.0.0.0/16", vec!["external edge/ingress 2"]),
            ("delta>0", vec![]),
        ] {
            let projection = ask(&Query { filter: text.parse().unwrap(), ..Query::default() });
            assert_eq!(lines(&projection), expected, "{text}");
        }
        let inverted = ask(&Query { filter: "dst:redis".parse().unwrap(), inverted: true, ..Query::default() });
        assert_eq!(inverted.total.connections, 20);
        let scoped = ask(&Query { namespaces: vec!["pay".into()], ..Query::default() });
        assert_eq!(lines(&scoped), ["?10.40.7.19 pay/ledger 7"]);
    }

    #[test]
    fn a_row_opens_into_exactly_its_own_connections() {
        let query = Query { group_by: GroupBy::SOURCES, ..Query::default() };
        let row = &ask(&query).rows[1];
        let inner = ask(&query.within(row.key, GroupBy { state: true, ..GroupBy::NONE }));
        let states: Vec<_> = inner.rows.iter().map(|row| (row.state.unwrap().as_str(), row.sum.connections)).collect();
        assert_eq!(states, [("ESTABLISHED", 13), ("TIME_WAIT", 2)]);
        let again = query.within(row.key, GroupBy::EDGES);
        assert_eq!(again.filter.to_string().parse::<Filter>().unwrap(), again.filter);
    }

    #[test]
    fn what_was_dialled_and_who_answers_stand_side_by_side() {
        let agent = Agent::new("n1", 0)
            .row("shop/web@n1", "data/db-0:db@n2", 5432, 1)
            .row("shop/web@n1", "svc:data/db", 5432, 10)
            .but(|row| row.backend = 1)
            .row("shop/cart@n1", "svc:data/db", 5432, 4)
            .but(|row| row.backend = 1);
        let ask = |words: &str| {
            let query = Query { group_by: words.parse().unwrap(), ..Query::default() };
            let rows = project(&view(std::slice::from_ref(&agent)), &query, &History::default()).rows;
            let line = |row: &Projected| format!("{} {} {}", row.destination(), row.backend(), row.sum.connections);
            rows.iter().map(line).collect::<Vec<_>>()
        };
        assert_eq!(ask("dst-type,backend-pod"), ["service data/db-0 14", "pod data/db-0 1"]);
        assert_eq!(ask("src,dst-pod,backend"), ["data/db data/db 10", "data/db data/db 4", "data/db-0 data/db 1"]);
        assert_eq!(ask("dst,backend"), ["data/db data/db 15"]);
        assert_eq!(ask("dst-pod"), ["data/db-0  15"]);
    }

    #[test]
    fn what_was_dialled_at_a_node_port_belongs_to_its_service() {
        use khan_api::ServicePort;
        let mut agent = Agent::new("n1", 0)
            .row("198.51.100.7", "node:n1", 30_080, 5)
            .row("198.51.100.7", "node:n1", 22, 3)
            .row("198.51.100.7", "svc:data/other", 80, 2);
        let port =
            |port, name: &str| ServicePort { port, protocol: Protocol::Tcp, ns: "shop".into(), name: name.into() };
        agent.snapshot.node_ports = vec![port(30_080, "solo"), port(80, "other")];
        let count = |filter: &str| {
            let query = Query { filter: filter.parse().unwrap(), ..Query::default() };
            project(&view(std::slice::from_ref(&agent)), &query, &History::default()).total.connections
        };
        for (filter, connections) in [
            ("svc/solo", 5),
            ("dst:svc/shop/solo", 5),
            ("dst:ns/shop", 5),
            ("-dst:svc/solo", 5),
            ("src:svc/solo", 0),
            ("svc/data/solo", 0),
            ("node/n1", 8),
            ("svc/other", 2),
        ] {
            assert_eq!(count(filter), connections, "{filter}");
        }
    }

    #[test]
    fn orders_have_a_direction_and_its_reverse() {
        let order = |text: &str| lines(&ask(&Query { sort: text.parse().unwrap(), ..Query::default() }));
        assert_eq!(order("source")[0], "?10.40.7.19 pay/ledger 7");
        assert_eq!(order("-source")[0], "shop/web data/db 10");
        assert_eq!(order("port")[0], "external edge/ingress 3");
        assert_eq!(order("-conns")[0], "external edge/ingress 3");
    }

    proptest! {
        /// Whatever the limit, rows and remainder add up to everything, and the rows are the first of the full order.
        #[test]
        fn a_limit_cuts_and_changes_nothing(
            counts in proptest::collection::vec((0_u8..6, 0_u8..6, 1_u64..9), 0..40), limit in 1_usize..12,
        ) {
            let mut agent = Agent::new("n1", 0);
            for (src, dst, n) in &counts {
                agent = agent.row(&format!("a/s{src}@n1"), &format!("b/d{dst}@n1"), 80, *n);
            }
            let view = view(&[agent]);
            let cut = project(&view, &Query { limit, ..Query::default() }, &History::default());
            let full = project(&view, &Query { limit: 0, ..Query::default() }, &History::default());
            let mut sum = cut.hidden.connections;
            sum += cut.rows.iter().map(|row| row.sum.connections).sum::<u64>();
            prop_assert_eq!(sum, counts.iter().map(|(_, _, n)| n).sum::<u64>());
            prop_assert_eq!(lines(&cut), lines(&full)[..cut.rows.len()].to_vec());
            prop_assert_eq!(full.matching, cut.rows.len() + cut.hidden_groups());
        }
    }
}
