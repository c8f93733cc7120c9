//! Which rows look like leaks: steady growth, at any size, and what the table itself says about it.
//!
//! A step, a saw-tooth, noise and a ramp that levels out are not leaks. Growth must be spread over the whole window and
//! still go on; a LIKELY leak needs more evidence than its count: one pod holds most of it, it grows much faster than it
//! ever did before, its connections lie idle, or one side does not close. What the count cannot tell: load that rises
//! through the whole window looks the same.

use std::collections::HashMap;
use std::time::Duration;

use khan_api::{Kind, Timestamp};

use super::group_by::{GroupBy, RowKey};
use super::group_end::{Grain, GroupEnd};
use super::groups::{Keyer, Past as _, Row, project, select};
use super::growth::{LeakRule, Miss, Sample};
use super::history::History;
use super::query::{Query, Sort, SortBy};
use super::view::View;

/// What the rule says of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Keeps growing, and there is more evidence.
    Likely,
    /// Keeps growing.
    Watch,
    /// Grows, but there are too few samples to judge.
    TooNew,
}

impl Verdict {
    /// As the column writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Likely => "LIKELY",
            Self::Watch => "WATCH",
            Self::TooNew => "TOO NEW",
        }
    }
}

/// One suspicious row.
#[derive(Clone, Debug)]
pub struct Leak {
    /// The row, with growth and trend.
    pub row: Row,
    /// What the rule says.
    pub verdict: Verdict,
    /// Source pods behind the row, most connections first, with their connections.
    pub pods: Vec<(GroupEnd, u64)>,
    /// Largest pod's connections over the median pod's; `None` with fewer than three pods.
    pub skew: Option<f64>,
    /// One sentence for each piece of evidence.
    pub reasons: Vec<String>,
}

/// Maximum number of near misses in a report.
const NEAR: usize = 3;

/// Suspicious rows, worst first.
#[derive(Clone, Debug, Default)]
pub struct LeakReport {
    /// Rows.
    pub leaks: Vec<Leak>,
    /// Samples in the window.
    pub samples: usize,
    /// When the oldest of them was taken.
    pub since: Option<Timestamp>,
    /// How long it was before the newest.
    pub span: Duration,
    /// Rows that grew and are no suspects, most growth first, with the reason.
    pub near: Vec<(Row, Miss)>,
    /// Connections of Khan's own that are left out of all of this; none when the query asks for them.
    pub own: u64,
}

impl LeakReport {
    /// How many rows have this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.leaks.iter().filter(|leak| leak.verdict == verdict).count()
    }
}

/// Applies the rule to the rows of `query` (which must be tracked by `history`); its order and limit do not matter.
pub fn leaks(view: &View, query: &Query, history: &History, rule: &LeakRule) -> LeakReport {
    let sort = Sort { by: SortBy::Connections, reverse: false };
    let all = Query { limit: 0, sort, trend: rule.window, window: rule.window, rule: *rule, ..query.clone() };
    let Some(series) = history.series(&all) else { return LeakReport::default() };
    let (mut suspects, mut near) = (Vec::new(), Vec::new());
    let answer = project(view, &all, history);
    for row in answer.rows {
        let young = row.growth.samples < rule.samples && row.first_seen.is_some() && row.growth.last >= rule.growth;
        match row.growth.miss(rule) {
            Some(miss) if !young && row.growth.is_near(rule) => near.push((row, miss)),
            Some(_) if !young => {}
            _ => suspects.push(row),
        }
    }
    near.sort_by_key(|(row, _)| (std::cmp::Reverse(row.growth.added()), row.key));
    near.truncate(NEAR);
    let mut pods = pods(view, &all, &suspects);
    let judge = |row: Row| {
        let pods = pods.remove(&row.key).unwrap_or_default();
        let earlier = history.samples(series, row.key, Duration::MAX);
        judged(row, pods, &earlier, rule)
    };
    let mut leaks: Vec<_> = suspects.into_iter().map(judge).collect();
    leaks.sort_by_key(|leak| (leak.verdict, std::cmp::Reverse(leak.row.growth.added()), leak.row.key));
    let (samples, since) = history.within(rule.window);
    let span = since.zip(history.span()).map_or(Duration::ZERO, |(since, (_, newest))| newest.since(since));
    LeakReport { leaks, samples, since, span, near, own: answer.own }
}

/// Source pods behind each suspect, in one pass over the view.
fn pods(view: &View, query: &Query, suspects: &[Row]) -> HashMap<RowKey, Vec<(GroupEnd, u64)>> {
    let mut found: HashMap<RowKey, HashMap<RowKey, (GroupEnd, u64)>> =
        suspects.iter().map(|row| (row.key, HashMap::new())).collect();
    if found.is_empty() {
        return HashMap::new();
    }
    let coarse = Keyer::new(view, query.group_by);
    let by_pod = GroupBy { src: Some(Grain::Name), ..GroupBy::NONE };
    let fine = Keyer::new(view, by_pod);
    select(view, query, |row, state, sum| {
        if let (Some(pods), Some(end)) = (found.get_mut(&coarse.key(row, state)), fine.source(row)) {
            let entry = pods.entry(fine.key(row, None)).or_insert_with(|| (end.clone(), 0));
            entry.1 += sum.connections;
        }
    });
    let ranked = |(key, pods): (RowKey, HashMap<RowKey, (GroupEnd, u64)>)| {
        let mut pods: Vec<_> = pods.into_values().collect();
        pods.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.text.cmp(&b.0.text)));
        (key, pods)
    };
    found.into_iter().map(ranked).collect()
}

fn judged(row: Row, pods: Vec<(GroupEnd, u64)>, all: &[Sample], rule: &LeakRule) -> Leak {
    let skew = (pods.len() >= 3).then(|| pods[0].1 as f64 / pods[pods.len() / 2].1.max(1) as f64);
    let mut reasons = Vec::new();
    if !row.growth.rises(rule) {
        return Leak { row, verdict: Verdict::TooNew, pods, skew, reasons };
    }
    let connections = row.sum.connections.max(1) as f64;
    if let [(first, held), _, ..] = &pods[..] {
        let share = *held as f64 / connections;
        if share >= rule.concentration {
            let node = if first.owner.node.is_empty() { String::new() } else { format!(" on {}", first.owner.node) };
            let what = if first.owner.kind == Kind::Pod { "pods" } else { "addresses" };
            reasons.push(format!("1 of {} {what} holds {:.0}%: {}{node}", pods.len(), share * 100.0, first.text));
        }
    }
    if let Some(times) = faster(all, row.growth.samples).filter(|times| *times >= rule.faster) {
        reasons.push(format!("grows {times:.1} times faster than it did before"));
    }
    let idle = row.sum.idle_connections as f64 / connections;
    if idle >= rule.idle {
        reasons.push(format!("{:.0}% of its connections lie idle", idle * 100.0));
    }
    for (unclosed, side) in [(row.sum.client_unclosed, "client"), (row.sum.server_unclosed, "server")] {
        let share = unclosed as f64 / connections;
        if share >= rule.idle {
            reasons.push(format!("{:.0}% of its connections wait for the {side} to close", share * 100.0));
        }
    }
    let verdict = if reasons.is_empty() { Verdict::Watch } else { Verdict::Likely };
    Leak { row, verdict, pods, skew, reasons }
}

/// How many times the typical step of the last `recent` samples exceeds the 95th percentile of the steps before them.
fn faster(all: &[Sample], recent: usize) -> Option<f64> {
    let (before, now) = all.split_at(all.len().checked_sub(recent)?);
    if before.len() < 6 {
        return None;
    }
    let steps =
        |values: &[Sample]| -> Vec<u64> { values.windows(2).map(|pair| pair[1].1.saturating_sub(pair[0].1)).collect() };
    let mut earlier = steps(before);
    earlier.sort_unstable();
    let usual = earlier[(earlier.len() * 95 / 100).min(earlier.len() - 1)].max(1) as f64;
    let mut recent = steps(now);
    recent.sort_unstable();
    recent.get(recent.len() / 2).map(|step| *step as f64 / usual)
}

#[cfg(test)]
mod tests;
