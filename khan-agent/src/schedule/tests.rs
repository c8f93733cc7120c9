//! The scan thread over tables that cannot be read, or take long.

use std::sync::atomic::{AtomicBool, AtomicU32};

use khan_serve::readiness::Readiness;

use super::*;
use crate::flows::{AttemptError, Dumped, Sink, Spoiled, Stats};

const ATTEMPT: Duration = Duration::from_millis(20);
const SHARE: f64 = 0.2;

/// Takes its time, and is spoiled.
#[derive(Clone, Default)]
struct Broken(Arc<AtomicU32>);

impl Reader for Broken {
    fn read(&mut self, _: &mut impl Sink) -> Result<Dumped, AttemptError> {
        let mut spent = Duration::ZERO;
        while spent < ATTEMPT {
            spent += timed(|| (0..1000_u64).fold(0, |sum, n| std::hint::black_box(sum ^ n))).1;
        }
        self.0.fetch_add(1, Ordering::Relaxed);
        Err(Spoiled::Overflow.into())
    }

    fn stats(&mut self) -> Result<Stats, DumpError> {
        Ok(Stats::default())
    }
}

/// Yields batches without entries until it is told to end.
struct Endless(Arc<AtomicBool>);

impl Reader for Endless {
    fn read(&mut self, sink: &mut impl Sink) -> Result<Dumped, AttemptError> {
        while !self.0.load(Ordering::Relaxed) {
            sink.batch();
            sink.settle();
            std::thread::yield_now();
        }
        Ok(Dumped::default())
    }

    fn stats(&mut self) -> Result<Stats, DumpError> {
        Ok(Stats::default())
    }
}

fn schedule(interval: Duration) -> Schedule {
    Schedule {
        origin: Origin::default(),
        interval,
        budget: Arc::new(Budget::new(SHARE)),
        tables: Choice::default(),
        table: table::Settings::default(),
        page_settings: metrics_page::Settings::default(),
        identities: Arc::default(),
        ask: None,
        latest: Arc::default(),
        metrics: Arc::new(SelfMetrics::new().unwrap()),
    }
}

#[test]
fn a_scan_that_takes_long_is_alive_while_it_goes_on() {
    let end = Arc::new(AtomicBool::new(false));
    let (readiness, (first, scanned)) = (Readiness::new(), tokio::sync::oneshot::channel());
    let schedule = schedule(Duration::from_secs(30));
    let handle = schedule.start_with(Endless(Arc::clone(&end)), readiness.wait_for("first scan"), first).unwrap();
    let seen = || handle.pulse.seen.load(Ordering::Relaxed);
    let (began, mut last) = (Instant::now(), seen());
    for _ in 0..3 {
        while seen() <= last {
            assert!(began.elapsed() < Duration::from_mins(1), "no sign of life after {last} ms");
            std::thread::yield_now();
        }
        last = seen();
    }
    assert!(!readiness.pending().is_empty(), "all in the first scan");
    end.store(true, Ordering::Relaxed);
    scanned.blocking_recv().unwrap().unwrap();
}

#[test]
fn scans_that_fail_keep_within_their_share_too() {
    let schedule = schedule(Duration::from_millis(1));
    let (broken, metrics) = (Broken::default(), Arc::clone(&schedule.metrics));
    let (readiness, (first, failed)) = (Readiness::new(), tokio::sync::oneshot::channel());
    let began = Instant::now();
    let handle = schedule.start_with(broken.clone(), readiness.wait_for("first scan"), first).unwrap();
    assert!(matches!(failed.blocking_recv(), Ok(Err(DumpError::Spoiled { attempts: 5, .. }))));
    // Of five attempts each.
    let failures = || metrics.scans.with_label_values(&["failure"]).get();
    while failures() < 4 {
        assert!(began.elapsed() < Duration::from_mins(1), "{} scans", failures());
        std::thread::yield_now();
    }
    let (took, attempts) = (began.elapsed(), broken.0.load(Ordering::Relaxed));
    assert!(!readiness.pending().is_empty(), "no scan has succeeded");
    drop(handle);
    // What the last scan spent is allowed to be in debt.
    let spent = ATTEMPT * (attempts - 5);
    assert!(
        spent <= took.mul_f64(SHARE) + ATTEMPT,
        "{spent:?} of CPU before the latest of {attempts} attempts in {took:?}"
    );
}
