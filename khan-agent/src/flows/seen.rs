//! Which connections the kernel's table holds, so that the same ones in an eBPF map are not counted again: in, flows; out,
//! yes or no.
//!
//! Where iptables still handles packets of pods, a connection is in both tables. The kernel's entry says more, so it is the one
//! that counts.

use std::hash::{BuildHasher, RandomState};

use super::address::Address;
use super::flow::{Flow, Tuple};
use crate::product::fold;

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

    /// Remembers a connection; where its source is changed on the way, also as what is beyond sees it.
    pub(super) fn note(&mut self, flow: &Flow) {
        let [client, seen_as] = [source(&flow.original), target(&flow.reply)];
        self.remember(self.hash(flow.protocol, client, source(&flow.reply)));
        if seen_as != client {
            self.remember(self.hash(flow.protocol, seen_as, source(&flow.reply)));
        }
    }

    fn remember(&mut self, hash: u64) {
        if self.hashes.len() < MOST {
            self.hashes.push(hash);
        } else {
            self.overflowed = true;
        }
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

    /// Whether the connection was noted, from whichever end: to its backend, or, by a kernel that does not translate it, to what was
    /// dialled.
    #[inline]
    pub(super) fn has(&self, flow: &Flow) -> bool {
        if self.marks.is_empty() {
            return false;
        }
        let [client, dialled, backend] = [source(&flow.original), target(&flow.original), source(&flow.reply)];
        self.holds(self.hash(flow.protocol, client, backend))
            || dialled != backend && self.holds(self.hash(flow.protocol, client, dialled))
    }

    #[inline]
    fn holds(&self, hash: u64) -> bool {
        let (word, bit) = mark(hash);
        self.marks[word] & bit != 0 && self.hashes.binary_search(&hash).is_ok()
    }

    /// The same from both ends, since an entry that began in midstream can stand the wrong way round.
    #[inline]
    fn hash(&self, protocol: u8, client: (Address, u16), server: (Address, u16)) -> u64 {
        let (client, server) = (self.end(client.0, client.1), self.end(server.0, server.1));
        fold(client.wrapping_add(server) ^ self.seeds[1], (u64::from(protocol) << 1 | 1) ^ client ^ server)
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
fn source(tuple: &Tuple) -> (Address, u16) {
    (tuple.src, tuple.src_port)
}

#[inline]
fn target(tuple: &Tuple) -> (Address, u16) {
    (tuple.dst, tuple.dst_port)
}

#[inline]
fn mark(hash: u64) -> (usize, u64) {
    let place = (hash >> 32) as usize % MARKS;
    (place / 64, 1 << (place % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        // Masqueraded by the kernel, after the data plane has seen it and before it does so again.
        let known = flow(5000, 40_000);
        let masqueraded = Tuple { dst: Address::from_v4(0xac12_0001), dst_port: 61_000, ..known.reply };
        seen.note(&Flow { reply: masqueraded, ..known });
        // Dialled by the kernel as it is, and translated only beyond.
        let plain = flow(6000, 40_000);
        let reply = Tuple { src: plain.original.dst, src_port: plain.original.dst_port, ..plain.reply };
        seen.note(&Flow { reply, ..plain });
        seen.settle();
        let beyond =
            Tuple { src: masqueraded.dst, src_port: masqueraded.dst_port, dst: known.reply.src, dst_port: 8080 };
        assert!([known, plain, Flow { original: beyond, ..known }].iter().all(|flow| seen.has(flow)));
        seen.clear();
        assert!(!seen.has(&flow(1, 40_000)) && !seen.overflowed());
    }
}
