//! The least that reading a table can cost: a loop that only receives. And its datagrams, kept to be given out again.

use std::io;

use khan_agent::flows::netlink::link::{Kernel, Link};
use khan_agent::flows::netlink::request;

const BUFFER: usize = 64 * 1024;
const NLMSG_DONE: u16 = 3;
/// `struct nlmsghdr` and the errno that ends a dump.
const DONE: usize = 20;

/// Receives a whole dump and looks at nothing but the end of each datagram.
pub(crate) fn drain(mut link: impl Link, mut see: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    link.send(&request::dump(1))?;
    loop {
        let len = link.receive(&mut buffer)?;
        let datagram = buffer.get(..len).ok_or(io::ErrorKind::UnexpectedEof)?;
        see(datagram);
        // It comes in a datagram of its own or last in one.
        let done = datagram.len() >= DONE && datagram[len - DONE + 4..][..2] == NLMSG_DONE.to_ne_bytes();
        if done {
            return Ok(());
        }
    }
}

/// The datagrams of one dump, with the sequence number that a fresh [`Netlink`](khan_agent::flows::Netlink) starts with.
pub(crate) struct Recording(Vec<Vec<u8>>);

impl Recording {
    /// Of the calling thread's network namespace.
    pub(crate) fn make() -> io::Result<Self> {
        let mut datagrams = Vec::new();
        drain(Kernel::open()?, |datagram| datagrams.push(datagram.to_vec()))?;
        Ok(Self(datagrams))
    }

    /// A kernel that answers with it.
    pub(crate) fn link(&self) -> Replay<'_> {
        Replay(self.0.iter())
    }
}

pub(crate) struct Replay<'a>(std::slice::Iter<'a, Vec<u8>>);

impl Link for Replay<'_> {
    fn send(&mut self, _request: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let datagram = self.0.next().ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer[..datagram.len()].copy_from_slice(datagram);
        Ok(datagram.len())
    }
}
