//! What counts as steady growth.

use std::time::Duration;

/// The rule and its thresholds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeakRule {
    /// How far back it looks.
    pub window: Duration,
    /// Fewer samples are TOO NEW to judge.
    pub samples: usize,
    /// Share of steps that must not fall.
    pub rising: f64,
    /// Connections that must have been added, however many there were.
    pub growth: u64,
    /// Share of them that one step may bring, or take back.
    pub step: f64,
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
            step: 0.5,
            concentration: 0.5,
            faster: 3.0,
            idle: 0.5,
        }
    }
}

impl LeakRule {
    /// The thresholds of growth, as briefly as a header needs them.
    pub fn brief(&self) -> String {
        format!("{}% of steps rise, +{} over {} snapshots", percent(self.rising), self.growth, self.samples)
    }

    /// The rest, as briefly: what one step may make up, and what further evidence makes a leak likely.
    pub fn evidence(&self) -> String {
        let (pod, idle, step) = (percent(self.concentration), percent(self.idle), percent(self.step));
        format!("step <= {step}%; LIKELY: pod {pod}%, idle {idle}%, pace {}x", self.faster)
    }

    /// All of it in sentences, with the flags that change it.
    pub fn explain(&self) -> [String; 2] {
        [
            format!(
                "within the window at least {} snapshots (--leak-samples), +{} (--leak-growth), {}% of steps not falling \
                 (--leak-rising), growth in each quarter, no step with more than {}% of it (--leak-step)",
                self.samples,
                self.growth,
                percent(self.rising),
                percent(self.step)
            ),
            format!(
                "LIKELY also needs: one of several pods with {}% (--leak-concentration), {} times the pace of before \
                 (--leak-faster), or {}% idle or half-closed (--leak-idle)",
                percent(self.concentration),
                self.faster,
                percent(self.idle)
            ),
        ]
    }
}

fn percent(share: f64) -> f64 {
    (share * 1000.0).round() / 10.0
}
