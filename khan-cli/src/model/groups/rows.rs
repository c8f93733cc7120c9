//! The last step: the rows that are drawn, copied and exported, in order and up to the limit, and the exact remainder.

use std::cmp::Ordering;
use std::sync::Arc;

use khan_api::{Protocol, Timestamp};

use super::fan_out::fold;
use super::group::{Group, group};
use super::keyer::NONE;
use super::measure::{Gauge, Measured};
use super::past::{Change, Past, Trend};
use super::sum::Sum;
use crate::model::filter::{Filter, Flag, RowTerm};
use crate::model::group_by::{GroupBy, RowKey};
use crate::model::group_end::GroupEnd;
use crate::model::growth::Growth;
use crate::model::query::{Query, SortBy};
use crate::model::state::{self, State};
use crate::model::view::{Remainder, View};

/// How many rows get a trend; more are never on a screen at once.
const TRENDS: usize = 1_000;
/// The answer to a query on a view.
#[derive(Clone, Debug, Default)]
pub struct Projection {
    /// [`View::id`] of the view that it was made from.
    pub view: u64,
    /// What rows are, as asked.
    pub group_by: GroupBy,
    /// In order, at most the query's limit and the rows that it keeps.
    pub rows: Vec<Row>,
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
    /// Connections of Khan's own that are left out of all of this; none when the query asks for them.
    pub own: u64,
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
    pub fn row(&self, key: RowKey) -> Option<&Row> {
        self.rows.iter().find(|row| row.key == key)
    }
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// Names the row in every projection of one grouping.
    pub key: RowKey,
    /// The client's end, when the query groups by it.
    pub src: Option<GroupEnd>,
    /// The destination's end.
    pub dst: Option<GroupEnd>,
    /// Who answers, if the query groups by that in addition to the destination.
    pub behind: Option<GroupEnd>,
    /// The node whose table holds the connections.
    pub node: Option<Arc<str>>,
    /// The port dialled; `None` if not grouped by it, or unknown.
    pub port: Option<u16>,
    /// The transport.
    pub protocol: Option<Protocol>,
    /// The state.
    pub state: Option<State>,
    /// The numbers of its connections.
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

impl Row {
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
        self.src.as_ref().map_or("", |end| &end.text)
    }

    /// The same for the destination.
    pub fn destination(&self) -> &str {
        self.dst.as_ref().map_or("", |end| &end.text)
    }

    /// The same for who answers.
    pub fn backend(&self) -> &str {
        self.behind.as_ref().map_or("", |end| &end.text)
    }
}

impl Query {
    /// The same question within one row of its answer, split by `group_by`: a drill-down.
    #[must_use]
    pub fn within(&self, row: RowKey, group_by: GroupBy) -> Self {
        let groups = Vec::new();
        let filter = Filter { rows: self.filter.rows.clone(), groups }.and_row(RowTerm::Member(self.group_by, row));
        Self { group_by, filter, fold: false, keep: Vec::new(), ..self.clone() }
    }

    /// The question that `row` of this one's answer is a row of: this one, or that of its fan-outs.
    #[must_use]
    pub fn of_row(&self, row: &Row) -> Self {
        self.fans().filter(|_| row.fan).unwrap_or_else(|| self.clone())
    }
}

/// Answers `query` on `view`. Changes, trends and RISING are absent unless the past follows the query
/// ([`crate::model::History::track`]).
pub fn project<P: Past>(view: &View, query: &Query, past: &P) -> Projection {
    let mut groups = group(view, query);
    fold(view, query, &mut groups);
    let mut answer = Projection {
        view: view.id,
        group_by: query.group_by,
        groups: groups.all.len(),
        rest: view.rest,
        own: groups.own,
        ..Projection::default()
    };
    let gauge = Gauge::new(query, past, &groups);
    let mut measured: Vec<_> = groups.all.iter().map(|group| gauge.measure(group)).collect();
    measured.retain(|group| query.filter.passes_group(group, query.inverted));
    answer.matching = measured.len();
    for measured in &measured {
        answer.total.merge(&measured.group.sum);
    }
    let order = |a: &Measured<'_>, b: &Measured<'_>| gauge.order(view, a, b);
    if query.limit > 0 && measured.len() > query.limit {
        measured.select_nth_unstable_by(query.limit, order);
        let beyond: Vec<_> = measured.drain(query.limit..).collect();
        let (kept, hidden): (Vec<_>, Vec<_>) =
            beyond.into_iter().partition(|measured| query.keep.contains(&measured.group.key));
        for measured in &hidden {
            answer.hidden.merge(&measured.group.sum);
        }
        measured.extend(kept);
    }
    measured.sort_unstable_by(order);
    answer.rows =
        measured.iter().enumerate().map(|(at, measured)| gauge.row(view, measured.group, at < TRENDS)).collect();
    if let Some(series) = past.series(query) {
        // Without an answer from any node no number can have changed.
        let comparable = query.filter.groups.is_empty() && view.counted_nodes() > 0;
        answer.change = past.total_change(series, &answer.total, query).filter(|_| comparable);
        answer.trend = past.total_trend(series, &answer.total, query.trend);
    }
    answer
}

impl<P: Past> Gauge<'_, P> {
    fn row(&self, view: &View, group: &Group, with_trend: bool) -> Row {
        // Rows share the end that stands for all externals, but each counts only its own, and names a single one.
        let end = |ends: &[GroupEnd], at: u32, side: usize| {
            let end = ends.get(at as usize)?.clone();
            let end = match group.outside[side] {
                0 => return Some(end),
                1 => end.of_one(view.endpoints[group.outsider[side] as usize].ip),
                addresses => GroupEnd { addresses, ..end },
            };
            Some(match end.ip.and_then(|ip| view.names.get(&ip)) {
                Some(name) => end.named(name),
                None => end,
            })
        };
        let growth = self.growth(group);
        Row {
            key: group.key,
            src: end(&self.groups.sources, group.src, 0),
            dst: match group.fan {
                Some(fan) => Some(fan.end()),
                None => end(&self.groups.destinations, group.dst, 1),
            },
            behind: self.groups.backends.get(group.behind as usize).cloned(),
            node: (group.node != NONE).then(|| view.nodes[group.node as usize].node.as_str().into()),
            port: group.port,
            protocol: group.protocol,
            state: group.state,
            sum: group.sum,
            change: self.change(group),
            first_seen: self.first_seen(group),
            growth,
            trend: match self.series(group) {
                Some(series) if with_trend => self.past.trend(series, group.key, &group.sum, self.query.trend),
                _ => Trend::default(),
            },
            fan: group.fan.is_some(),
            flags: self.flags(group, &growth),
        }
    }

    fn order(&self, view: &View, a: &Measured<'_>, b: &Measured<'_>) -> Ordering {
        let text = |ends: &'_ [GroupEnd], at: u32| ends.get(at as usize).map(|end| Arc::clone(&end.text));
        let node = |at: u32| view.nodes.get(at as usize).map(|node| node.node.as_str());
        let sources = || text(&self.groups.sources, a.group.src).cmp(&text(&self.groups.sources, b.group.src));
        let ends = || {
            let backends =
                || text(&self.groups.backends, a.group.behind).cmp(&text(&self.groups.backends, b.group.behind));
            let order = text(&self.groups.destinations, a.group.dst).cmp(&text(&self.groups.destinations, b.group.dst));
            order.then_with(backends)
        };
        let sum = |pick: fn(&Sum) -> u64| pick(&b.group.sum).cmp(&pick(&a.group.sum));
        let number = |pick: fn(Change) -> f64| {
            let value = |measured: &Measured<'_>| measured.change.map_or(f64::NEG_INFINITY, pick);
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
            SortBy::Closed => sum(|sum| sum.ended_rate),
            SortBy::Stalled => sum(|sum| sum.stalled),
            SortBy::Unanswered => sum(|sum| sum.unanswered),
            SortBy::Source => sources(),
            SortBy::Destination => ends(),
            SortBy::Port => a.group.port.cmp(&b.group.port),
            SortBy::Node => node(a.group.node).cmp(&node(b.group.node)),
            SortBy::State => a.group.state.map(state::name).cmp(&b.group.state.map(state::name)),
        };
        let first = if self.query.sort.reverse { first.reverse() } else { first };
        // Equal rows keep one order, so that lists do not flicker.
        first.then_with(|| sum(|sum| sum.connections)).then_with(sources).then_with(ends).then_with(|| {
            let place = |group: &Group| (group.port, group.state.map(state::number), group.key);
            place(a.group).cmp(&place(b.group))
        })
    }
}

#[cfg(test)]
mod tests;
