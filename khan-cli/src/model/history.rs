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

mod answers;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use khan_api::Timestamp;

use super::merge::NodeInput;
use super::query::Query;
use super::view::View;
use roster::{Roster, Step};
use series::Series;

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
    /// Values of all shapes, four bytes each; beyond it the shapes that were asked for longest ago are not followed.
    pub values: usize,
    /// Samples are at least this far apart. Agents answer one after the other, each answer makes a view, and a sample of
    /// each would fill the history with next to nothing.
    pub spacing: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            samples: 720,
            keys: 5_000,
            view_rows: 250_000,
            shapes: 12,
            values: 8_000_000,
            spacing: Duration::from_secs(4),
        }
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
        while self.shapes.len() > 1 && self.shapes.iter().map(Series::held).sum::<usize>() > self.limits.values {
            self.shapes.remove(0);
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

    /// Takes samples as far apart as it must, to hold them for `reach`.
    pub fn remember(&mut self, reach: Duration) {
        self.limits.spacing = Limits::spaced(Duration::from_mins(1), reach).spacing;
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
        // Followed before the views come: more of them may come than are kept.
        for query in &queries {
            self.track(query);
        }
        for view in older.chain(kept) {
            self.push(view);
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

    /// The views of samples that are kept, oldest first: as many as their rows allow.
    pub const fn views(&self) -> &VecDeque<Arc<View>> {
        &self.views
    }

    /// A history without samples that remembers as much, compared with the same baseline. What is asked of it is followed
    /// from then on.
    #[must_use]
    pub fn emptied(&self) -> Self {
        let mut history = Self::with_limits(self.limits);
        history.set_baseline(self.baseline.as_ref().map(|baseline| Arc::clone(&baseline.view)));
        history
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

    /// How much of `window` there are samples of.
    pub(crate) fn covers(&self, window: Duration) -> Duration {
        self.span().map_or(Duration::ZERO, |(oldest, newest)| newest.since(oldest).min(window))
    }

    /// How much of `window` changes are taken over: those since the latest gap.
    pub(crate) fn compares(&self, window: Duration) -> Duration {
        let awake = self.stamps.iter().rposition(|stamp| stamp.gap).unwrap_or(0);
        let ends = self.stamps.get(awake).zip(self.stamps.back());
        ends.map_or(Duration::ZERO, |(oldest, newest)| newest.at.since(oldest.at).min(window))
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

    /// How many samples lie within `window`, and when the oldest of them was taken.
    pub(crate) fn within(&self, window: Duration) -> (usize, Option<Timestamp>) {
        let now = self.stamps.back().map_or_else(Timestamp::default, |stamp| stamp.at);
        let start = self.stamps.partition_point(|stamp| now.since(stamp.at) > window);
        (self.stamps.len() - start, self.stamps.get(start).map(|stamp| stamp.at))
    }
}

/// When sample `sequence` was taken.
fn taken(stamps: &VecDeque<Stamp>, first: u64, sequence: u64) -> Timestamp {
    let index = usize::try_from(sequence.saturating_sub(first)).unwrap_or(usize::MAX);
    stamps.get(index).map_or_else(Timestamp::default, |stamp| stamp.at)
}

#[cfg(test)]
mod tests;
