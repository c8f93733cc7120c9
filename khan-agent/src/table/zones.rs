//! One connection in several zones.
//!
//! Networks built on Open vSwitch track a connection once per zone it crosses. Entries with the same original tuple are
//! one connection; which entry speaks for it must not depend on their order in the dump. As any entry may turn out to have
//! a twin, all tuples are remembered, but only on nodes where zones are in use: the first entry in a zone other than 0
//! makes the dump begin again, prepared.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use crate::flows::Flow;

/// Tuples that are remembered at most: with as many a map has to grow, and takes 9 MiB of the agent's 64.
const MOST: usize = (1 << 19) / 8 * 7;

#[derive(Debug, Default)]
pub(super) struct Zones {
    prepared: bool,
    met: bool,
    /// Whether there were more tuples than are remembered.
    overflowed: bool,
    known: HashMap<u64, Known, BuildHasherDefault<Itself>>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    place: u32,
    rank: u32,
}

/// Who already speaks for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rival {
    /// No other zone has this connection.
    None,
    /// An entry that knows more than this one.
    Better,
    /// An entry that knows less, in the row at this place.
    Worse(u32),
}

impl Zones {
    /// A dump begins.
    pub(super) fn begin(&mut self) {
        self.prepared = self.met;
        self.met = false;
        self.overflowed = false;
        if self.prepared {
            self.known.clear();
        } else {
            self.known = HashMap::default();
        }
    }

    /// Takes note of an entry's zone; true when tuples have to be remembered.
    #[inline]
    pub(super) fn follow(&mut self, zone: u16) -> bool {
        self.met |= zone != 0;
        self.prepared
    }

    /// Whether a zone turned up in a dump that was not prepared for it.
    pub(super) const fn unprepared(&self) -> bool {
        self.met && !self.prepared
    }

    /// Who speaks for this connection so far.
    pub(super) fn rival(&self, tuple: u64, flow: &Flow) -> Rival {
        match self.known.get(&tuple) {
            None => Rival::None,
            Some(known) if known.rank <= rank(flow) => Rival::Better,
            Some(known) => Rival::Worse(known.place),
        }
    }

    /// Rows of the family that `last` bit of their places tells have moved to these places.
    pub(super) fn moved(&mut self, last: u32, places: &[u32]) {
        for known in self.known.values_mut().filter(|known| known.place & 1 == last) {
            let place = places.get((known.place >> 1) as usize).copied().unwrap_or(u32::MAX);
            known.place = place << 1 | last;
        }
    }

    /// This entry speaks for the connection from now on.
    pub(super) fn keep(&mut self, tuple: u64, flow: &Flow, place: u32) {
        let (known, full) = (Known { place, rank: rank(flow) }, self.known.len() >= MOST);
        match self.known.entry(tuple) {
            Entry::Occupied(mut before) => *before.get_mut() = known,
            Entry::Vacant(_) if full => self.overflowed = true,
            Entry::Vacant(free) => drop(free.insert(known)),
        }
    }

    /// Whether connections may have been counted in several zones, because there are more than are remembered.
    pub(super) const fn overflowed(&self) -> bool {
        self.overflowed
    }
}

/// The lowest speaks: an entry with NAT knows the backend; among equals the zone decides.
fn rank(flow: &Flow) -> u32 {
    let (original, reply) = (flow.original, flow.reply);
    let mirrored = original.src == reply.dst
        && original.dst == reply.src
        && original.src_port == reply.dst_port
        && original.dst_port == reply.src_port;
    u32::from(mirrored) << 16 | u32::from(flow.zone)
}

/// Fingerprints are hashes already.
#[derive(Default)]
struct Itself(u64);

impl Hasher for Itself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }
}
