//! A kernel that answers with given datagrams, and a sink that keeps everything.

use std::collections::VecDeque;
use std::io;

use khan_agent::conntrack::link::Link;
use khan_agent::conntrack::{Dump, DumpError, Dumped, Flow, Sink};

/// The first dump of a process, answered with these datagrams; fails when it is not over by then.
pub(crate) fn run(datagrams: &[&[u8]], kept: &mut Kept) -> Result<Dumped, DumpError> {
    let answers = || Answers(datagrams.iter().map(|datagram| datagram.to_vec()).collect());
    Dump::default().run(|| Ok(answers()), || None, kept)
}

struct Answers(VecDeque<Vec<u8>>);

impl Link for Answers {
    fn send(&mut self, _request: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let datagram = self.0.pop_front().ok_or(io::ErrorKind::UnexpectedEof)?;
        let fits = datagram.len().min(buffer.len());
        buffer[..fits].copy_from_slice(&datagram[..fits]);
        Ok(datagram.len())
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
