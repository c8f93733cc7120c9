//! In: the kernel's connection tracking table, through ctnetlink. Out: flows.
//!
//! The only requests are dumps and statistics: nothing is ever written to the kernel.
//!
//! Conntrack dumps carry no consistency check of their own (`NLM_F_DUMP_INTR` is honoured, but the kernel does not raise
//! it for them), and a hash table that is resized meanwhile loses and doubles entries without a word. So the number of
//! buckets is looked at with every datagram.

pub mod attribute;
pub mod link;
pub mod message;
pub mod request;
mod fast_path;
pub mod parse;
mod details;
mod stats;
pub mod sysctl;

use std::io;

use link::{Kernel, Link};
use message::{CutShort, Message, Messages};
use sysctl::{Buckets, Timeouts};

use super::reader::{AttemptError, DumpError, Dumped, Reader, Sink, Spoiled, Stats};

/// Room for one datagram. Those of a dump end at 32 KiB whatever the buffer is (`netlink_dump` in the kernel's `af_netlink.c`); twice that
/// lets a kernel that does otherwise through.
pub(crate) const BUFFER: usize = 64 * 1024;
const NETFILTER_HEADER: usize = 4;

/// Reads the connection tracking table of the calling thread's network namespace through one buffer.
#[derive(Debug)]
pub struct Netlink {
    buffer: Box<[u8]>,
    sequence: u32,
}

impl Default for Netlink {
    fn default() -> Self {
        Self { buffer: vec![0; BUFFER].into_boxed_slice(), sequence: 0 }
    }
}

impl Reader for Netlink {
    fn read(&mut self, sink: &mut impl Sink) -> Result<Dumped, AttemptError> {
        let (buckets, timeouts) = (Buckets::open(), Timeouts::read());
        // A fresh link for each attempt, so that nothing of a broken one is left to be read.
        self.read_from(open()?, &timeouts, || buckets.read(), sink)
    }

    fn stats(&mut self) -> Result<Stats, DumpError> {
        let read = stats::read(&mut open()?, &mut self.buffer);
        read.map_err(|source| DumpError::Socket { what: "read the table's statistics", source })
    }
}

fn open() -> Result<Kernel, DumpError> {
    Kernel::open().map_err(|source| DumpError::Socket { what: "open a netlink socket", source })
}

impl Netlink {
    /// One attempt over `link`. Idle times are measured against `timeouts`; `buckets` tells the size of the hash table.
    pub fn read_from(
        &mut self,
        mut link: impl Link,
        timeouts: &Timeouts,
        mut buckets: impl FnMut() -> Option<u64>,
        sink: &mut impl Sink,
    ) -> Result<Dumped, AttemptError> {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        let before = buckets();
        link.send(&request::dump(self.sequence)).map_err(|error| failure("send a dump request", error))?;
        let mut dumped = Dumped { buckets: before.unwrap_or(0), ..Dumped::default() };
        loop {
            if !sink.wanted() {
                return Err(DumpError::Unwanted.into());
            }
            let len = link.receive(&mut self.buffer).map_err(|error| failure("receive from the kernel", error))?;
            let datagram = self.buffer.get(..len).ok_or(Spoiled::Truncated)?;
            dumped.batches += 1;
            dumped.bytes += len as u64;
            sink.batch();
            let done = datagram_into(datagram, self.sequence, timeouts, sink, &mut dumped)?;
            if buckets() != before {
                return Err(Spoiled::Resized.into());
            }
            if sink.settle() {
                return Err(Spoiled::Zones.into());
            }
            if done {
                return Ok(dumped);
            }
        }
    }
}

/// Reads one datagram; true when it ends the dump.
fn datagram_into(
    datagram: &[u8],
    sequence: u32,
    timeouts: &Timeouts,
    sink: &mut impl Sink,
    dumped: &mut Dumped,
) -> Result<bool, AttemptError> {
    for message in Messages::of(datagram)? {
        let message = message?;
        if message.sequence != sequence {
            continue;
        }
        if message.flags & message::DUMP_INTERRUPTED != 0 {
            return Err(Spoiled::Inconsistent.into());
        }
        match message.kind {
            request::ENTRY => {
                let attributes = message.payload.get(NETFILTER_HEADER..).ok_or(Spoiled::Truncated)?;
                // Changed in place: moving it out of the result would copy a hundred bytes for each entry.
                match &mut parse::flow(attributes) {
                    Ok(flow) => {
                        dumped.flows += 1;
                        flow.idle = timeouts.idle(flow);
                        sink.entry(flow, || details::of(attributes));
                    }
                    Err(_) => dumped.refused += 1,
                }
            }
            message::DONE => return finish(&message).map(|()| true),
            message::ERROR => return finish(&message).map(|()| false),
            message::OVERRUN => return Err(Spoiled::Overflow.into()),
            // NLMSG_NOOP, and what a newer kernel may add.
            _ => {}
        }
    }
    Ok(false)
}

/// What the message that ends a dump, or refuses it, says.
fn finish(message: &Message<'_>) -> Result<(), AttemptError> {
    message.outcome()?.map_err(|error| failure("dump the table", error))
}

fn failure(what: &'static str, error: io::Error) -> AttemptError {
    use rustix::io::Errno;
    match Errno::from_io_error(&error) {
        Some(Errno::NOBUFS) => Spoiled::Overflow.into(),
        Some(Errno::INTR | Errno::AGAIN | Errno::BUSY) => Spoiled::Interrupted.into(),
        Some(Errno::PERM | Errno::ACCESS) => DumpError::NotPermitted.into(),
        Some(Errno::OPNOTSUPP | Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT) => DumpError::NoCtnetlink.into(),
        _ => DumpError::Socket { what, source: error }.into(),
    }
}

impl From<CutShort> for AttemptError {
    fn from(_: CutShort) -> Self {
        Spoiled::Truncated.into()
    }
}

#[cfg(test)]
mod tests;
