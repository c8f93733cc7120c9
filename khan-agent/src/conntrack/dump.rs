//! One dump: in, a [`Link`]; out, every entry once to a [`Sink`], or an error and nothing.
//!
//! A dump that the kernel or the socket spoiled is begun again, a bounded number of times, after the sink has forgotten
//! what it got. Conntrack dumps carry no consistency check of their own (`NLM_F_DUMP_INTR` is honoured, but the kernel
//! does not raise it for them), and a hash table that is resized meanwhile loses and doubles entries without a word:
//! so the number of buckets is looked at with every datagram.

use std::io;

use super::flow::Flow;
use super::link::Link;
use super::{parse, request};

/// Datagrams of a dump end at 32 KiB whatever the buffer is (`netlink_dump` in the kernel's `af_netlink.c`); twice that
/// lets a kernel that does otherwise through.
const BUFFER: usize = 64 * 1024;
/// How often a dump is begun before it is given up.
const ATTEMPTS: u32 = 5;

const NETLINK_HEADER: usize = 16;
const NETFILTER_HEADER: usize = 4;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;
const NLM_F_DUMP_INTR: u16 = 0x10;

/// Takes what a dump yields.
pub trait Sink {
    /// A dump begins, perhaps anew: forget everything.
    fn begin(&mut self);
    /// A datagram begins. Only here can the kernel have lost its place and begun a bucket anew.
    fn datagram(&mut self);
    /// One entry.
    fn flow(&mut self, flow: &Flow);
    /// One entry with all its attributes, for who wants more than a flow holds.
    #[inline]
    fn entry(&mut self, flow: &Flow, _attributes: &[u8]) {
        self.flow(flow);
    }
    /// Whether the rest of the dump is still of use to anybody.
    fn wanted(&self) -> bool {
        true
    }
    /// The datagram is over. True when the dump must begin again, because it showed something that the sink was not
    /// prepared for.
    fn settle(&mut self) -> bool {
        false
    }
}

/// Why dumps were begun again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retries {
    /// The socket's buffer overflowed (`ENOBUFS`, `NLMSG_OVERRUN`).
    pub overflow: u64,
    /// A signal came (`EINTR`) or another dump was under way (`EAGAIN`, `EBUSY`).
    pub interrupted: u64,
    /// The kernel says that the table changed in a way that spoils the dump (`NLM_F_DUMP_INTR`).
    pub inconsistent: u64,
    /// A datagram or a message in it was cut short.
    pub truncated: u64,
    /// The number of hash buckets changed meanwhile.
    pub resized: u64,
    /// Entries in zones turned up unexpectedly.
    pub zones: u64,
}

impl Retries {
    /// Each cause by its name, as the label `cause` has it.
    pub const fn by_cause(&self) -> [(&'static str, u64); 6] {
        [
            ("overflow", self.overflow),
            ("interrupted", self.interrupted),
            ("inconsistent", self.inconsistent),
            ("truncated", self.truncated),
            ("resized", self.resized),
            ("zones", self.zones),
        ]
    }
}

/// What a completed dump was like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dumped {
    /// Entries given to the sink.
    pub flows: u64,
    /// Entries that could not be understood.
    pub refused: u64,
    /// Datagrams.
    pub datagrams: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Hash buckets of the table; 0 where the kernel does not tell.
    pub buckets: u64,
}

/// Why there is no dump.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The kernel refuses: `EPERM`.
    #[error(
        "reading the connection tracking table needs CAP_NET_ADMIN: run as root, or give the container \
         securityContext.capabilities.add: [NET_ADMIN], or the file `setcap cap_net_admin+ep`"
    )]
    NotPermitted,
    /// The kernel has no ctnetlink.
    #[error("this kernel has no conntrack netlink interface (CONFIG_NF_CT_NETLINK, module nf_conntrack_netlink)")]
    NoCtnetlink,
    /// A socket call failed in a way that trying again does not mend.
    #[error("cannot {what}")]
    Socket {
        /// What was tried.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The sink wanted no more.
    #[error("nobody waited for the dump any more")]
    Unwanted,
    /// Every attempt was spoiled.
    #[error("the dump was spoiled {ATTEMPTS} times, at last because {0}")]
    Spoiled(Spoiled),
}

/// What spoiled one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Spoiled {
    /// See [`Retries::overflow`].
    #[error("the socket's buffer overflowed")]
    Overflow,
    /// See [`Retries::interrupted`].
    #[error("it was interrupted")]
    Interrupted,
    /// See [`Retries::inconsistent`].
    #[error("the table changed under it")]
    Inconsistent,
    /// See [`Retries::truncated`].
    #[error("a message was cut short")]
    Truncated,
    /// See [`Retries::resized`].
    #[error("the hash table was resized")]
    Resized,
    /// See [`Retries::zones`].
    #[error("entries in zones turned up")]
    Zones,
}

enum Failure {
    Again(Spoiled),
    Final(DumpError),
}

impl From<Spoiled> for Failure {
    fn from(spoiled: Spoiled) -> Self {
        Self::Again(spoiled)
    }
}

/// Dumps the table again and again through one buffer.
#[derive(Debug)]
pub struct Dump {
    buffer: Box<[u8]>,
    sequence: u32,
    retries: Retries,
}

impl Default for Dump {
    fn default() -> Self {
        Self { buffer: vec![0; BUFFER].into_boxed_slice(), sequence: 0, retries: Retries::default() }
    }
}

impl Dump {
    /// Attempts begun again since the start, by cause.
    pub const fn retries(&self) -> &Retries {
        &self.retries
    }

    /// Dumps the table into `sink`, which after an error has been told to forget what it got. `open` gives a fresh link
    /// for each attempt, so that nothing of a broken one is left to be read; `buckets` tells the size of the hash table.
    pub fn run<L: Link>(
        &mut self,
        mut open: impl FnMut() -> io::Result<L>,
        mut buckets: impl FnMut() -> Option<u64>,
        sink: &mut impl Sink,
    ) -> Result<Dumped, DumpError> {
        let mut attempt = 1;
        loop {
            let before = buckets();
            sink.begin();
            let link = open().map_err(|source| DumpError::Socket { what: "open a netlink socket", source })?;
            let outcome = self.attempt(link, sink, || buckets() == before);
            let outcome = outcome.map(|dumped| Dumped { buckets: before.unwrap_or(0), ..dumped });
            let why = match outcome {
                Ok(dumped) => return Ok(dumped),
                Err(Failure::Final(error)) => {
                    sink.begin();
                    return Err(error);
                }
                Err(Failure::Again(why)) => why,
            };
            self.count(why);
            if attempt == ATTEMPTS {
                sink.begin();
                return Err(DumpError::Spoiled(why));
            }
            attempt += 1;
        }
    }

    fn count(&mut self, why: Spoiled) {
        let counter = match why {
            Spoiled::Overflow => &mut self.retries.overflow,
            Spoiled::Interrupted => &mut self.retries.interrupted,
            Spoiled::Inconsistent => &mut self.retries.inconsistent,
            Spoiled::Truncated => &mut self.retries.truncated,
            Spoiled::Resized => &mut self.retries.resized,
            Spoiled::Zones => &mut self.retries.zones,
        };
        *counter += 1;
    }

    fn attempt(
        &mut self,
        mut link: impl Link,
        sink: &mut impl Sink,
        mut same_size: impl FnMut() -> bool,
    ) -> Result<Dumped, Failure> {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        let sequence = self.sequence;
        link.send(&request::dump(sequence)).map_err(|error| failure("send a dump request", error))?;
        let mut dumped = Dumped::default();
        loop {
            if !sink.wanted() {
                return Err(Failure::Final(DumpError::Unwanted));
            }
            let len = link.receive(&mut self.buffer).map_err(|error| failure("receive from the kernel", error))?;
            let datagram = self.buffer.get(..len).ok_or(Spoiled::Truncated)?;
            dumped.datagrams += 1;
            dumped.bytes += len as u64;
            sink.datagram();
            let done = datagram_into(datagram, sequence, sink, &mut dumped)?;
            if !same_size() {
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
fn datagram_into(mut bytes: &[u8], sequence: u32, sink: &mut impl Sink, dumped: &mut Dumped) -> Result<bool, Failure> {
    if bytes.is_empty() {
        return Err(Spoiled::Truncated.into());
    }
    while !bytes.is_empty() {
        let header = bytes.first_chunk::<NETLINK_HEADER>().ok_or(Spoiled::Truncated)?;
        let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let flags = u16::from_ne_bytes([header[6], header[7]]);
        let message = bytes.get(NETLINK_HEADER..len).ok_or(Spoiled::Truncated)?;
        bytes = bytes.get(super::attribute::aligned(len)..).unwrap_or_default();
        if u32::from_ne_bytes([header[8], header[9], header[10], header[11]]) != sequence {
            continue;
        }
        if flags & NLM_F_DUMP_INTR != 0 {
            return Err(Spoiled::Inconsistent.into());
        }
        match kind {
            request::ENTRY => {
                let attributes = message.get(NETFILTER_HEADER..).ok_or(Spoiled::Truncated)?;
                match parse::flow(attributes) {
                    Ok(flow) => {
                        dumped.flows += 1;
                        sink.entry(&flow, attributes);
                    }
                    Err(_) => dumped.refused += 1,
                }
            }
            NLMSG_DONE => return finish(message).map(|()| true),
            NLMSG_ERROR => return finish(message).map(|()| false),
            NLMSG_OVERRUN => return Err(Spoiled::Overflow.into()),
            // NLMSG_NOOP, and what a newer kernel may add.
            _ => {}
        }
    }
    Ok(false)
}

/// The errno that ends a dump or refuses it; 0 is none.
fn finish(message: &[u8]) -> Result<(), Failure> {
    let code = message.first_chunk::<4>().map(|code| i32::from_ne_bytes(*code)).ok_or(Spoiled::Truncated)?;
    if code == 0 { Ok(()) } else { Err(failure("dump the table", io::Error::from_raw_os_error(code.wrapping_neg()))) }
}

fn failure(what: &'static str, error: io::Error) -> Failure {
    use rustix::io::Errno;
    match Errno::from_io_error(&error) {
        Some(Errno::NOBUFS) => Spoiled::Overflow.into(),
        Some(Errno::INTR | Errno::AGAIN | Errno::BUSY) => Spoiled::Interrupted.into(),
        Some(Errno::PERM | Errno::ACCESS) => Failure::Final(DumpError::NotPermitted),
        Some(Errno::OPNOTSUPP | Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT) => Failure::Final(DumpError::NoCtnetlink),
        _ => Failure::Final(DumpError::Socket { what, source: error }),
    }
}

#[cfg(test)]
mod tests;
