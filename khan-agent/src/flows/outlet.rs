//! Where readers of maps put what they find: in, flows; out, the same in batches, to a sink.

use super::flow::Flow;
use super::reader::{AttemptError, Details, DumpError, Dumped, Sink, Spoiled};

/// Entries in a batch: as many as the kernel's dumps have, which is what sinks are made for.
const BATCH: u32 = 256;

/// A sink, and what has gone into it.
#[derive(Debug)]
pub(super) struct Outlet<'a, S> {
    sink: &'a mut S,
    dumped: &'a mut Dumped,
    given: u32,
}

impl<'a, S: Sink> Outlet<'a, S> {
    /// Counts in `dumped` what goes to the sink.
    pub(super) fn new(sink: &'a mut S, dumped: &'a mut Dumped) -> Self {
        sink.batch();
        Self { sink, dumped, given: 0 }
    }

    /// One connection.
    #[inline]
    pub(super) fn give(&mut self, flow: &Flow, details: impl FnOnce() -> Details) -> Result<(), AttemptError> {
        self.sink.entry(flow, details);
        self.dumped.flows += 1;
        self.given += 1;
        if self.given >= BATCH { self.next_batch() } else { Ok(()) }
    }

    /// An entry that could not be understood.
    pub(super) fn refuse(&mut self) {
        self.dumped.refused += 1;
    }

    /// Entries were read, of so many bytes together.
    pub(super) fn read(&mut self, bytes: u64) {
        self.dumped.bytes += bytes;
    }

    /// Ends the batch and begins another; shows a sign of life and asks whether anybody still waits.
    pub(super) fn next_batch(&mut self) -> Result<(), AttemptError> {
        self.given = 0;
        self.dumped.batches += 1;
        if self.sink.settle() {
            return Err(Spoiled::Zones.into());
        }
        if !self.sink.wanted() {
            return Err(DumpError::Unwanted.into());
        }
        self.sink.batch();
        Ok(())
    }
}
