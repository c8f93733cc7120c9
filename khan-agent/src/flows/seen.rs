//! Which connections the kernel's table holds, so that the same ones in an eBPF map are not counted again: in, flows; out,
//! yes or no.
//!
//! Where iptables still handles packets of pods, a connection is in both tables. The kernel's entry says more, so it is the one
//! that counts.

use std::hash::{BuildHasher, RandomState};

use super::address::Address;
use super::flow::Flow;

/// The most connections that are remembered: 4 MiB. On a node whose pods' connections are in maps, the kernel has few.
const MOST: usize = 1 << 19;
/// Marks, one bit each; most connections that the kernel does not have are told by a look at one of them.
const MARKS: usize = 1 << 22;

/// Hashes of connections.
#[derive(Debug)]
pub(super) struct Seen {
    seeds: [u64; 2],
    hashes: Vec<u64>,
    marks: Vec<u64>,
    overflowed: bool,
}

impl Default for Seen {
    fn default() -> Self {
        let random = RandomState::new();
        let seeds = [1, 2].map(|n: u64| random.hash_one(n) | 1);
        Self { seeds, hashes: Vec::new(), marks: Vec::new(), overflowed: false }
    }
}

impl Seen {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        let Self { hashes, marks, .. } = Self::default();
        (self.hashes, self.marks, self.overflowed) = (hashes, marks, false);
    }

    /// Remembers a connection.
    pub(super) fn note(&mut self, flow: &Flow) {
        if self.hashes.len() >= MOST {
            self.overflowed = true;
            return;
        }
        let hash = self.hash(flow);
        self.hashes.push(hash);
    }

    /// No more are noted; from now on they are asked for.
    pub(super) fn settle(&mut self) {
        if self.hashes.is_empty() {
            return;
        }
        self.hashes.sort_unstable();
        self.marks = vec![0; MARKS / 64];
        for hash in &self.hashes {
            let (word, bit) = mark(*hash);
            self.marks[word] |= bit;
        }
    }

    /// Whether there were more than are remembered.
    pub(super) const fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Whether the connection was noted, from whichever end.
    #[inline]
    pub(super) fn has(&self, flow: &Flow) -> bool {
        if self.marks.is_empty() {
            return false;
        }
        let hash = self.hash(flow);
        let (word, bit) = mark(hash);
        self.marks[word] & bit != 0 && self.hashes.binary_search(&hash).is_ok()
    }

    /// Of client, backend, their ports and the protocol. The same from both ends, since an entry that began in midstream can stand the wrong way round.
    #[inline]
    fn hash(&self, flow: &Flow) -> u64 {
        let client = self.end(flow.original.src, flow.original.src_port);
        let backend = self.end(flow.reply.src, flow.reply.src_port);
        fold(client.wrapping_add(backend) ^ self.seeds[1], client ^ backend ^ u64::from(flow.protocol).rotate_right(8))
    }

    #[inline]
    fn end(&self, address: Address, port: u16) -> u64 {
        let bits = address.bits();
        #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
        let (high, low) = ((bits >> 64) as u64, bits as u64);
        fold(fold(low ^ self.seeds[0], self.seeds[1] ^ u64::from(port)) ^ high, self.seeds[0])
    }
}

#[inline]
fn mark(hash: u64) -> (usize, u64) {
    let place = (hash >> 32) as usize % MARKS;
    (place / 64, 1 << (place % 64))
}

/// Both halves of the product.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
    let (high, low) = ((product >> 64) as u64, product as u64);
    high ^ low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::Tuple;

    fn flow(n: u32, port: u16) -> Flow {
        let [client, service, backend] = [n, 0x0a60_0001, 0x0a01_0000 + n % 7].map(Address::from_v4);
        Flow {
            original: Tuple { src: client, dst: service, src_port: port, dst_port: 80 },
            reply: Tuple { src: backend, dst: client, src_port: 8080, dst_port: port },
            protocol: 6,
            ..Flow::default()
        }
    }

    #[test]
    fn the_same_connection_is_known_however_it_was_dialled_and_from_both_ends() {
        let mut seen = Seen::default();
        assert!(!seen.has(&flow(1, 1)));
        (0..1000).for_each(|n| seen.note(&flow(n, 40_000)));
        seen.settle();
        for n in 0..1000 {
            let known = flow(n, 40_000);
            let direct = Flow { original: Tuple { dst: known.reply.src, dst_port: 8080, ..known.original }, ..known };
            assert!([known, direct, direct.turned()].iter().all(|flow| seen.has(flow)));
            assert!(!seen.has(&flow(n, 40_001)) && !seen.has(&Flow { protocol: 17, ..known }));
        }
        seen.clear();
        assert!(!seen.has(&flow(1, 40_000)) && !seen.overflowed());
    }
}
