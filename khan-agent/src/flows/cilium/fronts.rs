//! What services are dialled by: in, the entries that say so; out, the address behind a connection's number.
//!
//! The client's entry of a connection has the number of what was dialled (`rev_nat_index`), by which Cilium translates replies
//! back: one address and port for each number (`cilium_lb4_reverse_nat`). An agent does not read that map; every SERVICE
//! entry tells its number's. So one address for each number is kept, and not one for each connection. A number can stand
//! for two only while a service is replaced, or where a node port is dialled at another node's address.
//!
//! Where the backend's node answers the client directly (DSR), the entry itself has the address, since Cilium 1.19. Those get
//! numbers of their own.

use std::collections::HashMap;

use super::layout::Ip;

/// An address and a port that were dialled.
pub(super) type Front<A> = (A, u16);

/// What each number stands for.
#[derive(Debug)]
pub(super) struct Fronts<A> {
    /// By Cilium's number: what the first entry said.
    services: Vec<Option<Front<A>>>,
    /// By ours.
    direct: Vec<Front<A>>,
    numbers: HashMap<Front<A>, u16>,
}

impl<A: Ip> Fronts<A> {
    pub(super) fn new() -> Self {
        Self { services: Vec::new(), direct: Vec::new(), numbers: HashMap::new() }
    }

    /// Learns what Cilium's number stands for. False when it is known to stand for something else.
    #[inline]
    pub(super) fn learn(&mut self, number: u16, front: Front<A>) -> bool {
        let place = usize::from(number);
        if place >= self.services.len() {
            self.services.resize(place + 1, None);
        }
        *self.services[place].get_or_insert(front) == front
    }

    /// What Cilium's number stands for.
    #[inline]
    pub(super) fn service(&self, number: u16) -> Option<Front<A>> {
        self.services.get(usize::from(number)).copied().flatten()
    }

    /// A number for what was dialled with a connection that is answered directly; none when all are taken.
    pub(super) fn number(&mut self, front: Front<A>) -> Option<u16> {
        if let Some(number) = self.numbers.get(&front) {
            return Some(*number);
        }
        let number = u16::try_from(self.direct.len()).ok()?;
        self.direct.push(front);
        self.numbers.insert(front, number);
        Some(number)
    }

    /// What such a number stands for.
    pub(super) fn direct(&self, number: u16) -> Option<Front<A>> {
        self.direct.get(usize::from(number)).copied()
    }
}
