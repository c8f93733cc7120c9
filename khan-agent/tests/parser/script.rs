//! A kernel that answers with given datagrams, and a sink that keeps everything.

use std::collections::VecDeque;
use std::io;

use khan_agent::conntrack::link::Link;
use khan_agent::conntrack::{Dump, DumpError, Dumped, Flow, Sink};

/// The first dump of a process, answered with these datagrams; fails when it is not over by then.
pub(crate) fn run(datagrams: &[&[u8]], sink: &mut impl Sink) -> Result<Dumped, DumpError> {
    let answers = || Answers { left: datagrams.iter().map(|datagram| datagram.to_vec()).collect(), sequence: FIRST };
    Dump::default().run(|| Ok(answers()), || None, sink)
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

/// Every flow, with its attributes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept(pub(crate) Vec<(Flow, Vec<u8>)>);

impl Sink for Kept {
    fn begin(&mut self) {
        self.0.clear();
    }

    fn datagram(&mut self) {}

    fn flow(&mut self, _flow: &Flow) {
        unreachable!("entries come whole");
    }

    fn entry(&mut self, flow: &Flow, attributes: &[u8]) {
        self.0.push((*flow, attributes.to_vec()));
    }
}
