//! Values over time: one sample per settled, distinct view, one ring per row of each tracked query shape.
//!
//! Views themselves are kept within a bound of rows, so that a new grouping or filter gets its past at once.
//!
//! Samples are made comparable: values are those of the nodes that are known now. A node that is away keeps what it held
//! when it was last heard, and when it is back, what changed meanwhile is spread over its absence; one that joins is taken
//! to have held before what it holds at first. Only a boot makes a break, for the rows that the node has a part in. A
//! change is never taken over a gap in which this computer slept or its clock was set.

mod roster;
mod series;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use khan_api::Timestamp;

use super::NodeInput;
use super::group::RowKey;
use super::leak::Sample;
use super::pivot::Sum;
use super::query::Query;
use super::view::View;
use roster::{Roster, Step};
pub(crate) use series::Series;
use series::{MISSING, Ring};

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Samples per row; with one every 5 s, 720 are an hour.
    pub samples: usize,
    /// Rows per query shape; beyond it the smallest are not followed.
    pub keys: usize,
    /// Rows of kept views, tables that views share counted once. A row takes about 80 bytes, so that 20 MB are kept beside
    /// the latest view, whose size the agents decide.
    pub view_rows: usize,
    /// Query shapes.
    pub shapes: usize,
    /// Samples are at least this far apart. Agents answer one after the other, each answer makes a view, and a sample of
    /// each would fill the history with next to nothing.
    pub spacing: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { samples: 720, keys: 5_000, view_rows: 250_000, shapes: 12, spacing: Duration::from_secs(4) }
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
    /// Much more time than usual lies between it and the sample before: this computer slept, or its clock was set.
    gap: bool,
}

/// One point of a [`Trend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The row did not exist yet.
    Before,
    /// Nothing is known: the row was too small to be followed.
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
///
/// Rows are shared with the latest view. What it holds beyond that are numbers, views within [`Limits::view_rows`], and the
/// last rows of nodes that are away.
#[derive(Clone, Debug, Default)]
pub struct History {
    limits: Limits,
    views: VecDeque<Arc<View>>,
    view_rows: usize,
    /// The latest view, whether a sample was taken of it or not.
    present: Option<Arc<View>>,
    stamps: VecDeque<Stamp>,
    /// Sequence number of the first stamp.
    first: u64,
    latest: Option<u64>,
    /// When the latest sample's view was assembled.
    pushed: Option<Timestamp>,
    /// When the latest settled view was assembled, sample or not.
    offered: Option<Timestamp>,
    roster: Roster,
    shapes: Vec<Series>,
    baseline: Option<Baseline>,
}

/// What changes are counted from, instead of a window's start.
#[derive(Clone, Debug)]
struct Baseline {
    view: Arc<View>,
    /// Nodes that it does not know, or knows from before a boot, as they were when first heard; `None` for one given up.
    changed: BTreeMap<String, Option<NodeInput>>,
    /// The view with these changes.
    whole: Arc<View>,
}

impl Baseline {
    /// Takes note of nodes whose connections then cannot be compared; says whether there is one.
    fn change(&mut self, changes: &[(String, Option<NodeInput>)]) -> bool {
        let boot = |name: &str| self.view.nodes.iter().find(|node| node.counted && node.node == *name);
        let differs = |(name, input): &&(String, Option<NodeInput>)| match (input, boot(name)) {
            (Some(input), Some(then)) => input.status.boot_id != then.boot_id,
            (None, None) => self.changed.contains_key(name),
            _ => true,
        };
        let changes: Vec<_> = changes.iter().filter(differs).cloned().collect();
        if changes.is_empty() {
            return false;
        }
        self.changed.extend(changes);
        self.whole = Arc::new(roster::changed(&self.view, &self.changed));
        true
    }
}

/// So many usual steps without a sample are a gap.
const GAP: u32 = 3;

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
        if view.settled && early {
            self.offered = Some(view.assembled);
        }
        self.present = Some(Arc::clone(&view));
        if !view.settled || self.latest == Some(view.id) || early {
            self.roster.refresh(&view);
            return false;
        }
        let sequence = self.first + self.stamps.len() as u64;
        let offered = self.offered.replace(view.assembled);
        let Some(step) = self.roster.step(&view, sequence, self.first) else { return false };
        self.pushed = Some(view.assembled);
        self.latest = Some(view.id);
        let at = view.newest.unwrap_or(view.assembled);
        let gap = self.is_gap(at, &view, offered);
        self.stamps.push_back(Stamp { at, gap });
        let rebased = self.baseline.as_mut().is_some_and(|baseline| baseline.change(&step.changed));
        let first = self.first;
        let at = |sequence: u64| taken(&self.stamps, first, sequence);
        for series in &mut self.shapes {
            series.push(&step, sequence, at, self.limits);
            if rebased {
                series.rebase(self.baseline.as_ref().map(|baseline| (&*baseline.view, &*baseline.whole)));
            }
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

    /// Puts views that are older than every sample before them; oldest first. For sources that know the past. Where they
    /// tell more rows apart than kept views do, they take the place of those.
    pub fn backfill(&mut self, past: Vec<Arc<View>>) {
        let depth = past.last().map_or(0, |view| view.depth);
        let mut kept = self.replayed();
        kept.retain(|view| view.depth >= depth);
        let earliest = kept.first().and_then(|view| view.newest);
        let queries: Vec<_> = self.shapes.iter().map(|series| series.query.clone()).collect();
        let older = past.into_iter().filter(|view| earliest.is_none_or(|at| view.newest < Some(at)));
        let baseline = self.baseline.take().map(|baseline| baseline.view);
        *self = Self { limits: self.limits, ..Self::default() };
        self.set_baseline(baseline);
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
        let mut series = Series::new(query);
        let views = self.replayed();
        let skipped = self.stamps.len() - views.len();
        let (first, mut roster) = (self.first, Roster::default());
        let at = |sequence: u64| taken(&self.stamps, first, sequence);
        for (sequence, view) in (first + skipped as u64..).zip(&views) {
            let step = roster.step(view, sequence, first).unwrap_or_else(|| Step::plain(view));
            series.push(&step, sequence, at, self.limits);
        }
        series.rebase(self.baseline.as_ref().map(|baseline| (&*baseline.view, &*baseline.whole)));
        self.shapes.push(series);
    }

    /// Compares with `view` from now on; `None` compares with the window's start again.
    pub fn set_baseline(&mut self, view: Option<Arc<View>>) {
        self.baseline = view.map(|view| {
            let mut baseline = Baseline { whole: Arc::clone(&view), view, changed: BTreeMap::new() };
            let away = self.roster.away().map(|input| (input.status.node.clone(), Some(input.clone())));
            baseline.change(&away.collect::<Vec<_>>());
            baseline
        });
        for series in &mut self.shapes {
            series.rebase(self.baseline.as_ref().map(|baseline| (&*baseline.view, &*baseline.whole)));
        }
    }

    /// When the baseline was taken.
    pub fn baseline_at(&self) -> Option<Timestamp> {
        self.baseline.as_ref().map(|baseline| baseline.view.newest.unwrap_or(baseline.view.assembled))
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

    /// Whether `at` is later than the latest sample by more than three times what is usual although views came meanwhile, or
    /// earlier.
    fn is_gap(&self, at: Timestamp, view: &View, offered: Option<Timestamp>) -> bool {
        let mut stamps = self.stamps.iter().rev().map(|stamp| stamp.at);
        let (Some(last), before) = (stamps.next(), stamps.next()) else { return false };
        // How often a source tells is known from what it has told; how often its agents scan, they say.
        let Some(step) = before.map(|before| last.since(before)) else { return at < last };
        let scans = view.nodes.iter().filter(|node| node.counted).map(|node| node.interval).max();
        let usual = step.max(scans.unwrap_or_default()).max(self.limits.spacing) * GAP;
        let slept = offered.is_none_or(|offered| view.assembled.since(offered) > usual);
        at < last || at.since(last) > usual && slept
    }

    /// The samples' views that are kept, oldest first. Where even the latest is too large, the present one stands for it.
    fn replayed(&self) -> Vec<Arc<View>> {
        if self.views.is_empty() && !self.stamps.is_empty() {
            return self.present.iter().cloned().collect();
        }
        self.views.iter().cloned().collect()
    }

    fn keep(&mut self, view: Arc<View>) {
        self.view_rows += self.views.back().map_or_else(|| view.weight(), |before| view.weight_beyond(before));
        self.views.push_back(view);
        while self.view_rows > self.limits.view_rows || self.views.len() > self.limits.samples {
            let Some(gone) = self.views.pop_front() else { break };
            let next = self.views.front();
            let freed = next.map_or(self.view_rows, |next| gone.weight_beyond(next));
            self.view_rows = self.view_rows.saturating_sub(freed);
        }
    }

    pub(crate) fn series(&self, query: &Query) -> Option<&Series> {
        let shape = query.shape();
        self.shapes.iter().find(|series| series.shape == shape)
    }

    /// The change of a row over `window` or since the baseline, on the nodes that are known now.
    pub(crate) fn change(&self, series: &Series, key: RowKey, current: &Sum, query: &Query) -> Option<Change> {
        let baseline = series.baseline.as_ref().filter(|_| query.since_baseline);
        let then = baseline.map(|baseline| baseline.then.get(&key.0).copied().unwrap_or(0));
        self.compare(series.rings.get(&key.0), then, current, query.window)
    }

    /// The same for everything that the query counts.
    pub(crate) fn total_change(&self, series: &Series, current: &Sum, query: &Query) -> Option<Change> {
        let baseline = series.baseline.as_ref().filter(|_| query.since_baseline);
        self.compare(Some(&series.total), baseline.map(|baseline| baseline.total), current, query.window)
    }

    fn compare(&self, ring: Option<&Ring>, then: Option<u64>, current: &Sum, window: Duration) -> Option<Change> {
        let now = self.stamps.back()?.at;
        // The latest sample has the nodes that are away, what is on the screen has not.
        let newest = ring.and_then(Ring::newest);
        if let (Some(then), Some(at)) = (then, self.baseline_at()) {
            let delta = difference(newest.unwrap_or(current.connections), then);
            return Some(Change { delta, over: now.since(at) });
        }
        // A row that is not followed is no older than the latest sample, or too small to be followed.
        let ring = ring?;
        let awake = self.stamps.iter().rposition(|stamp| stamp.gap).unwrap_or(0);
        let (index, then) = self.reach(ring, window).rfind(|(index, _)| *index >= awake)?;
        let over = now.since(self.stamps[index].at);
        (!over.is_zero()).then(|| Change { delta: difference(newest.unwrap_or(current.connections), then), over })
    }

    /// Samples of a row from the newest back to the start of `window` or the latest break: index and value. Samples
    /// before the row was first seen count as zero.
    fn reach<'a>(&'a self, ring: &'a Ring, window: Duration) -> impl DoubleEndedIterator<Item = (usize, u64)> + 'a {
        let now = self.stamps.back().map_or_else(Timestamp::default, |stamp| stamp.at);
        let comparable = usize::try_from(ring.comparable_from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let stamps = self.stamps.iter().enumerate().rev();
        let within = stamps.take_while(|(index, stamp)| *index >= comparable && now.since(stamp.at) <= window);
        let start = within.last().map_or(self.stamps.len(), |(index, _)| index);
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

    /// Oldest to newest values within `window`, back to the latest break, each with its time in seconds.
    pub(crate) fn samples(&self, series: &Series, key: RowKey, window: Duration) -> Vec<Sample> {
        let Some(ring) = series.rings.get(&key.0) else { return Vec::new() };
        let known = |(index, _): &(usize, u64)| self.point(ring, *index) != Point::Before;
        let sample = |(index, value): (usize, u64)| (self.stamps[index].at.millis() as f64 / 1000.0, value);
        let mut values: Vec<_> = self.reach(ring, window).take_while(known).map(sample).collect();
        values.reverse();
        values
    }

    /// The trend of a row over `window`, which ends in its value now.
    pub(crate) fn trend(&self, series: &Series, key: RowKey, current: &Sum, window: Duration) -> Trend {
        series.rings.get(&key.0).map_or_else(Trend::default, |ring| self.draw(ring, current, window))
    }

    /// The trend of everything that the query counts.
    pub(crate) fn total_trend(&self, series: &Series, current: &Sum, window: Duration) -> Trend {
        self.draw(&series.total, current, window)
    }

    fn draw(&self, ring: &Ring, current: &Sum, window: Duration) -> Trend {
        let Some(now) = self.stamps.back().map(|stamp| stamp.at) else { return Trend::default() };
        let start = self.stamps.partition_point(|stamp| now.since(stamp.at) > window);
        // What nodes hold that are away is in no number on the screen.
        let away = if self.roster.away().next().is_some() { ring.newest().unwrap_or(0) } else { 0 };
        let away = away.saturating_sub(current.connections);
        let point = |index| match self.point(ring, index) {
            Point::Value(value) => Point::Value(value.saturating_sub(away)),
            other => other,
        };
        Trend {
            at: self.stamps.range(start..).map(|stamp| stamp.at).collect(),
            points: (start..self.stamps.len()).map(point).collect(),
        }
    }

    /// How many samples lie within `window`, and when the oldest of them was taken.
    pub(crate) fn within(&self, window: Duration) -> (usize, Option<Timestamp>) {
        let now = self.stamps.back().map_or_else(Timestamp::default, |stamp| stamp.at);
        let start = self.stamps.partition_point(|stamp| now.since(stamp.at) > window);
        (self.stamps.len() - start, self.stamps.get(start).map(|stamp| stamp.at))
    }

    /// Whether the query compares with a baseline that the row is not in.
    pub(crate) fn is_since_baseline(series: &Series, key: RowKey, query: &Query) -> bool {
        let baseline = series.baseline.as_ref().filter(|_| query.since_baseline);
        baseline.is_some_and(|baseline| !baseline.seen.contains_key(&key.0))
    }

    /// When the row was first seen; `None` when it is as old as the history, or its node joined with it.
    pub(crate) fn first_seen(&self, series: &Series, key: RowKey) -> Option<Timestamp> {
        let ring = series.rings.get(&key.0)?;
        let index = usize::try_from(ring.start.checked_sub(self.first)?).ok()?;
        let stamp = self.stamps.get(index)?;
        let had_chance = ring.start > ring.known_from && index > 0;
        (had_chance && !series.truncated).then_some(stamp.at)
    }
}

/// When sample `sequence` was taken.
fn taken(stamps: &VecDeque<Stamp>, first: u64, sequence: u64) -> Timestamp {
    let index = usize::try_from(sequence.saturating_sub(first)).unwrap_or(usize::MAX);
    stamps.get(index).map_or_else(Timestamp::default, |stamp| stamp.at)
}

fn difference(now: u64, then: u64) -> i64 {
    i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(i64::try_from(then).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
