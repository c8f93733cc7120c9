//! Which rows look like leaks: growth that goes on and on, and what the table itself tells about it.
//!
//! A step, a saw-tooth, noise and a ramp that levels out are not leaks. Growth must be spread over the whole window and
//! still go on; a LIKELY leak needs more evidence than its count: one pod holds most of it, it grows much faster than it
//! ever did before, its connections lie idle, or one side does not close.

use std::collections::HashMap;
use std::time::Duration;

use khan_api::Timestamp;

use super::group::RowKey;
use super::history::History;
use super::party::{Grain, Party};
use super::pivot::{Keyer, each};
use super::project::{Projected, project};
use super::query::{Query, Sort, SortBy};
use super::view::View;

/// The rule and its thresholds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeakRule {
    /// How far back it looks.
    pub window: Duration,
    /// Fewer samples are TOO NEW to judge.
    pub samples: usize,
    /// Share of steps that must not fall.
    pub rising: f64,
    /// Connections that must have been added.
    pub growth: u64,
    /// The same as a share of the first value.
    pub growth_share: f64,
    /// Share that one pod must hold to be called the culprit.
    pub concentration: f64,
    /// How many times faster than its earlier steps (95th percentile) is much faster.
    pub faster: f64,
    /// Idle or half-closed share that counts as evidence.
    pub idle: f64,
}

impl Default for LeakRule {
    fn default() -> Self {
        Self {
            window: Duration::from_mins(15),
            samples: 6,
            rising: 0.8,
            growth: 20,
            growth_share: 0.1,
            concentration: 0.5,
            faster: 3.0,
            idle: 0.5,
        }
    }
}

/// How a row's value went over a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// Samples.
    pub samples: usize,
    /// Steps between samples that did not fall.
    pub rising: usize,
    /// Oldest value.
    pub first: u64,
    /// Newest value.
    pub last: u64,
    /// Quarters of the window in which the value rose, from a floor above that of the quarter before; 4 for growth that goes
    /// on and on.
    pub quarters: u8,
    /// The largest single rise.
    pub largest: u64,
    /// The largest single fall.
    pub fall: u64,
    /// Middle value.
    pub median: u64,
}

impl Growth {
    /// From values, oldest first.
    pub fn of(values: &[u64]) -> Self {
        let (Some(&first), Some(&last)) = (values.first(), values.last()) else { return Self::default() };
        let steps: Vec<_> = values.windows(2).map(|pair| (pair[0], pair[1])).collect();
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let range = |quarter: usize| steps.len() * quarter / 4..=steps.len() * (quarter + 1) / 4;
        let floor = |quarter: usize| values[range(quarter)].iter().min();
        let rose = |quarter: usize| {
            let (from, to) = (values[*range(quarter).start()], values[*range(quarter).end()]);
            // A saw-tooth that happens to be sampled higher each time still falls back to the same floor.
            to > from && (quarter == 0 || floor(quarter) > floor(quarter - 1))
        };
        Self {
            samples: values.len(),
            rising: steps.iter().filter(|(before, after)| after >= before).count(),
            first,
            last,
            quarters: (0..4).map(|quarter| u8::from(rose(quarter))).sum(),
            largest: steps.iter().map(|(before, after)| after.saturating_sub(*before)).max().unwrap_or(0),
            fall: steps.iter().map(|(before, after)| before.saturating_sub(*after)).max().unwrap_or(0),
            median: sorted[sorted.len() / 2],
        }
    }

    /// Connections added.
    pub fn added(&self) -> u64 {
        self.last.saturating_sub(self.first)
    }

    /// Steps between samples.
    pub fn steps(&self) -> usize {
        self.samples.saturating_sub(1)
    }

    /// Whether the count alone says that it keeps growing.
    pub fn rises(&self, rule: &LeakRule) -> bool {
        let enough = (rule.growth as f64).max(self.first as f64 * rule.growth_share);
        self.samples >= rule.samples
            && self.rising as f64 >= self.steps() as f64 * rule.rising
            && self.added() as f64 >= enough
            && self.last >= self.median
            // One jump is a step, not a leak; growth that stopped, or has only begun, is not going on and on.
            && self.largest * 2 <= self.added()
            // What was given back in one go will be given back again.
            && self.fall * 2 <= self.added()
            && self.quarters == 4
    }
}

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
    pub row: Projected,
    /// What the rule says.
    pub verdict: Verdict,
    /// Source pods behind the row, most connections first, with their connections.
    pub pods: Vec<(Party, u64)>,
    /// Largest pod's connections over the median pod's; `None` with fewer than three pods.
    pub skew: Option<f64>,
    /// One sentence for each piece of evidence.
    pub reasons: Vec<String>,
}

/// Suspicious rows, worst first.
#[derive(Clone, Debug, Default)]
pub struct LeakReport {
    /// Rows.
    pub leaks: Vec<Leak>,
    /// Samples in the window.
    pub samples: usize,
    /// When the oldest of them was taken.
    pub since: Option<Timestamp>,
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
    let all = Query { limit: 0, sort, trend: rule.window, window: rule.window, ..query.clone() };
    let Some(series) = history.series(&all) else { return LeakReport::default() };
    let mut suspects: Vec<_> = project(view, &all, history).rows;
    suspects.retain(|row| {
        let young = row.growth.samples < rule.samples && row.first_seen.is_some() && row.growth.last >= rule.growth;
        row.growth.rises(rule) || young
    });
    let mut pods = pods(view, &all, &suspects);
    let judge = |row: Projected| {
        let pods = pods.remove(&row.key).unwrap_or_default();
        let earlier = history.samples(series, row.key, Duration::MAX);
        judged(row, pods, &earlier, rule)
    };
    let mut leaks: Vec<_> = suspects.into_iter().map(judge).collect();
    leaks.sort_by_key(|leak| (leak.verdict, std::cmp::Reverse(leak.row.growth.added()), leak.row.key));
    let (samples, since) = history.within(rule.window);
    LeakReport { leaks, samples, since }
}

/// Source pods behind each suspect, in one pass over the view.
fn pods(view: &View, query: &Query, suspects: &[Projected]) -> HashMap<RowKey, Vec<(Party, u64)>> {
    let mut found: HashMap<RowKey, HashMap<RowKey, (Party, u64)>> =
        suspects.iter().map(|row| (row.key, HashMap::new())).collect();
    if found.is_empty() {
        return HashMap::new();
    }
    let coarse = Keyer::new(view, query.group_by);
    let by_pod = super::GroupBy { src: Some(Grain::Name), ..super::GroupBy::NONE };
    let fine = Keyer::new(view, by_pod);
    each(view, query, |row, state, sum| {
        if let (Some(pods), Some(party)) = (found.get_mut(&coarse.key(row, state)), fine.source(row)) {
            let entry = pods.entry(fine.key(row, None)).or_insert_with(|| (party.clone(), 0));
            entry.1 += sum.connections;
        }
    });
    let ranked = |(key, pods): (RowKey, HashMap<RowKey, (Party, u64)>)| {
        let mut pods: Vec<_> = pods.into_values().collect();
        pods.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.text.cmp(&b.0.text)));
        (key, pods)
    };
    found.into_iter().map(ranked).collect()
}

fn judged(row: Projected, pods: Vec<(Party, u64)>, all: &[u64], rule: &LeakRule) -> Leak {
    let skew = (pods.len() >= 3).then(|| pods[0].1 as f64 / pods[pods.len() / 2].1.max(1) as f64);
    let mut reasons = Vec::new();
    if !row.growth.rises(rule) {
        return Leak { row, verdict: Verdict::TooNew, pods, skew, reasons };
    }
    let connections = row.sum.connections.max(1) as f64;
    if let [(first, held), _, ..] = &pods[..] {
        let share = *held as f64 / connections;
        if share >= rule.concentration {
            let node = if first.node.is_empty() { String::new() } else { format!(" on {}", first.node) };
            reasons.push(format!("1 of {} pods holds {:.0}%: {}{node}", pods.len(), share * 100.0, first.text));
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
fn faster(all: &[u64], recent: usize) -> Option<f64> {
    let (before, now) = all.split_at(all.len().checked_sub(recent)?);
    if before.len() < 6 {
        return None;
    }
    let steps =
        |values: &[u64]| -> Vec<u64> { values.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect() };
    let mut earlier = steps(before);
    earlier.sort_unstable();
    let usual = earlier[(earlier.len() * 95 / 100).min(earlier.len() - 1)].max(1) as f64;
    let mut recent = steps(now);
    recent.sort_unstable();
    recent.get(recent.len() / 2).map(|step| *step as f64 / usual)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::fixture::{Agent, view};

    const SAMPLES: usize = 30;

    /// A report on 30 snapshots, one every 30 s, with `value(step)` connections spread over three pods as `share` says.
    fn report(
        value: impl Fn(usize) -> u64,
        share: [f64; 3],
        change: impl Fn(&mut khan_api::snapshot::Row) + Copy,
    ) -> LeakReport {
        let query = Query::default();
        let mut history = History::default();
        history.track(&query);
        let mut last = Arc::default();
        for step in 0..SAMPLES {
            let mut agent = Agent::new("n1", 30 * i64::try_from(step).unwrap());
            let total = value(step) as f64;
            for (pod, share) in share.iter().enumerate() {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
                let n = (total * share).round() as u64;
                agent = agent.row(&format!("shop/web-{pod}:web@n1"), "data/db@n2", 5432, n).but(change);
            }
            last = view(&[agent]);
            history.push(Arc::clone(&last));
        }
        leaks(&last, &query, &history, &LeakRule::default())
    }

    fn even(value: impl Fn(usize) -> u64) -> Option<Verdict> {
        report(value, [0.34, 0.33, 0.33], |_| ()).leaks.first().map(|leak| leak.verdict)
    }

    fn noise(step: usize) -> u64 {
        (step as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59
    }

    #[test]
    fn innocent_series_raise_no_alarm() {
        assert_eq!(even(|_| 500), None, "flat");
        assert_eq!(even(|step| 500 + noise(step)), None, "noise");
        assert_eq!(even(|step| 300 + 10 * (step as u64 % 8)), None, "saw-tooth");
        assert_eq!(even(|step| if step < 12 { 300 } else { 900 }), None, "step");
        assert_eq!(even(|step| 300 + 40 * (step as u64).min(15)), None, "ramp that levels out");
        assert_eq!(even(|step| 900 - 20 * step as u64), None, "fall");
        assert_eq!(even(|step| 2 + step as u64 / 3), None, "too little");
        assert_eq!(even(|step| if step == 14 { 0 } else { 500 }), None, "a missing scrape");
    }

    #[test]
    fn steady_growth_is_watched_and_evidence_makes_it_likely() {
        assert_eq!(even(|step| 300 + 10 * step as u64), Some(Verdict::Watch));
        let slow = |step: usize| 100 + step as u64;
        assert_eq!(even(slow), Some(Verdict::Watch), "slow leak");
        let one_pod = report(slow, [0.8, 0.1, 0.1], |_| ());
        assert_eq!(one_pod.leaks[0].verdict, Verdict::Likely);
        assert_eq!(one_pod.leaks[0].reasons, ["1 of 3 pods holds 80%: shop/web-0 on n1"]);
        assert!(one_pod.leaks[0].skew.unwrap() > 5.0);
        let idle = report(slow, [0.34, 0.33, 0.33], |row| row.idle_connections = row.connections * 9 / 10);
        assert_eq!(idle.leaks[0].verdict, Verdict::Likely);
        let unclosed = report(slow, [0.34, 0.33, 0.33], |row| row.server_unclosed = row.connections);
        assert!(
            unclosed.leaks[0].reasons[0].ends_with("wait for the server to close"),
            "{:?}",
            unclosed.leaks[0].reasons
        );
    }

    #[test]
    fn noise_on_top_of_growth_does_not_hide_it() {
        assert_eq!(even(|step| 300 + 40 * step as u64 + noise(step)), Some(Verdict::Watch));
    }

    #[test]
    fn no_saw_tooth_that_falls_within_the_window_is_a_leak() {
        for (period, phase) in (2..SAMPLES as u64).flat_map(|period| (0..period).map(move |phase| (period, phase))) {
            for (base, slope) in [(0, 1), (0, 10), (300, 10), (300, 40), (5_000, 25)] {
                let tooth = |step: u64| base + slope * ((step + phase) % period);
                let values: Vec<_> = (0..SAMPLES as u64).map(tooth).collect();
                let growth = Growth::of(&values);
                assert!(!growth.rises(&LeakRule::default()), "every {period} from {phase}: {values:?}");
            }
        }
    }

    #[test]
    fn no_noise_is_a_leak() {
        for seed in 0..500_u64 {
            for height in [1, 5, 50, 1_000] {
                let at =
                    |step: u64| (seed * 1_000 + step + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) % height;
                let values: Vec<_> = (0..SAMPLES as u64).map(|step| 200 + at(step)).collect();
                assert!(!Growth::of(&values).rises(&LeakRule::default()), "{values:?}");
            }
        }
    }

    /// The verdict when nobody was heard at some of the steps, because no scrape or answer came.
    fn with_missing(value: impl Fn(usize) -> u64, missing: impl Fn(usize) -> bool) -> Option<Verdict> {
        let query = Query::default();
        let mut history = History::default();
        history.track(&query);
        let mut last = Arc::default();
        for step in (0..SAMPLES).filter(|step| !missing(*step)) {
            let agent = Agent::new("n1", 30 * i64::try_from(step).unwrap());
            last = view(&[agent.row("shop/web:web@n1", "data/db@n2", 5432, value(step))]);
            history.push(Arc::clone(&last));
        }
        leaks(&last, &query, &history, &LeakRule::default()).leaks.first().map(|leak| leak.verdict)
    }

    #[test]
    fn missing_scrapes_neither_alarm_nor_hide() {
        for missing in [|step| (10..20).contains(&step), |step: usize| step % 3 == 1, |step| step == 14] {
            assert_eq!(with_missing(|_| 500, missing), None, "flat");
            assert_eq!(with_missing(|step| 300 + 10 * (step as u64 % 8), missing), None, "saw-tooth");
            assert_eq!(with_missing(|step| if step < 15 { 300 } else { 900 }, missing), None, "step");
            assert_eq!(with_missing(|step| 300 + 10 * step as u64, missing), Some(Verdict::Watch), "leak");
        }
    }

    #[test]
    fn a_restart_begins_anew_instead_of_alarming() {
        let fallen = |step: usize| if step < 24 { 300 + 10 * step as u64 } else { 10 + (step as u64 - 24) };
        assert_eq!(even(fallen), None);
    }

    #[test]
    fn growth_far_above_the_rows_own_past_is_evidence() {
        let values: Vec<u64> =
            (0..60).map(|step| if step < 30 { 100 + step } else { 130 + 10 * (step - 30) }).collect();
        assert!(faster(&values, 30).unwrap() >= 3.0);
        assert_eq!(faster(&values[..30], 30), None);
    }
}
