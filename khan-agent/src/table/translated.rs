//! Ports that source translation takes. In: entries whose answers go elsewhere than to the client. Out: of how many ports of a
//! translated address the connections to one destination are made.
//!
//! An address, a destination and a port of it leave 65,536 ports at most, and each entry has one of them, until it leaves the
//! table: `TIME_WAIT` counts. Zones have ports of their own.
//!
//! Bounded like the rows ([`super::bound`]): the smallest are given up when there are too many, and `lost` is the most that one
//! which came later can lack.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use khan_api::Protocol;

use super::hash::Seeds;
use crate::flows::{Address, Flow, Tuple};

/// Most destinations that are kept: what fits into 2048 places of a hash table.
const MOST: usize = 1_792;

/// One translated address and one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ports {
    /// The address that the destination sees.
    pub src: Address,
    /// Who answers.
    pub dst: Address,
    /// Its port.
    pub port: u16,
    /// Transport.
    pub protocol: Protocol,
    /// Ports in use.
    pub used: u32,
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    used: u32,
    /// What had been lost when it began.
    base: u32,
}

impl Counter {
    /// What it has had since it began, beyond what was lost meanwhile.
    fn margin(self, lost: u32) -> u32 {
        self.used.saturating_sub(lost - self.base)
    }
}

/// The destinations of one dump.
#[derive(Debug, Default)]
pub(super) struct Translated {
    // By a hash with a secret: two keys with one hash are as rare as in the search for duplicates. What each entry needs is
    // kept apart from what only the result does, so that it stays within the processor's nearest caches.
    counters: HashMap<u64, Counter, BuildHasherDefault<Ready>>,
    names: Vec<(u64, Name)>,
    lost: u32,
}

/// Translated address, destination, its port and protocol.
type Name = (Address, Address, u16, Protocol);

/// Whether the answers of an entry go to another address than the client's.
#[inline]
pub(super) fn is_translated(flow: &Flow) -> bool {
    flow.reply.dst != flow.original.src
}

impl Translated {
    pub(super) fn clear(&mut self) {
        self.counters.clear();
        self.names.clear();
        self.lost = 0;
    }

    /// Counts an entry.
    pub(super) fn add(&mut self, flow: &Flow, protocol: Protocol, seeds: &Seeds) {
        let Tuple { src: dst, dst: src, src_port: port, .. } = flow.reply;
        let key = seeds.tuple(&Tuple { src, dst, src_port: flow.zone, dst_port: port }, flow.protocol);
        if let Some(counter) = self.counters.get_mut(&key) {
            counter.used += 1;
            return;
        }
        if self.counters.len() == MOST {
            self.give_up();
        }
        self.counters.insert(key, Counter { used: 1, base: self.lost });
        self.names.push((key, (src, dst, port, protocol)));
    }

    /// Forgets the smallest quarter.
    #[cold]
    fn give_up(&mut self) {
        let mut margins: Vec<u32> = self.counters.values().map(|counter| counter.margin(self.lost)).collect();
        let quarter = margins.len() / 4;
        let margin = *margins.select_nth_unstable(quarter).1;
        let lost = self.lost;
        self.counters.retain(|_, counter| counter.margin(lost) > margin);
        self.names.retain(|(key, _)| self.counters.contains_key(key));
        self.lost += margin;
    }

    /// The destinations with the most ports, most first.
    pub(super) fn largest(&self, most: usize) -> Vec<Ports> {
        let named = self.names.iter().filter_map(|(key, name)| Some((name, self.counters.get(key)?.used)));
        let mut all: Vec<Ports> =
            named.map(|(&(src, dst, port, protocol), used)| Ports { src, dst, port, protocol, used }).collect();
        // Of several zones the fullest counts.
        all.sort_unstable();
        all.reverse();
        all.dedup_by_key(|ports| Ports { used: 0, ..*ports });
        all.sort_by_key(|ports| std::cmp::Reverse(ports.used));
        all.truncate(most);
        all
    }
}

/// A hasher of keys that are hashes.
#[derive(Debug, Default)]
struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(client: u32, dst: u32, port: u16, source: u32, zone: u16) -> Flow {
        let [client, dst, source] = [client, dst, source].map(Address::from_v4);
        Flow {
            original: Tuple { src: client, dst, src_port: 40_000, dst_port: 443 },
            reply: Tuple { src: dst, dst: source, src_port: 443, dst_port: port },
            protocol: 6,
            zone,
            ..Flow::default()
        }
    }

    fn used(translated: &Translated, most: usize) -> Vec<u32> {
        translated.largest(most).iter().map(|ports| ports.used).collect()
    }

    #[test]
    fn each_source_and_destination_has_ports_of_its_own() {
        let (mut translated, seeds) = (Translated::default(), Seeds::random());
        assert!(is_translated(&flow(1, 2, 3, 4, 0)) && !is_translated(&flow(1, 2, 3, 1, 0)));
        for (n, dst, source, zone) in [(50, 2, 9, 0), (30, 3, 9, 0), (20, 2, 8, 0), (70, 2, 8, 1)] {
            (0..n).for_each(|port| translated.add(&flow(1, dst, port, source, zone), Protocol::Tcp, &seeds));
        }
        assert_eq!(used(&translated, 9), [70, 50, 30], "zones have ports of their own, and the fullest counts");
        assert_eq!(used(&translated, 1), [70]);
        let [first, ..] = translated.largest(1)[..] else { panic!("one") };
        assert_eq!((first.src, first.dst, first.port), (Address::from_v4(8), Address::from_v4(2), 443));
        translated.clear();
        assert_eq!(used(&translated, 9), [0; 0]);
    }

    #[test]
    fn the_largest_stay_whatever_else_comes() {
        let (mut translated, seeds) = (Translated::default(), Seeds::random());
        for n in 0..40_000_u32 {
            translated.add(&flow(1, 1_000 + n, 1, 9, 0), Protocol::Tcp, &seeds);
            if n.is_multiple_of(40) {
                #[expect(clippy::cast_possible_truncation, reason = "below 1000")]
                translated.add(&flow(1, 2, n as u16 / 40, 9, 0), Protocol::Tcp, &seeds);
            }
            assert!(translated.counters.len() <= MOST);
        }
        let largest = translated.largest(1)[0];
        assert_eq!((largest.dst, largest.used), (Address::from_v4(2), 1_000), "it was there from the beginning");
        assert!(translated.lost < 40, "{}", translated.lost);
    }
}
