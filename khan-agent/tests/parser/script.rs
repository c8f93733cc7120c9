//! A kernel that answers with given datagrams, and a sink that keeps everything.

use std::collections::VecDeque;
use std::io;

use khan_agent::flows::netlink::link::Link;
use khan_agent::flows::netlink::sysctl::Timeouts;
use khan_agent::flows::{AttemptError, Dump, DumpError, Dumped, Flow, Netlink, Reader, Sink, Stats};

/// The first dump of a process, answered with these datagrams; fails when it is not over by then.
pub(crate) fn run(datagrams: &[&[u8]], sink: &mut impl Sink) -> Result<Dumped, DumpError> {
    Dump::new(Replayed { netlink: Netlink::default(), datagrams }).run(sink)
}

struct Replayed<'a> {
    netlink: Netlink,
    datagrams: &'a [&'a [u8]],
}

impl Reader for Replayed<'_> {
    fn read(&mut self, sink: &mut impl Sink) -> Result<Dumped, AttemptError> {
        let left = self.datagrams.iter().map(|datagram| datagram.to_vec()).collect();
        self.netlink.read_from(Answers { left, sequence: FIRST }, &Timeouts::default(), || None, sink)
    }

    fn stats(&mut self) -> Result<Stats, DumpError> {
        unreachable!("only the dump is replayed")
    }
}

/// The attributes of each entry in the datagrams of a whole dump, found without the code under test.
pub(crate) fn entries(datagrams: &[&[u8]]) -> Vec<Vec<u8>> {
    const NLMSG_DONE: [u8; 2] = 3_u16.to_ne_bytes();
    /// `IPCTNL_MSG_CT_NEW` of the subsystem `NFNL_SUBSYS_CTNETLINK`.
    const ENTRY: [u8; 2] = 0x0100_u16.to_ne_bytes();
    /// `struct nlmsghdr` and `struct nfgenmsg`.
    const HEADERS: usize = 20;
    let mut entries = Vec::new();
    for mut rest in datagrams.iter().copied() {
        while let Some(header) = rest.first_chunk::<16>() {
            let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
            let ours = header[8..12] == FIRST;
            match [header[4], header[5]] {
                NLMSG_DONE if ours => return entries,
                ENTRY if ours => entries.push(rest[HEADERS..len].to_vec()),
                _ => {}
            }
            rest = rest.get(len.max(1).next_multiple_of(4)..).unwrap_or_default();
        }
    }
    entries
}

/// The sequence number of a process's first request, which the given datagrams answer.
const FIRST: [u8; 4] = 1_u32.to_ne_bytes();

struct Answers {
    left: VecDeque<Vec<u8>>,
    sequence: [u8; 4],
}

impl Link for Answers {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.sequence.copy_from_slice(&request[8..12]);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut datagram = self.left.pop_front().ok_or(io::ErrorKind::UnexpectedEof)?;
        answer(&mut datagram, self.sequence);
        let fits = datagram.len().min(buffer.len());
        buffer[..fits].copy_from_slice(&datagram[..fits]);
        Ok(datagram.len())
    }
}

/// Makes messages that answer the first request answer a later one.
fn answer(mut messages: &mut [u8], sequence: [u8; 4]) {
    while let Some(header) = messages.first_chunk_mut::<16>() {
        let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        // What answered nobody may not begin to answer.
        if header[8..12] == FIRST {
            header[8..12].copy_from_slice(&sequence);
        } else if header[8..12] == sequence {
            header[8..12].copy_from_slice(&FIRST);
        }
        messages = messages.get_mut(len.max(1).next_multiple_of(4)..).unwrap_or_default();
    }
}

/// Every flow.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept(pub(crate) Vec<Flow>);

impl Sink for Kept {
    fn begin(&mut self) {
        self.0.clear();
    }

    fn batch(&mut self) {}

    fn flow(&mut self, flow: &Flow) {
        self.0.push(*flow);
    }
}
