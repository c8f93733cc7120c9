//! The latest snapshot, for many readers; the scan thread is its one writer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use crate::exposition::Page;
use crate::snapshot::Snapshot;

/// A snapshot and its page.
#[derive(Debug)]
pub struct Published {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Its page.
    pub page: Page,
    /// When its dump began, by the clock that never jumps.
    pub began: Instant,
}

/// Where the latest snapshot stands.
#[derive(Debug)]
pub struct Board {
    latest: ArcSwapOption<Published>,
    scans: watch::Sender<u64>,
}

impl Default for Board {
    fn default() -> Self {
        Self { latest: ArcSwapOption::empty(), scans: watch::Sender::new(0) }
    }
}

impl Board {
    /// The latest snapshot; none before the first scan and when scans have failed for too long.
    pub fn latest(&self) -> Option<Arc<Published>> {
        self.latest.load_full()
    }

    /// Replaces it.
    pub fn publish(&self, published: Published) {
        self.latest.store(Some(Arc::new(published)));
        self.scanned();
    }

    /// Notes that a scan failed; withdraws the snapshot when it is older than `keep`.
    pub fn failed(&self, keep: Duration) {
        if self.latest().is_some_and(|published| published.began.elapsed() > keep) {
            self.latest.store(None);
        }
        self.scanned();
    }

    /// Tells when scans end, whatever their outcome.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.scans.subscribe()
    }

    fn scanned(&self) {
        self.scans.send_modify(|scans| *scans += 1);
    }
}
