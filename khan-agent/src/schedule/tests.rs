//! The scan thread over tables that cannot be read.

use std::sync::atomic::AtomicU32;

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

#[test]
fn scans_that_fail_keep_within_their_share_too() {
    let schedule = Schedule {
        origin: Origin::default(),
        interval: Duration::from_millis(1),
        budget: Arc::new(Budget::new(SHARE)),
        table: table::Settings::default(),
        page_settings: metrics_page::Settings::default(),
        identities: Arc::default(),
        ask: None,
        latest: Arc::default(),
        metrics: Arc::new(SelfMetrics::new().unwrap()),
    };
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
