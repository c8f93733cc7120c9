//! The index behind its lock: watches and files write it, answers read it.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::index::Index;

/// The one index of this process.
///
/// Locks are held for microseconds (one object, or one chunk of an answer) and never across an await. A panic while
/// writing leaves an index that is at worst stale in one address, so poisoning is ignored.
#[derive(Debug)]
pub(crate) struct SharedIndex(RwLock<Index>);

impl SharedIndex {
    /// Shares `index`.
    pub(crate) fn new(index: Index) -> Self {
        Self(RwLock::new(index))
    }

    /// For looking up.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For changing.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
