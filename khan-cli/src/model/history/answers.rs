//! What the history answers about groups.

use std::time::Duration;

use khan_api::Timestamp;

use super::History;
use super::series::{MISSING, Ring, Series};
use crate::model::group_by::RowKey;
use crate::model::groups::past::{Change, Past, Point, Trend};
use crate::model::groups::sum::Sum;
use crate::model::growth::Sample;
use crate::model::query::Query;

impl Past for History {
    type Series = Series;

    fn series(&self, query: &Query) -> Option<&Series> {
        let shape = query.shape();
        self.shapes.iter().find(|series| series.shape == shape)
    }

    fn oldest(&self) -> Option<Timestamp> {
        self.stamps.front().map(|stamp| stamp.at)
    }

    fn newest(&self) -> Option<Timestamp> {
        self.stamps.back().map(|stamp| stamp.at)
    }

    fn change(&self, series: &Series, key: RowKey, current: &Sum, query: &Query) -> Option<Change> {
        let baseline = series.baseline.as_ref().filter(|_| query.since_baseline);
        let then = baseline.map(|baseline| baseline.then.get(&key.0).copied().unwrap_or(0));
        self.compare(series.rings.get(&key.0), then, current, query.window)
    }

    fn total_change(&self, series: &Series, current: &Sum, query: &Query) -> Option<Change> {
        let baseline = series.baseline.as_ref().filter(|_| query.since_baseline);
        self.compare(Some(&series.total), baseline.map(|baseline| baseline.total), current, query.window)
    }

    fn samples(&self, series: &Series, key: RowKey, window: Duration) -> Vec<Sample> {
        let Some(ring) = series.rings.get(&key.0) else { return Vec::new() };
        let known = |(index, _): &(usize, u64)| self.point(ring, *index) != Point::Before;
        let sample = |(index, value): (usize, u64)| (self.stamps[index].at.millis() as f64 / 1000.0, value);
        let mut values: Vec<_> = self.reach(ring, window).take_while(known).map(sample).collect();
        values.reverse();
        values
    }

    fn trend(&self, series: &Series, key: RowKey, current: &Sum, window: Duration) -> Trend {
        series.rings.get(&key.0).map_or_else(Trend::default, |ring| self.draw(ring, current, window))
    }

    fn total_trend(&self, series: &Series, current: &Sum, window: Duration) -> Trend {
        self.draw(&series.total, current, window)
    }

    fn is_since_baseline(&self, series: &Series, key: RowKey, query: &Query) -> bool {
        let baseline = series.baseline.as_ref().filter(|_| query.since_baseline);
        baseline.is_some_and(|baseline| !baseline.seen.contains_key(&key.0))
    }

    fn first_seen(&self, series: &Series, key: RowKey) -> Option<Timestamp> {
        let ring = series.rings.get(&key.0)?;
        let index = usize::try_from(ring.start.checked_sub(self.first)?).ok()?;
        let stamp = self.stamps.get(index)?;
        let had_chance = ring.start > ring.known_from && index > 0;
        (had_chance && !series.truncated).then_some(stamp.at)
    }
}

impl History {
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
}

fn difference(now: u64, then: u64) -> i64 {
    i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(i64::try_from(then).unwrap_or(i64::MAX))
}
