//! What reading the table may cost. In: CPU time that was spent; out: when the next reading may begin.
//!
//! Scans and dumps for `GET /v1/connections` share `--max-scan-cpu`: what was spent since the process started is never more
//! than that share of the time, but for the one reading that is under way. Two purses see to it. The large one fills with
//! the whole share and pays for everything; scans wait until it is out of debt. The small one fills with half of the share
//! and lets single dumps begin while scans keep the large one empty. Each holds what twenty seconds fill it with, so that
//! several dumps in a row are possible after a quiet while.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A purse holds what comes in during this time.
const SAVED: f64 = 20.0;
/// What a dump costs before one was measured, in seconds.
const UNMEASURED: f64 = 0.01;

/// The budget of all readings.
#[derive(Debug)]
pub(crate) struct Budget {
    share: f64,
    purses: Mutex<Purses>,
}

/// Seconds of CPU time; below zero is debt.
#[derive(Debug)]
struct Purses {
    filled: Instant,
    all: f64,
    single: f64,
    /// What the latest reading of the whole table cost.
    cost: f64,
}

/// What a reading took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    /// CPU time, in user space and in the kernel.
    pub(crate) cpu: Duration,
    /// Whether the table was read to its end.
    pub(crate) whole: bool,
}

impl Purses {
    fn learn(&mut self, spent: Spent) {
        if spent.whole {
            self.cost = spent.cpu.as_secs_f64();
        }
    }

    fn fill(&mut self, share: f64, now: Instant) {
        let seconds = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        self.all = (self.all + share * seconds).min(share * SAVED);
        self.single = (self.single + share / 2.0 * seconds).min(share / 2.0 * SAVED);
    }
}

/// A dump that may begin. What it was expected to cost is paid already; dropped unused, it is paid back.
#[derive(Debug)]
pub(crate) struct Turn {
    budget: Arc<Budget>,
    begins: Instant,
    paid: f64,
    from_single: bool,
}

impl Turn {
    /// When it may begin.
    pub(crate) const fn begins(&self) -> Instant {
        self.begins
    }

    /// Settles what it really cost. One that broke off says nothing about what the next will cost.
    pub(crate) fn settle(mut self, spent: Spent) {
        self.budget.with(Instant::now(), |purses| purses.learn(spent));
        self.pay_back(spent.cpu.as_secs_f64());
        self.paid = 0.0;
    }

    fn pay_back(&self, cost: f64) {
        self.budget.with(Instant::now(), |purses| {
            let back = self.paid - cost;
            purses.all += back;
            if self.from_single {
                purses.single += back;
            }
        });
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.paid > 0.0 {
            self.pay_back(0.0);
        }
    }
}

impl Budget {
    /// `share` of one CPU, 0 to 1.
    pub(crate) fn new(share: f64) -> Self {
        let purses = Purses { filled: Instant::now(), all: 0.0, single: 0.0, cost: UNMEASURED };
        Self { share, purses: Mutex::new(purses) }
    }

    fn with<R>(&self, now: Instant, act: impl FnOnce(&mut Purses) -> R) -> R {
        let mut purses = self.purses.lock().unwrap_or_else(PoisonError::into_inner);
        purses.fill(self.share, now);
        act(&mut purses)
    }

    /// How far apart readings of this cost have to begin.
    pub(crate) fn spacing(&self, cpu: Duration) -> Duration {
        cpu.div_f64(self.share)
    }

    /// Pays for a scan, whether it succeeded or not.
    pub(crate) fn scanned(&self, spent: Spent) {
        self.scanned_at(Instant::now(), spent);
    }

    fn scanned_at(&self, now: Instant, spent: Spent) {
        self.with(now, |purses| {
            purses.all -= spent.cpu.as_secs_f64();
            purses.learn(spent);
        });
    }

    /// How long the next scan has to wait.
    pub(crate) fn until_scan(&self) -> Duration {
        self.until_scan_from(Instant::now())
    }

    fn until_scan_from(&self, now: Instant) -> Duration {
        self.with(now, |purses| Duration::from_secs_f64((-purses.all / self.share).max(0.0)))
    }

    /// A turn for one dump that begins within `patience`; else in how long it would.
    pub(crate) fn turn(self: &Arc<Self>, patience: Duration) -> Result<Turn, Duration> {
        self.turn_from(Instant::now(), patience)
    }

    fn turn_from(self: &Arc<Self>, now: Instant, patience: Duration) -> Result<Turn, Duration> {
        self.with(now, |purses| {
            let (all, single) = (-purses.all / self.share, -purses.single / (self.share / 2.0));
            let wait = Duration::from_secs_f64(all.min(single).max(0.0));
            if wait > patience {
                return Err(wait);
            }
            let (paid, from_single) = (purses.cost, all > single);
            purses.all -= paid;
            if from_single {
                purses.single -= paid;
            }
            Ok(Turn { budget: Arc::clone(self), begins: now + wait, paid, from_single })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: f64 = 0.05;
    const PATIENCE: Duration = Duration::from_secs(3);

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn whole(cost: f64) -> Spent {
        Spent { cpu: seconds(cost), whole: true }
    }

    fn spend(budget: &Budget, now: Instant, cost: f64) {
        budget.scanned_at(now, whole(cost));
    }

    #[test]
    fn scans_wait_for_what_was_spent() {
        let budget = Arc::new(Budget::new(SHARE));
        let start = Instant::now();
        spend(&budget, start, 0.1);
        let wait = budget.until_scan_from(start);
        assert!(wait.abs_diff(seconds(2.0)) < seconds(0.1), "{wait:?}");
        assert_eq!(budget.until_scan_from(start + seconds(2.1)), Duration::ZERO);
    }

    #[test]
    fn a_scan_that_failed_is_paid_for_and_says_nothing_of_the_next() {
        let budget = Arc::new(Budget::new(SHARE));
        let start = Instant::now();
        spend(&budget, start, 0.4);
        budget.scanned_at(start, Spent { cpu: seconds(0.1), whole: false });
        let wait = budget.until_scan_from(start);
        assert!(wait.abs_diff(seconds(10.0)) < seconds(0.1), "0.5 s of CPU in {wait:?}");
        let turn = budget.turn_from(start + seconds(30.0), PATIENCE).expect("the debt is paid");
        assert!((turn.paid - 0.4).abs() < 1e-9, "{} s, as the latest whole reading", turn.paid);
        turn.settle(Spent { cpu: seconds(0.01), whole: false });
        assert!((budget.with(start, |purses| purses.cost) - 0.4).abs() < 1e-9);
    }

    #[test]
    fn some_dumps_may_follow_each_other_and_then_none() {
        let budget = Arc::new(Budget::new(SHARE));
        // A scan of 0.4 s of CPU every 30 s, and nothing else for a minute.
        let start = Instant::now();
        spend(&budget, start, 0.4);
        spend(&budget, start + seconds(30.0), 0.4);
        let now = start + seconds(60.0);
        let (mut turns, mut refused) = (Vec::new(), None);
        while refused.is_none() {
            match budget.turn_from(now, PATIENCE) {
                Ok(turn) => turns.push(turn),
                Err(wait) => refused = Some(wait),
            }
        }
        assert!(turns.len() >= 4, "{} in a row", turns.len());
        let spent = 0.4 * turns.len() as f64;
        assert!(spent <= SHARE * SAVED * 1.5 + 2.0 * 0.4, "{spent} s of CPU in a row");
        let wait = refused.expect("the loop's end");
        assert!(wait > PATIENCE && wait < seconds(20.0), "{wait:?}");
        assert!(budget.turn_from(now + wait + seconds(0.01), PATIENCE).is_ok());
    }

    #[test]
    fn scans_that_take_all_leave_dumps_half() {
        let budget = Arc::new(Budget::new(SHARE));
        let (mut now, end) = (Instant::now(), Instant::now() + seconds(3600.0));
        let (mut scans, mut dumps) = (0.0, 0.0);
        while now < end {
            if budget.until_scan_from(now).is_zero() {
                spend(&budget, now, 2.8);
                scans += 2.8;
            }
            if let Ok(turn) = budget.turn_from(now, Duration::ZERO) {
                dumps += turn.paid;
                // Used up as expected.
                std::mem::forget(turn);
            }
            now += seconds(0.1);
        }
        let all = SHARE * 3600.0;
        assert!(scans + dumps <= all + 3.0 * 2.8, "{scans} s of scans and {dumps} s of dumps; {all} s are allowed");
        assert!(scans > all * 0.4 && dumps > all * 0.4, "{scans} s of scans and {dumps} s of dumps");
    }

    #[test]
    fn a_turn_that_nobody_took_costs_nothing() {
        let budget = Arc::new(Budget::new(SHARE));
        let before = budget.with(Instant::now(), |purses| purses.all);
        for _ in 0..100 {
            drop(budget.turn(PATIENCE).expect("paid back each time"));
        }
        let turn = budget.turn(PATIENCE).expect("nothing was spent");
        turn.settle(whole(1.0));
        let after = budget.with(Instant::now(), |purses| purses.all);
        assert!(after - before > -1.01 && after - before < -0.9, "{before} s, then {after} s");
        // The small purse may have one more dump to give, and is in debt after it.
        let next = || budget.turn(PATIENCE).map(|turn| turn.settle(whole(1.0)));
        assert!(next().is_err() || next().is_err());
    }
}
