//! One scan of this network namespace: dump, fold, and the kernel's own numbers.

use std::io;
use std::time::{Duration, Instant};

use khan_api::Timestamp;

use crate::conntrack::link::Kernel;
use crate::conntrack::sysctl::Buckets;
use crate::conntrack::{Dump, DumpError, Dumped, Retries, Stats, Timeouts};
use crate::table::{Cuts, Homes, Settings, Table};

/// Scans again and again with the same memory.
#[derive(Debug)]
pub struct Scanner {
    dump: Dump,
    table: Table,
}

/// What one scan was like, beside its rows.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// When the dump began.
    pub taken: Timestamp,
    /// Wall time of dump and fold.
    pub wall: Duration,
    /// The dump.
    pub dumped: Dumped,
    /// The kernel's numbers, read just after the dump.
    pub stats: Stats,
}

impl Scanner {
    /// Folds as `settings` say.
    pub fn new(settings: Settings) -> Self {
        Self { dump: Dump::default(), table: Table::new(settings) }
    }

    /// The table of the last scan.
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// Tells where clients live; see [`Table::set_homes`].
    #[must_use]
    pub fn with_homes(mut self, homes: Homes) -> Self {
        self.table.set_homes(homes);
        self
    }

    /// See [`Table::remember`].
    pub fn remember(&mut self) {
        self.table.remember();
    }

    /// Forgets the rows of the last scan, and the memory that the next does not need.
    pub fn clear(&mut self) {
        self.table.clear();
    }

    /// Dumps begun again since the start, by cause.
    pub const fn retries(&self) -> &Retries {
        self.dump.retries()
    }

    /// Scans. On an error the table is empty.
    pub fn scan(&mut self, cuts: Cuts) -> Result<Scan, DumpError> {
        let (taken, began) = (Timestamp::now(), Instant::now());
        let buckets = Buckets::open();
        self.table.prepare(Timeouts::read(), cuts);
        let dumped = self.dump.run(Kernel::open, || buckets.read(), &mut self.table)?;
        let wall = began.elapsed();
        let stats = stats().map_err(|source| {
            self.table.clear();
            DumpError::Socket { what: "read the table's statistics", source }
        })?;
        Ok(Scan { taken, wall, dumped, stats })
    }
}

fn stats() -> io::Result<Stats> {
    Stats::read(&mut Kernel::open()?)
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
