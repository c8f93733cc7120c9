//! A queue in which peers take turns: whoever waits with a thousand requests is served as often as whoever waits with one.

use std::collections::{HashMap, VecDeque};

use crate::peer::Peer;

/// What waits, first in first out for each peer.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    // None is empty, and each stands in `order` once.
    queues: HashMap<Peer, VecDeque<(u64, T)>>,
    order: VecDeque<Peer>,
    len: usize,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self { queues: HashMap::new(), order: VecDeque::new(), len: 0 }
    }
}

impl<T> Ring<T> {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// How many of `peer` wait.
    pub(crate) fn len_of(&self, peer: Peer) -> usize {
        self.queues.get(&peer).map_or(0, VecDeque::len)
    }

    /// What each peer has waited for longest.
    pub(crate) fn first_of_each(&self) -> impl Iterator<Item = (Peer, &T)> {
        self.queues.iter().filter_map(|(peer, queue)| Some((*peer, &queue.front()?.1)))
    }

    /// Adds at the end. The numbers that a ring is given must rise.
    pub(crate) fn push(&mut self, peer: Peer, number: u64, item: T) {
        let queue = self.queues.entry(peer).or_insert_with(|| {
            self.order.push_back(peer);
            VecDeque::new()
        });
        queue.push_back((number, item));
        self.len += 1;
    }

    /// Takes the first of the peer whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<(u64, T)> {
        let peer = self.order.pop_front()?;
        let queue = self.queues.get_mut(&peer)?;
        let first = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&peer);
        } else {
            self.order.push_back(peer);
        }
        self.len -= 1;
        first
    }

    /// Takes the latest of the peer that has most waiting, if that is more than `most`.
    pub(crate) fn pop_longest(&mut self, most: usize) -> Option<T> {
        let (peer, queue) = self.queues.iter().max_by_key(|(_, queue)| queue.len())?;
        let (peer, number) = (*peer, queue.back().filter(|_| queue.len() > most)?.0);
        self.remove(peer, number)
    }

    pub(crate) fn get_mut(&mut self, peer: Peer, number: u64) -> Option<&mut T> {
        let queue = self.queues.get_mut(&peer)?;
        let position = queue.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        queue.get_mut(position).map(|(_, item)| item)
    }

    pub(crate) fn remove(&mut self, peer: Peer, number: u64) -> Option<T> {
        let queue = self.queues.get_mut(&peer)?;
        let position = queue.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        let (_, item) = queue.remove(position)?;
        if queue.is_empty() {
            self.queues.remove(&peer);
            self.order.retain(|other| *other != peer);
        }
        self.len -= 1;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn peer(n: u32) -> Peer {
        Peer::from(std::net::IpAddr::from(Ipv4Addr::from_bits(n)))
    }

    #[test]
    fn peers_take_turns_however_much_they_ask() {
        let mut ring = Ring::default();
        (0..5).for_each(|n| ring.push(peer(1), n, n));
        (5..7).for_each(|n| ring.push(peer(2), n, n));
        assert_eq!((ring.len(), ring.len_of(peer(1)), ring.len_of(peer(3))), (7, 5, 0));
        assert_eq!(ring.remove(peer(1), 1), Some(1));
        assert_eq!(ring.remove(peer(1), 1), None);
        assert_eq!(ring.pop_longest(2), Some(4));
        assert_eq!(ring.pop_longest(3), None);
        let order: Vec<u64> = std::iter::from_fn(|| ring.pop()).map(|(number, _)| number).collect();
        assert_eq!(order, [0, 5, 2, 6, 3]);
        assert_eq!((ring.len(), ring.queues.len(), ring.order.len()), (0, 0, 0));
    }

    #[test]
    fn a_peer_whose_last_one_left_has_no_turn() {
        let mut ring = Ring::default();
        ring.push(peer(1), 0, "left");
        ring.push(peer(2), 1, "stayed");
        assert_eq!(ring.remove(peer(1), 0), Some("left"));
        *ring.get_mut(peer(2), 1).unwrap() = "changed";
        assert_eq!(ring.pop(), Some((1, "changed")));
        assert_eq!(ring.pop(), None);
    }
}
