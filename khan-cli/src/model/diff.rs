//! Two views to what differs between them: the rows of one question, side by side.
//!
//! A part that one view does not know is compared with nothing: what a node that did not answer holds is left out on both
//! sides, and a row that only one view has is neither new nor gone while the other may hold it among what it lacks.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use khan_api::Timestamp;

use super::group_by::RowKey;
use super::groups::past::{Change, Past, Trend};
use super::groups::{Projection, Row, Sum, group, project};
use super::growth::Sample;
use super::hash::MixMap;
use super::merge::{NodeInput, merge};
use super::query::{Query, SortBy};
use super::table::NodeTable;
use super::view::View;

/// How a row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It was not there before.
    New,
    /// It is not there any more.
    Gone,
    /// It has more connections.
    Grown,
    /// It has fewer.
    Shrunk,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::New, Self::Gone, Self::Grown, Self::Shrunk];

    /// As `--show` takes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Gone => "gone",
            Self::Grown => "grown",
            Self::Shrunk => "shrunk",
        }
    }
}

/// A row that differs.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The row as it is after; for one that is gone, as it was before.
    pub row: Row,
    /// How it differs.
    pub kind: Kind,
    /// Connections before.
    pub before: u64,
    /// Connections after.
    pub after: u64,
}

impl Difference {
    /// Connections after minus connections before.
    pub fn delta(&self) -> i64 {
        difference(self.after, self.before)
    }
}

/// What differs.
#[derive(Clone, Debug, Default)]
pub struct Diff {
    /// Rows that differ, in the query's order; by change the largest first, whichever way.
    pub rows: Vec<Difference>,
    /// Rows that do not.
    pub unchanged: usize,
    /// Rows of one view that the other may hold among what it lacks.
    pub undecided: usize,
    /// Connections of the rows before, on the nodes that are compared.
    pub before: u64,
    /// The same after.
    pub after: u64,
    /// Connections of Khan's own that are left out before and after; none when the query asks for them.
    pub own: [u64; 2],
    /// What is not compared, one sentence each.
    pub missing: Vec<String>,
}

/// Compares the rows of `query` in two views. Its group terms hold for a row that satisfies them on either side. `unsure`
/// names nodes of which one view says nothing although they may be there.
pub fn diff(before: &View, after: &View, query: &Query, unsure: &BTreeSet<String>) -> Diff {
    let mut diff = Diff::default();
    let (lost, silent) = (silent(before), silent(after));
    for (names, when) in [(&lost, "before"), (&silent, "after")] {
        let sentence = |name: &String| format!("node {name} is not compared: nothing is known of it {when}");
        diff.missing.extend(names.iter().map(sentence));
    }
    let left_out: BTreeSet<_> = lost.into_iter().chain(silent).chain(unsure.iter().cloned()).collect();
    let (before, after) = (without(before, &left_out), without(after, &left_out));
    let (may_hold_before, may_hold_after) = (lacks(&before), lacks(&after));
    let query = &Query { limit: 0, fold: false, ..query.clone() };
    let values = |view: &View| -> (MixMap<u128, u64>, u64) {
        let groups = group(view, query);
        (groups.all.iter().map(|group| (group.key.0, group.sum.connections)).collect(), groups.total.connections)
    };
    let over = after.assembled.since(before.assembled);
    let (then, now) = (values(&before), values(&after));
    let was = project(&before, query, &Other { rows: &now.0, total: now.1, sign: -1, over });
    let is = project(&after, query, &Other { rows: &then.0, total: then.1, sign: 1, over });
    diff.own = [was.own, is.own];
    for (row, before, after) in pairs(was, is, &then.0, &now.0) {
        diff.before += before;
        diff.after += after;
        let kind = match (before, after) {
            (0, 1..) if may_hold_before => None,
            (1.., 0) if may_hold_after => None,
            (0, 1..) => Some(Kind::New),
            (1.., 0) => Some(Kind::Gone),
            _ if after > before => Some(Kind::Grown),
            _ if after < before => Some(Kind::Shrunk),
            _ => {
                diff.unchanged += 1;
                continue;
            }
        };
        match kind {
            Some(kind) => diff.rows.push(Difference { row, kind, before, after }),
            None => diff.undecided += 1,
        }
    }
    sort(&mut diff.rows, query);
    diff
}

/// Rows that either answer has, with their connections on both sides.
fn pairs(
    was: Projection,
    is: Projection,
    then: &MixMap<u128, u64>,
    now: &MixMap<u128, u64>,
) -> impl Iterator<Item = (Row, u64, u64)> {
    let mut rows: HashMap<RowKey, Row> = was.rows.into_iter().map(|row| (row.key, row)).collect();
    rows.extend(is.rows.into_iter().map(|row| (row.key, row)));
    let of = |side: &MixMap<u128, u64>, key: RowKey| side.get(&key.0).copied().unwrap_or(0);
    rows.into_values().map(move |row| {
        let (before, after) = (of(then, row.key), of(now, row.key));
        (row, before, after)
    })
}

/// Nodes that a view lists and knows nothing of.
fn silent(view: &View) -> BTreeSet<String> {
    let counted: BTreeSet<_> = view.nodes.iter().filter(|node| node.counted).map(|node| &node.node).collect();
    let names = view.nodes.iter().map(|node| &node.node).filter(|name| !name.is_empty() && !counted.contains(name));
    names.cloned().collect()
}

/// The view as it would be if these nodes had not answered: what they hold is counted where others see it.
fn without(view: &View, nodes: &BTreeSet<String>) -> View {
    let mut tables: HashMap<u32, _> = view.tables().map(|(node, table)| (node, table.clone())).collect();
    let inputs = view.nodes.iter().zip(0..).map(|(status, at)| {
        let table = tables.remove(&at).filter(|_| !nodes.contains(&status.node));
        NodeInput { status: status.clone(), table }
    });
    let mut merged = merge(view.source.clone(), inputs.collect(), view.assembled);
    merged.missing.clone_from(&view.missing);
    merged
}

/// Whether a view may hold rows that it does not show.
fn lacks(view: &View) -> bool {
    view.rest.is_some_and(|rest| rest.rows > 0)
        || !view.missing.is_empty()
        || view.endpoints.iter().any(|endpoint| NodeTable::is_sum(endpoint))
}

fn sort(rows: &mut [Difference], query: &Query) {
    let texts = |one: &Difference| {
        let row = &one.row;
        (row.source().to_owned(), row.destination().to_owned(), row.port, row.node.clone(), row.key)
    };
    let order = |a: &Difference, b: &Difference| -> Ordering {
        let by = |number: fn(&Difference) -> u64| Reverse(number(a)).cmp(&Reverse(number(b)));
        let first = match query.sort.by {
            SortBy::Source => a.row.source().cmp(b.row.source()),
            SortBy::Destination => a.row.destination().cmp(b.row.destination()),
            SortBy::Port => a.row.port.cmp(&b.row.port),
            SortBy::Node => a.row.node.cmp(&b.row.node),
            SortBy::State => {
                let name = |one: &Difference| one.row.state.map(super::state::name);
                name(a).cmp(&name(b))
            }
            SortBy::Connections => by(|one| one.after),
            SortBy::Idle => by(|one| one.row.sum.idle_connections),
            SortBy::HalfClosed => by(|one| one.row.sum.half_closed()),
            SortBy::Closed => by(|one| one.row.sum.ended_rate),
            SortBy::Stalled => by(|one| one.row.sum.stalled),
            SortBy::Unanswered => by(|one| one.row.sum.unanswered),
            SortBy::Established => {
                by(|one| one.row.sum.states.established_percent().map_or(0, |percent| u64::from(percent) + 1))
            }
            _ => by(|one| one.delta().unsigned_abs()),
        };
        let first = if query.sort.reverse { first.reverse() } else { first };
        first.then_with(|| texts(a).cmp(&texts(b)))
    };
    rows.sort_by(order);
}

fn difference(now: u64, then: u64) -> i64 {
    i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(i64::try_from(then).unwrap_or(i64::MAX))
}

/// The other view, as the past of this one.
struct Other<'a> {
    rows: &'a MixMap<u128, u64>,
    total: u64,
    /// 1 where it is the earlier one.
    sign: i64,
    over: Duration,
}

impl Past for Other<'_> {
    type Series = ();

    fn series(&self, _: &Query) -> Option<&()> {
        Some(&())
    }

    fn oldest(&self) -> Option<Timestamp> {
        None
    }

    fn newest(&self) -> Option<Timestamp> {
        None
    }

    fn change(&self, (): &(), key: RowKey, current: &Sum, _: &Query) -> Option<Change> {
        let other = self.rows.get(&key.0).copied().unwrap_or(0);
        Some(Change { delta: self.sign * difference(current.connections, other), over: self.over })
    }

    fn total_change(&self, (): &(), current: &Sum, _: &Query) -> Option<Change> {
        Some(Change { delta: self.sign * difference(current.connections, self.total), over: self.over })
    }

    fn samples(&self, (): &(), _: RowKey, _: Duration) -> Vec<Sample> {
        Vec::new()
    }

    fn trend(&self, (): &(), _: RowKey, _: &Sum, _: Duration) -> Trend {
        Trend::default()
    }

    fn total_trend(&self, (): &(), _: &Sum, _: Duration) -> Trend {
        Trend::default()
    }

    fn is_since_baseline(&self, (): &(), key: RowKey, _: &Query) -> bool {
        self.sign > 0 && !self.rows.contains_key(&key.0)
    }

    fn first_seen(&self, (): &(), _: RowKey) -> Option<Timestamp> {
        None
    }
}

#[cfg(test)]
mod tests;
