//! This host's own table, read once and in-process: what `khan --source local` shows.

use std::time::Duration;

use crate::flows::DumpError;
use crate::identities::{ExternalNames, Identities};
use crate::scan;
use crate::snapshot::{Origin, build};
use crate::table::{OwnershipAges, Settings};

/// Reads this network namespace's table when asked; names nothing.
///
/// ```no_run
/// let mut scanner = khan_agent::local::Scanner::new("my-laptop");
/// let snapshot = scanner.scan()?;
/// println!("{} connections", snapshot.connections);
/// # Ok::<(), khan_agent::flows::DumpError>(())
/// ```
#[derive(Debug)]
pub struct Scanner {
    origin: Origin,
    inner: scan::Scanner,
    identities: Identities,
    number: u64,
}

impl Scanner {
    /// `node` is what the snapshots call this host.
    pub fn new(node: &str) -> Self {
        Self {
            origin: Origin::here(node),
            inner: scan::Scanner::new(Settings::default()),
            identities: Identities::new(node, "", ExternalNames::default()),
            number: 0,
        }
    }

    /// Scans once. Needs `CAP_NET_ADMIN`; takes about 3 microseconds an entry, so do not call it from an async task.
    pub fn scan(&mut self) -> Result<khan_api::Snapshot, DumpError> {
        self.identities.read_local_routes();
        let scan = self.inner.scan(OwnershipAges::default())?;
        self.number += 1;
        let snapshot =
            build::build(&self.origin, self.number, Duration::ZERO, &scan, self.inner.table(), &self.identities);
        self.inner.keep();
        self.inner.clear();
        Ok(snapshot.to_api(usize::MAX))
    }
}
