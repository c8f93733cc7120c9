//! One scan of this node: dump, fold, and the tables' statistics.

use std::time::{Duration, Instant};

use khan_api::Timestamp;

use crate::flows::{Choice, Details, Dump, DumpError, Dumped, Flow, NodeTables, Reader, Retries, Sink, Stats};
use crate::table::{Homes, OwnershipAges, Settings, Table};

/// Scans again and again with the same memory.
#[derive(Debug)]
pub struct Scanner<R = NodeTables> {
    dump: Dump<R>,
    table: Table,
    /// When the latest scan began.
    latest: Option<Timestamp>,
    /// When the latest scan began that was kept.
    kept: Option<Timestamp>,
}

/// What one scan was like, apart from its rows.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// When the dump began.
    pub taken: Timestamp,
    /// When the scan began with which this one was compared: the latest that was [kept](Scanner::keep).
    pub since: Option<Timestamp>,
    /// Wall time of dump and fold.
    pub wall: Duration,
    /// The dump.
    pub dumped: Dumped,
    /// The statistics of the tables, read just after the dump.
    pub stats: Stats,
}

impl Scanner {
    /// Folds the tables of this node as `settings` say.
    pub fn new(settings: Settings) -> Self {
        Self::choosing(Choice::default(), settings)
    }

    /// The same of the tables that are chosen.
    pub fn choosing(choice: Choice, settings: Settings) -> Self {
        Self::of(NodeTables::new(choice), settings)
    }
}

impl<R: Reader> Scanner<R> {
    /// Folds what `reader` yields.
    pub(crate) fn of(reader: R, settings: Settings) -> Self {
        Self { dump: Dump::new(reader), table: Table::new(settings), latest: None, kept: None }
    }

    /// The table of the last scan.
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// Tells where clients live; see [`Table::set_homes`].
    #[must_use]
    pub(crate) fn with_homes(mut self, homes: Homes) -> Self {
        self.table.set_homes(homes);
        self
    }

    /// See [`Table::remember`].
    pub(crate) fn remember(&mut self) {
        self.table.remember();
    }

    /// The latest scan counts: the next is compared with it. See [`Table::keep`].
    pub fn keep(&mut self) {
        self.table.keep();
        self.kept = self.latest;
    }

    /// Forgets the rows of the last scan, and the memory that the next does not need.
    pub(crate) fn clear(&mut self) {
        self.table.clear();
    }

    /// Dumps begun again since the start, by cause.
    pub const fn retries(&self) -> &Retries {
        self.dump.retries()
    }

    /// Scans. On an error the table is empty.
    pub fn scan(&mut self, ages: OwnershipAges) -> Result<Scan, DumpError> {
        self.scan_watched(ages, &|| ())
    }

    /// Scans, and calls `progress` with every batch: a large table and a busy node can make one scan take minutes.
    pub(crate) fn scan_watched(&mut self, ages: OwnershipAges, progress: &impl Fn()) -> Result<Scan, DumpError> {
        let (taken, began) = (Timestamp::now(), Instant::now());
        self.table.prepare(ages);
        let dumped = self.dump.run(&mut Watched { table: &mut self.table, progress })?;
        let wall = began.elapsed();
        let stats = self.dump.stats().inspect_err(|_| self.table.clear())?;
        self.latest = Some(taken);
        Ok(Scan { taken, since: self.kept, wall, dumped, stats })
    }
}

/// The table, and somebody who wants to know that it is being filled.
struct Watched<'a, F> {
    table: &'a mut Table,
    progress: &'a F,
}

impl<F: Fn()> Sink for Watched<'_, F> {
    fn begin(&mut self) {
        self.table.begin();
    }

    fn batch(&mut self) {
        (self.progress)();
        self.table.batch();
    }

    #[inline]
    fn flow(&mut self, flow: &Flow) {
        self.table.flow(flow);
    }

    #[inline]
    fn entry(&mut self, flow: &Flow, details: impl FnOnce() -> Details) {
        self.table.entry(flow, details);
    }

    fn settle(&mut self) -> bool {
        self.table.settle()
    }
}

/// Does `work`, and tells how much CPU time it took the calling thread, in user space and in the kernel.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let before = cpu_time();
    let done = work();
    (done, cpu_time().saturating_sub(before))
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}
