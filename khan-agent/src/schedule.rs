//! The scan thread: scans on time and on demand, never for more of a CPU than allowed, and publishes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use khan_api::Timestamp;
use khan_serve::backoff::jittered;
use khan_serve::readiness::Guard;
use tracing::{error, info, warn};

use crate::budget::{Budget, Spent};
use crate::flows::{Choice, DumpError, NodeTables, Reader};
use crate::identities::{Held, Identities};
use crate::latest::{Latest, Published};
use crate::metrics_page::ended::Ended;
use crate::metrics_page::fold::Folder;
use crate::metrics_page::{self, Page};
use crate::scan::{Scan, Scanner, timed};
use crate::self_metrics::SelfMetrics;
use crate::snapshot::{Origin, build};
use crate::table;
use crate::visibility::Visibility;

/// The longest that a snapshot waits for names.
const NAMES_PATIENCE: Duration = Duration::from_secs(3);

/// A request to bring the identities of what a table holds up to date; the sender hears when it is done, well or not.
pub(crate) type Ask = (Held, mpsc::SyncSender<()>);

/// Hears whether the first scan succeeded.
pub(crate) type First = tokio::sync::oneshot::Sender<Result<(), DumpError>>;

/// What the thread works with.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// The node and process that snapshots come from.
    pub(crate) origin: Origin,
    /// Time from one scan to the next.
    pub(crate) interval: Duration,
    /// What reading the table may cost.
    pub(crate) budget: Arc<Budget>,
    /// Which tables are read.
    pub(crate) tables: Choice,
    /// How flows are folded.
    pub(crate) table: table::Settings,
    /// What pages look like.
    pub(crate) page_settings: metrics_page::Settings,
    /// Who addresses are.
    pub(crate) identities: Arc<Mutex<Identities>>,
    /// Who asks the controller; none without one.
    pub(crate) ask: Option<tokio::sync::mpsc::UnboundedSender<Ask>>,
    /// Where to publish.
    pub(crate) latest: Arc<Latest>,
    /// What to count.
    pub(crate) metrics: Arc<SelfMetrics>,
}

/// A running scan thread. Stops when dropped.
#[derive(Debug)]
pub(crate) struct Handle {
    wake: mpsc::Sender<Wake>,
    budget: Arc<Budget>,
    pulse: Arc<Pulse>,
    thread: Option<thread::JoinHandle<()>>,
}

/// What others may know of the thread.
#[derive(Debug)]
struct Pulse {
    began: Instant,
    /// Milliseconds after `began` of the latest sign of life.
    seen: AtomicU64,
    /// The period that scans now keep, in milliseconds.
    interval: AtomicU64,
}

impl Pulse {
    /// Shows a sign of life.
    fn beat(&self) {
        self.seen.store(self.now(), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[derive(Clone, Copy, Debug)]
enum Wake {
    Scan,
    Stop,
}

impl Handle {
    /// Asks for a scan now. False when reading the table has taken its share of the CPU for now.
    pub(crate) fn request(&self) -> bool {
        self.budget.until_scan().is_zero() && self.wake.send(Wake::Scan).is_ok()
    }

    /// Why the thread no longer scans, when it does not.
    pub(crate) fn alive(&self) -> Result<(), String> {
        let seen = Duration::from_millis(self.pulse.now().saturating_sub(self.pulse.seen.load(Ordering::Relaxed)));
        let interval = Duration::from_millis(self.pulse.interval.load(Ordering::Relaxed));
        if self.thread.as_ref().is_none_or(thread::JoinHandle::is_finished) {
            Err("the scan thread has ended".to_owned())
        } else if seen > 3 * interval + Duration::from_mins(1) {
            Err(format!("the scan thread has shown no life for {} seconds", seen.as_secs()))
        } else {
            Ok(())
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.wake.send(Wake::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Schedule {
    /// Starts the thread, which scans the tables of this node. The first scan begins at once; whether it succeeded is sent to
    /// `first`, and `unscanned` is dropped at the first that does.
    pub(crate) fn start(self, unscanned: Guard, first: First) -> std::io::Result<Handle> {
        let reader = NodeTables::new(self.tables.clone());
        self.start_with(reader, unscanned, first)
    }

    fn start_with(
        self,
        reader: impl Reader + Send + 'static,
        unscanned: Guard,
        first: First,
    ) -> std::io::Result<Handle> {
        let (wake, woken) = mpsc::channel();
        let interval = u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX);
        let pulse =
            Arc::new(Pulse { began: Instant::now(), seen: AtomicU64::new(0), interval: AtomicU64::new(interval) });
        let budget = Arc::clone(&self.budget);
        let thread = {
            let pulse = Arc::clone(&pulse);
            thread::Builder::new().name("scan".to_owned()).spawn(move || {
                let scanner = Scanner::of(reader, self.table.clone()).with_homes(Identities::homes(&self.identities));
                let interval = self.interval;
                let mut scans = Scans {
                    schedule: self,
                    pulse,
                    scanner,
                    folder: Folder::default(),
                    ended: Ended::default(),
                    visibility: Visibility::default(),
                    number: 0,
                    interval,
                    spent: Duration::ZERO,
                    unscanned: Some(unscanned),
                    asked: None,
                };
                scans.run(&woken, first);
            })?
        };
        Ok(Handle { wake, budget, pulse, thread: Some(thread) })
    }
}

struct Scans<R> {
    schedule: Schedule,
    pulse: Arc<Pulse>,
    scanner: Scanner<R>,
    folder: Folder,
    ended: Ended,
    visibility: Visibility,
    number: u64,
    interval: Duration,
    /// CPU time of dumps that is not paid for yet.
    spent: Duration,
    unscanned: Option<Guard>,
    /// The latest request to the controller, while it is unanswered.
    asked: Option<mpsc::Receiver<()>>,
}

impl<R: Reader> Scans<R> {
    fn run(&mut self, woken: &mpsc::Receiver<Wake>, first: First) {
        let mut first = Some(first);
        let mut failing = false;
        loop {
            let began = Instant::now();
            self.pulse.beat();
            let outcome = self.scan(began);
            match (&outcome, failing) {
                (Ok(()), true) => info!("Scans succeed again"),
                // What waiting does not mend ends the program, which then says why.
                (Err(error), false) if first.is_none() || !error.is_final() => {
                    warn!(error = khan_serve::exit::chain(error), "Cannot scan; trying again each period");
                }
                _ => {}
            }
            failing = outcome.is_err();
            let spent = Spent { cpu: std::mem::take(&mut self.spent), whole: outcome.is_ok() };
            if let Err(error) = &outcome {
                self.visibility.failed(error, &self.schedule.metrics);
                self.schedule.metrics.scans.with_label_values(&["failure"]).inc();
                self.schedule.latest.failed(2 * self.interval, khan_serve::exit::chain(error));
            }
            if let Some(first) = first.take() {
                let _ = first.send(outcome);
            }
            let spacing = self.schedule.budget.spacing(spent.cpu);
            self.schedule.budget.scanned(spent);
            self.adapt(spacing);
            let interval = u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX);
            self.pulse.interval.store(interval, Ordering::Relaxed);
            // One demand is met by one scan, however many asked meanwhile.
            loop {
                match woken.try_recv() {
                    Ok(Wake::Scan) => {}
                    Ok(Wake::Stop) | Err(TryRecvError::Disconnected) => return,
                    Err(TryRecvError::Empty) => break,
                }
            }
            // The nodes of a cluster should not all scan, and ask, at once. Jitter never starts a scan before the CPU budget allows,
            // of which single dumps may have taken some meanwhile.
            let period = jittered(self.interval, 0.9, 1.1).max(spacing);
            loop {
                let budget = &self.schedule.budget;
                let wait = period.saturating_sub(began.elapsed()).max(budget.until_scan());
                match woken.recv_timeout(wait) {
                    // Sent just before the last scan ended.
                    Ok(Wake::Scan) | Err(RecvTimeoutError::Timeout) if !budget.until_scan().is_zero() => {}
                    Ok(Wake::Scan) | Err(RecvTimeoutError::Timeout) => break,
                    Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        }
    }

    /// Lengthens the period while scans would take more than their share, and says so when that begins and ends.
    fn adapt(&mut self, spacing: Duration) {
        let configured = self.schedule.interval;
        let wanted = spacing.max(configured);
        let (slow, was_slow) = (wanted > configured, self.interval > configured);
        if slow && !was_slow {
            warn!(interval = ?wanted, ?configured, "Scans are made rarer to keep within --max-scan-cpu");
        } else if was_slow && !slow {
            info!(interval = ?configured, "Scans keep their configured period again");
        }
        self.interval = wanted;
        self.schedule.metrics.interval(wanted);
    }

    /// One scan, named and published.
    fn scan(&mut self, began: Instant) -> Result<(), DumpError> {
        let mut scan = self.dump()?;
        self.visibility.saw(&scan.stats, scan.dumped.flows, &self.schedule.metrics);
        if self.schedule.ask.is_some() {
            self.refresh_names(scan.stats.has_maps());
            let updated = self.identities(|identities| identities.names().updated);
            self.visibility.named(updated, Timestamp::now(), &self.schedule.metrics);
        }
        let ages = self.identities(|identities| identities.ownership_ages(Timestamp::now()));
        if self.scanner.table().outdated(&ages) {
            // An address changed hands, and connections of its previous owner were counted for the present one.
            self.scanner.remember();
            scan = self.dump()?;
        }
        self.number += 1;
        // The next snapshot is made while the latest stands; what is older may have to go.
        self.schedule.latest.make_room();
        let Schedule { origin, identities, page_settings, latest, .. } = &self.schedule;
        let mut snapshot = {
            let identities = identities.lock().unwrap_or_else(PoisonError::into_inner);
            build::build(origin, self.number, self.interval, &scan, self.scanner.table(), &identities)
        };
        snapshot.warnings.extend(self.visibility.sentences());
        self.scanner.remember();
        self.scanner.clear();
        self.ended.add(&snapshot, page_settings.destination, began);
        let page = Page::new(&snapshot, page_settings, &mut self.folder).with_ended(&self.ended);
        snapshot.keep_largest(page_settings.max_series);
        latest.publish(Published::new(snapshot, page, began));
        self.scanner.keep();
        self.unscanned = None;
        Ok(())
    }

    /// One dump, folded and counted. What it took is noted also when it fails half way.
    fn dump(&mut self) -> Result<Scan, DumpError> {
        let retries = *self.scanner.retries();
        let (scan, cpu) = timed(|| {
            let ages = {
                let mut identities = self.schedule.identities.lock().unwrap_or_else(PoisonError::into_inner);
                identities.read_local_routes();
                identities.ownership_ages(Timestamp::now())
            };
            self.scanner.scan_watched(ages, &|| self.pulse.beat())
        });
        self.spent += cpu;
        self.schedule.metrics.spent(cpu);
        self.schedule.metrics.retried(&retries, self.scanner.retries());
        let scan = scan?;
        self.schedule.metrics.scanned(&scan, self.scanner.table().counts());
        Ok(scan)
    }

    fn identities<T>(&self, read: impl FnOnce(&Identities) -> T) -> T {
        read(&self.schedule.identities.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the controller about the table's addresses, and waits a moment for its answer. An answer that comes later
    /// serves the next snapshot.
    fn refresh_names(&mut self, hides_services: bool) {
        let Some(ask) = &self.schedule.ask else { return };
        let asked = match self.asked.take() {
            Some(pending) if matches!(pending.try_recv(), Err(TryRecvError::Empty)) => pending,
            _ => {
                let (done, asked) = mpsc::sync_channel(1);
                if ask.send((Held::of(self.scanner.table(), hides_services), done)).is_err() {
                    error!("The task that asks the controller has ended");
                    return;
                }
                asked
            }
        };
        if let Err(RecvTimeoutError::Timeout) = asked.recv_timeout(NAMES_PATIENCE.min(self.interval / 2)) {
            self.asked = Some(asked);
        }
    }
}

#[cfg(test)]
mod tests;
