//! Values over time: one sample per settled, distinct view, one ring per row of each tracked query shape.
//!
//! Views themselves are kept within a bound of rows, so that a new grouping or filter gets its past at once. A node that
//! joins, leaves or boots makes a break: for the rows that it contributes to, nothing is compared across it. A change
//! is never taken over a gap, in which this computer slept or its clock was set.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use khan_api::Timestamp;

use super::group::RowKey;
use super::hash::MixMap;
use super::pivot::{Pivot, Sum, node_bit, pivot};
use super::query::Query;
use super::view::View;

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Samples per row; with one every 5 s, 720 are an hour.
    pub samples: usize,
    /// Rows per query shape; beyond it the smallest are not followed.
    pub keys: usize,
    /// Rows of kept views, tables that views share counted once. A row takes about 80 bytes.
    pub view_rows: usize,
    /// Query shapes.
    pub shapes: usize,
    /// Samples are at least this far apart. Agents answer one after the other, each answer makes a view, and a sample of
    /// each would fill the history with next to nothing.
    pub spacing: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { samples: 720, keys: 5_000, view_rows: 1_000_000, shapes: 12, spacing: Duration::from_secs(4) }
    }
}

impl Limits {
    /// For a source that is asked once an `interval`, so that every answer is a sample, and `window` holds no more of them
    /// than are remembered.
    pub fn spaced(interval: Duration, window: Duration) -> Self {
        let usual = Self::default();
        let samples = u32::try_from(usual.samples).unwrap_or(u32::MAX);
        let least = window / samples.saturating_sub(samples / 10).max(1);
        Self { spacing: interval.mul_f64(0.8).min(usual.spacing).max(least), ..usual }
    }
}

/// What happened at one sample.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    at: Timestamp,
    /// Bits of nodes that joined, left or booted since the sample before.
    broken: u64,
    /// Much more time than usual lies between it and the sample before: this computer slept, or its clock was set.
    gap: bool,
}

/// One point of a [`Trend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The row did not exist yet.
    Before,
    /// A node that contributes to the row was away.
    Missing,
    /// Connections.
    Value(u64),
}

/// The values of a row over time, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trend {
    /// When, by our clock.
    pub at: Vec<Timestamp>,
    /// What; as many as `at`.
    pub points: Vec<Point>,
}

/// A change over a known time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Connections now minus connections then.
    pub delta: i64,
    /// How long ago "then" was.
    pub over: Duration,
}

impl Change {
    /// Per minute.
    pub fn per_minute(self) -> f64 {
        let seconds = self.over.as_secs_f64();
        if seconds > 0.0 { self.delta as f64 * 60.0 / seconds } else { 0.0 }
    }
}

/// Everything remembered. One writer; reading is pure.
#[derive(Debug, Default)]
pub struct History {
    limits: Limits,
    views: VecDeque<Arc<View>>,
    view_rows: usize,
    stamps: VecDeque<Stamp>,
    /// Sequence number of the first stamp.
    first: u64,
    latest: Option<u64>,
    /// When the latest sample's view was assembled.
    pushed: Option<Timestamp>,
    /// Boot id of each node that the latest sample counted.
    boots: HashMap<String, String>,
    shapes: Vec<Series>,
    baseline: Option<Arc<View>>,
}

/// The rings of one query shape.
#[derive(Debug)]
pub(crate) struct Series {
    shape: u128,
    query: Query,
    rings: MixMap<u128, Ring>,
    total: Ring,
    baseline: Option<(MixMap<u128, u64>, u64)>,
    /// Sequence number of its first sample.
    since: Option<u64>,
    /// Some rows are not followed, so "not seen before" is not certain.
    truncated: bool,
}

#[derive(Clone, Debug, Default)]
struct Ring {
    /// Sequence number of the first value.
    start: u64,
    /// Sequence number from which on "no value" means "no connections"; before it nothing is known.
    known_from: u64,
    values: VecDeque<u32>,
    /// Bits of every node that contributed.
    nodes: u64,
}

const MISSING: u32 = u32::MAX;
/// So many usual steps without a sample are a gap.
const GAP: u32 = 3;

impl Ring {
    fn push(&mut self, value: u64) {
        self.values.push_back(u32::try_from(value).unwrap_or(MISSING - 1).min(MISSING - 1));
    }

    fn is_spent(&self) -> bool {
        self.values.iter().all(|value| *value == 0 || *value == MISSING)
    }
}

impl History {
    /// With limits other than the default.
    pub fn with_limits(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes a sample of `view` if it is settled and not the one before; says whether it did.
    pub fn push(&mut self, view: Arc<View>) -> bool {
        // A clock that was set back must not stop the history.
        let soon = |pushed: Timestamp| view.assembled >= pushed && view.assembled.since(pushed) < self.limits.spacing;
        let early = self.pushed.is_some_and(soon);
        if !view.settled || self.latest == Some(view.id) || early {
            return false;
        }
        self.pushed = Some(view.assembled);
        let broken = self.breaks(&view);
        self.latest = Some(view.id);
        let at = view.newest.unwrap_or(view.assembled);
        let gap = self.is_gap(at, &view);
        self.stamps.push_back(Stamp { at, broken, gap });
        let (first, sequence) = (self.first, self.first + self.stamps.len() as u64 - 1);
        for series in &mut self.shapes {
            series.push(&pivot(&view, &series.query), sequence, broken, self.limits);
        }
        self.keep(view);
        if self.stamps.len() > self.limits.samples {
            self.stamps.pop_front();
            self.first += 1;
            for series in &mut self.shapes {
                series.forget(first);
            }
        }
        true
    }

    /// Puts views that are older than every sample before them; oldest first. For sources that know the past.
    pub fn backfill(&mut self, past: Vec<Arc<View>>) {
        let earliest = self.stamps.front().map(|stamp| stamp.at);
        let kept: Vec<_> = std::mem::take(&mut self.views).into();
        let queries: Vec<_> = self.shapes.iter().map(|series| series.query.clone()).collect();
        let older = past.into_iter().filter(|view| earliest.is_none_or(|at| view.newest < Some(at)));
        let baseline = self.baseline.take();
        *self = Self { limits: self.limits, baseline, ..Self::default() };
        for view in older.chain(kept) {
            self.push(view);
        }
        for query in &queries {
            self.track(query);
        }
    }

    /// The queries that are followed.
    pub fn tracked(&self) -> impl Iterator<Item = &Query> {
        self.shapes.iter().map(|series| &series.query)
    }

    /// Follows the query's shape from now on, and as far back as kept views reach.
    pub fn track(&mut self, query: &Query) {
        let shape = query.shape();
        if let Some(at) = self.shapes.iter().position(|series| series.shape == shape) {
            let series = self.shapes.remove(at);
            self.shapes.push(series);
            return;
        }
        if self.shapes.len() >= self.limits.shapes {
            self.shapes.remove(0);
        }
        let mut series = Series {
            shape,
            query: query.clone(),
            rings: MixMap::default(),
            total: Ring::default(),
            baseline: None,
            since: None,
            truncated: false,
        };
        let skipped = self.stamps.len() - self.views.len();
        for (index, view) in self.views.iter().enumerate() {
            let sequence = self.first + (skipped + index) as u64;
            series.push(&pivot(view, query), sequence, self.stamps[skipped + index].broken, self.limits);
        }
        series.rebase(self.baseline.as_deref());
        self.shapes.push(series);
    }

    /// Compares with `view` from now on; `None` compares with the window's start again.
    pub fn set_baseline(&mut self, view: Option<Arc<View>>) {
        self.baseline = view;
        for series in &mut self.shapes {
            series.rebase(self.baseline.as_deref());
        }
    }

    /// When the baseline was taken.
    pub fn baseline_at(&self) -> Option<Timestamp> {
        self.baseline.as_ref().map(|view| view.newest.unwrap_or(view.assembled))
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.stamps.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.stamps.is_empty()
    }

    /// When the oldest and the newest sample were taken.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.stamps.front()?.at, self.stamps.back()?.at))
    }

    /// Whether `at` is later than the latest sample by more than three times what is usual, or earlier.
    fn is_gap(&self, at: Timestamp, view: &View) -> bool {
        let mut stamps = self.stamps.iter().rev().map(|stamp| stamp.at);
        let (Some(last), before) = (stamps.next(), stamps.next()) else { return false };
        // How often a source tells is known from what it has told; how often its agents scan, they say.
        let Some(step) = before.map(|before| last.since(before)) else { return at < last };
        let scans = view.nodes.iter().filter(|node| node.counted).map(|node| node.interval).max();
        let usual = step.max(scans.unwrap_or_default()).max(self.limits.spacing);
        at < last || at.since(last) > usual * GAP
    }

    fn breaks(&mut self, view: &View) -> u64 {
        let now: HashMap<_, _> = view
            .nodes
            .iter()
            .filter(|node| node.counted)
            .map(|node| (node.node.clone(), node.boot_id.clone()))
            .collect();
        let changed = |a: &HashMap<String, String>, b: &HashMap<String, String>| {
            a.iter().filter(|(node, boot)| b.get(*node) != Some(*boot)).fold(0, |bits, (node, _)| bits | node_bit(node))
        };
        let broken = if self.stamps.is_empty() { 0 } else { changed(&self.boots, &now) | changed(&now, &self.boots) };
        self.boots = now;
        broken
    }

    fn keep(&mut self, view: Arc<View>) {
        self.view_rows += self.views.back().map_or_else(|| view.weight(), |before| view.weight_beyond(before));
        self.views.push_back(view);
        while self.views.len() > 1 && (self.view_rows > self.limits.view_rows || self.views.len() > self.limits.samples)
        {
            if let (Some(gone), Some(next)) = (self.views.pop_front(), self.views.front()) {
                self.view_rows = self.view_rows.saturating_sub(gone.weight_beyond(next));
            }
        }
    }

    pub(crate) fn series(&self, query: &Query) -> Option<&Series> {
        let shape = query.shape();
        self.shapes.iter().find(|series| series.shape == shape)
    }

    /// The change of a row whose value is now `current`, over `window` or since the baseline.
    pub(crate) fn change(&self, series: &Series, key: RowKey, current: &Sum, query: &Query) -> Option<Change> {
        let baseline = if query.since_baseline { series.baseline.as_ref() } else { None };
        let then = baseline.map(|(values, _)| values.get(&key.0).copied().unwrap_or(0));
        self.compare(series.rings.get(&key.0), then, current, query.window)
    }

    /// The same for everything that the query counts.
    pub(crate) fn total_change(&self, series: &Series, current: &Sum, query: &Query) -> Option<Change> {
        let baseline = if query.since_baseline { series.baseline.as_ref() } else { None };
        self.compare(Some(&series.total), baseline.map(|(_, total)| *total), current, query.window)
    }

    fn compare(&self, ring: Option<&Ring>, then: Option<u64>, current: &Sum, window: Duration) -> Option<Change> {
        let now = self.stamps.back()?.at;
        if let (Some(then), Some(at)) = (then, self.baseline_at()) {
            return Some(Change { delta: difference(current.connections, then), over: now.since(at) });
        }
        // A row that is not followed is no older than the latest sample, or too small to be followed.
        let ring = ring?;
        let awake = self.stamps.iter().rposition(|stamp| stamp.gap).unwrap_or(0);
        let (index, then) = self.reach(ring, window).rfind(|(index, _)| *index >= awake)?;
        let over = now.since(self.stamps[index].at);
        (!over.is_zero()).then(|| Change { delta: difference(current.connections, then), over })
    }

    /// Samples of a row from the newest back to the start of `window` or the latest break: index and value. Samples
    /// before the row was first seen count as zero.
    fn reach<'a>(&'a self, ring: &'a Ring, window: Duration) -> impl DoubleEndedIterator<Item = (usize, u64)> + 'a {
        let now = self.stamps.back().map_or_else(Timestamp::default, |stamp| stamp.at);
        let mut start = self.stamps.len();
        for (index, stamp) in self.stamps.iter().enumerate().rev() {
            if now.since(stamp.at) > window {
                break;
            }
            start = index;
            if stamp.broken & ring.nodes != 0 {
                break;
            }
        }
        let value = move |index: usize| match self.point(ring, index) {
            Point::Value(value) => Some((index, value)),
            Point::Before => Some((index, 0)),
            Point::Missing => None,
        };
        (start..self.stamps.len()).rev().filter_map(value)
    }

    fn point(&self, ring: &Ring, index: usize) -> Point {
        let offset = (self.first + index as u64).checked_sub(ring.start);
        match offset.map(|offset| ring.values.get(usize::try_from(offset).unwrap_or(usize::MAX))) {
            None if self.first + (index as u64) < ring.known_from => Point::Missing,
            None => Point::Before,
            Some(None | Some(&MISSING)) => Point::Missing,
            Some(Some(value)) => Point::Value(u64::from(*value)),
        }
    }

    /// Oldest to newest values within `window`, back to the latest break.
    pub(crate) fn samples(&self, series: &Series, key: RowKey, window: Duration) -> Vec<u64> {
        let Some(ring) = series.rings.get(&key.0) else { return Vec::new() };
        let known = |(index, _): &(usize, u64)| self.point(ring, *index) != Point::Before;
        let mut values: Vec<_> = self.reach(ring, window).take_while(known).map(|(_, value)| value).collect();
        values.reverse();
        values
    }

    /// The trend of a row over `window`.
    pub(crate) fn trend(&self, series: &Series, key: RowKey, window: Duration) -> Trend {
        series.rings.get(&key.0).map_or_else(Trend::default, |ring| self.draw(ring, window))
    }

    /// The trend of everything that the query counts.
    pub(crate) fn total_trend(&self, series: &Series, window: Duration) -> Trend {
        self.draw(&series.total, window)
    }

    fn draw(&self, ring: &Ring, window: Duration) -> Trend {
        let Some(now) = self.stamps.back().map(|stamp| stamp.at) else { return Trend::default() };
        let start = self.stamps.partition_point(|stamp| now.since(stamp.at) > window);
        Trend {
            at: self.stamps.range(start..).map(|stamp| stamp.at).collect(),
            points: (start..self.stamps.len()).map(|index| self.point(ring, index)).collect(),
        }
    }

    /// Whether the query compares with a baseline that the row is not in.
    pub(crate) fn is_since_baseline(series: &Series, key: RowKey, query: &Query) -> bool {
        let baseline = series.baseline.as_ref().filter(|_| query.since_baseline);
        baseline.is_some_and(|(values, _)| !values.contains_key(&key.0))
    }

    /// When the row was first seen; `None` when it is as old as the history, or its node joined with it.
    pub(crate) fn first_seen(&self, series: &Series, key: RowKey) -> Option<Timestamp> {
        let ring = series.rings.get(&key.0)?;
        let index = usize::try_from(ring.start.checked_sub(self.first)?).ok()?;
        let stamp = self.stamps.get(index)?;
        let had_chance = ring.start > ring.known_from && index > 0;
        (had_chance && !series.truncated && stamp.broken & ring.nodes == 0).then_some(stamp.at)
    }
}

impl Series {
    fn push(&mut self, pivot: &Pivot, sequence: u64, broken: u64, limits: Limits) {
        let mut followed: Vec<_> = pivot.groups.iter().collect();
        if followed.len() > limits.keys {
            followed.select_nth_unstable_by_key(limits.keys, |group| std::cmp::Reverse(group.sum.connections));
            followed.truncate(limits.keys);
            self.truncated = true;
        }
        let since = *self.since.get_or_insert(sequence);
        let known_from = if self.truncated { sequence } else { since };
        for group in followed {
            let new = || Ring { start: sequence, known_from, ..Ring::default() };
            let ring = self.rings.entry(group.key.0).or_insert_with(new);
            ring.nodes |= group.sum.nodes;
            ring.push(group.sum.connections);
        }
        for ring in self.rings.values_mut() {
            while ring.start + (ring.values.len() as u64) <= sequence {
                let value = if ring.nodes & broken == 0 && !self.truncated { 0 } else { MISSING };
                ring.values.push_back(value);
            }
        }
        if self.total.values.is_empty() {
            (self.total.start, self.total.known_from) = (sequence, sequence);
        }
        self.total.nodes |= pivot.total.nodes;
        self.total.push(pivot.total.connections);
    }

    /// Drops the values of sample `sequence`, and rows that were not there since.
    fn forget(&mut self, sequence: u64) {
        let drop = |ring: &mut Ring| {
            if ring.start <= sequence && ring.values.pop_front().is_some() {
                ring.start += 1;
            }
        };
        drop(&mut self.total);
        self.rings.values_mut().for_each(drop);
        self.rings.retain(|_, ring| !ring.is_spent());
    }

    fn rebase(&mut self, baseline: Option<&View>) {
        self.baseline = baseline.map(|view| {
            let pivot = pivot(view, &self.query);
            (pivot.groups.iter().map(|group| (group.key.0, group.sum.connections)).collect(), pivot.total.connections)
        });
    }
}

fn difference(now: u64, then: u64) -> i64 {
    i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(i64::try_from(then).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::{Agent, view};
    use crate::model::{Projected, project};

    const STEP: i64 = 30;

    /// One view every 30 s, with these connections from `shop/web` on n1 and 5 from `shop/cart` on n2.
    fn views(values: &[u64]) -> Vec<Arc<View>> {
        let one = |(step, value): (usize, &u64)| {
            let at = STEP * i64::try_from(step).unwrap();
            let n1 = Agent::new("n1", at);
            let n1 = if *value > 0 { n1.row("shop/web@n1", "data/db@n3", 5432, *value) } else { n1 };
            view(&[n1, Agent::new("n2", at).row("shop/cart@n2", "data/db@n3", 5432, 5)])
        };
        values.iter().enumerate().map(one).collect()
    }

    fn fed(views: &[Arc<View>], query: &Query) -> History {
        let mut history = History::default();
        history.track(query);
        for view in views {
            assert!(history.push(Arc::clone(view)));
        }
        history
    }

    fn web(view: &View, query: &Query, history: &History) -> Projected {
        let rows = project(view, query, history).rows;
        rows.into_iter().find(|row| row.source() == "shop/web").unwrap()
    }

    #[test]
    fn changes_are_over_the_window() {
        let query = Query { window: Duration::from_mins(1), ..Query::default() };
        let views = views(&[10, 10, 20, 40, 50]);
        let history = fed(&views, &query);
        let row = web(&views[4], &query, &history);
        assert_eq!(row.change, Some(Change { delta: 30, over: Duration::from_mins(1) }));
        assert!((row.change.unwrap().per_minute() - 30.0).abs() < 1e-9);
        assert_eq!(row.trend.points.len(), 5);
        assert_eq!(project(&views[4], &query, &history).change.unwrap().delta, 30);
    }

    #[test]
    fn one_view_is_one_sample() {
        let query = Query::default();
        let views = views(&[10]);
        let mut history = fed(&views, &query);
        assert!(!history.push(Arc::clone(&views[0])));
        assert_eq!(web(&views[0], &query, &history).change, None);
        assert_eq!(history.len(), 1);
    }

    #[test]
    fn a_shape_tracked_late_gets_the_kept_past() {
        let early = Query::default();
        let views = views(&[10, 20, 30]);
        let mut history = fed(&views, &early);
        let late = Query { group_by: crate::model::GroupBy::SOURCES, ..early.clone() };
        assert_eq!(web(&views[2], &late, &history).change, None);
        history.track(&late);
        assert_eq!(web(&views[2], &late, &history).change.unwrap().delta, 20);
    }

    #[test]
    fn a_new_row_is_new_and_an_old_one_is_not() {
        let query = Query::default();
        let views = views(&[0, 0, 8]);
        let history = fed(&views, &query);
        let row = web(&views[2], &query, &history);
        assert_eq!(row.change.unwrap().delta, 8);
        assert_eq!(row.first_seen, views[2].newest);
        assert_eq!(row.trend.points, [Point::Before, Point::Before, Point::Value(8)]);
        assert!(row.has(crate::model::filter::Flag::New));
        let cart = project(&views[2], &query, &history).rows.remove(1);
        assert_eq!((cart.source(), cart.first_seen), ("shop/cart", None));
    }

    #[test]
    fn a_boot_is_no_fall_of_a_hundred_percent() {
        let query = Query::default();
        let mut agents: Vec<_> = [(0, 100), (30, 100), (60, 2), (90, 4)]
            .map(|(at, n)| Agent::new("n1", at).row("shop/web@n1", "data/db@n3", 5432, n))
            .into();
        for agent in &mut agents[2..] {
            agent.snapshot.boot_id = "later".into();
        }
        let views: Vec<_> = agents.into_iter().map(|agent| view(&[agent])).collect();
        let history = fed(&views[..3], &query);
        assert_eq!(web(&views[2], &query, &history).change, None);
        let history = fed(&views, &query);
        assert_eq!(web(&views[3], &query, &history).change, Some(Change { delta: 2, over: Duration::from_secs(30) }));
    }

    #[test]
    fn a_node_that_joins_brings_no_news() {
        let query = Query::default();
        let n2 = |at| Agent::new("n2", at).row("shop/cart@n2", "data/db@n3", 5432, 5);
        let both = view(&[n2(30), Agent::new("n1", 30).row("shop/web@n1", "data/db@n3", 5432, 9)]);
        let history = fed(&[view(&[n2(0)]), Arc::clone(&both)], &query);
        let row = web(&both, &query, &history);
        assert_eq!((row.change, row.first_seen), (None, None));
    }

    #[test]
    fn a_window_fits_into_what_is_remembered() {
        let spacing =
            |interval, window| Limits::spaced(Duration::from_secs(interval), Duration::from_secs(window)).spacing;
        assert_eq!(spacing(5, 900), Duration::from_secs(4));
        assert_eq!(spacing(1, 300), Duration::from_millis(800));
        // A day of snapshots every five seconds.
        let samples = 86_400 / spacing(5, 86_400).as_secs();
        assert!((500..=720).contains(&samples), "{samples}");
    }

    #[test]
    fn no_change_is_taken_over_a_gap_in_time() {
        let query = Query { window: Duration::from_hours(2), ..Query::default() };
        let at = |seconds, n| view(&[Agent::new("n1", seconds).row("shop/web@n1", "data/db@n3", 5432, n)]);
        let change = |views: &[Arc<View>]| {
            let history = fed(views, &query);
            web(views.last().unwrap(), &query, &history).change.map(|change| change.delta)
        };
        let slept = [at(0, 10), at(30, 20), at(3600, 500), at(3630, 510)];
        assert_eq!(change(&slept[..2]), Some(10));
        assert_eq!(change(&slept[..3]), None);
        assert_eq!(change(&slept), Some(10));
        let set_back = [at(600, 10), at(630, 20), at(0, 30), at(30, 45)];
        assert_eq!(change(&set_back[..3]), None);
        assert_eq!(change(&set_back), Some(15));
        assert_eq!(change(&[at(0, 10), at(30, 20), at(100, 30)]), Some(20), "a missed round is no gap");
    }

    #[test]
    fn a_baseline_outlives_the_window() {
        let query = Query { window: Duration::from_secs(30), since_baseline: true, ..Query::default() };
        let views = views(&[10, 20, 30, 40]);
        let mut history = fed(&views[..1], &query);
        history.set_baseline(Some(Arc::clone(&views[0])));
        for view in &views[1..] {
            history.push(Arc::clone(view));
        }
        assert_eq!(web(&views[3], &query, &history).change.unwrap().delta, 30);
        history.set_baseline(None);
        assert_eq!(web(&views[3], &query, &history).change.unwrap().delta, 10);
    }

    #[test]
    fn a_talker_that_is_not_in_the_baseline_is_new() {
        let query = Query { since_baseline: true, ..Query::default() };
        // Its node joins later, so that it is not known to be new otherwise.
        let cart = |at| Agent::new("n2", at).row("shop/cart@n2", "data/db@n3", 5432, 5);
        let both = view(&[cart(30), Agent::new("n1", 30).row("shop/web@n1", "data/db@n3", 5432, 9)]);
        let mut history = fed(&[view(&[cart(0)]), Arc::clone(&both)], &query);
        let is_new = |history: &History| web(&both, &query, history).has(crate::model::filter::Flag::New);
        assert!(!is_new(&history));
        history.set_baseline(Some(view(&[cart(0)])));
        assert!(is_new(&history));
        history.set_baseline(Some(Arc::clone(&both)));
        assert!(!is_new(&history));
    }

    #[test]
    fn memory_is_bounded_and_old_samples_go() {
        let limits = Limits { samples: 3, keys: 1, view_rows: 4, shapes: 1, ..Limits::default() };
        let query = Query::default();
        let mut history = History::with_limits(limits);
        history.track(&query);
        let views = views(&[10, 20, 30, 40, 50]);
        for view in &views {
            history.push(Arc::clone(view));
        }
        assert_eq!((history.len(), history.views.len(), history.shapes[0].rings.len()), (3, 2, 1));
        let row = web(&views[4], &query, &history);
        assert_eq!(row.change.unwrap().delta, 20);
    }

    #[test]
    fn the_past_goes_before_the_present() {
        let query = Query::default();
        let views = views(&[10, 20, 30]);
        let mut history = fed(&views[2..], &query);
        history.backfill(views[..2].to_vec());
        assert_eq!(web(&views[2], &query, &history).change.unwrap().delta, 20);
    }
}
