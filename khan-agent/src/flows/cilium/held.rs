//! Entries of one map, held until all of a client's socket are together: in, entries in the map's order, which is none; out,
//! connections, each once.
//!
//! A connection can have three entries: OUT and IN with the same ends, and SERVICE with the same client. So entries are sorted by
//! client socket, in place, and each socket's are looked at together. Memory is bounded: when there is no room for more,
//! half of the sockets, by their hash, are left for another walk of the map. A socket is looked at in one walk or another, never in two.

use std::cmp::Ordering;

use super::layout::{Ip, Key, Role, Value};

/// Bytes that held entries may take.
const ROOM: usize = 20 << 20;
/// Sockets are parted at most so often. What does not fit then belongs to one socket, or to somebody who knows our hashes.
const PARTED: u32 = 16;

/// What is kept of an entry: 20 bytes for IPv4, 48 for IPv6.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<A> {
    pub(super) client: A,
    /// The server; of a service, its address.
    pub(super) server: A,
    pub(super) client_port: u16,
    pub(super) port: u16,
    /// The service's number.
    pub(super) index: u16,
    pub(super) protocol: u8,
    /// The constants below.
    pub(super) notes: u8,
    /// Seconds since the last packet; [`Entry::UNKNOWN`] where that is not known.
    pub(super) idle: u32,
}

impl<A: Ip> Entry<A> {
    /// An idle time that is not known.
    pub(super) const UNKNOWN: u32 = u32::MAX;

    /// It says what was dialled.
    pub(super) const SERVICE: u8 = 1;
    /// There were packets to the client.
    pub(super) const REPLIED: u8 = 1 << 1;
    /// The handshake is over.
    pub(super) const BEGUN: u8 = 1 << 2;
    /// The client has sent FIN or RST.
    pub(super) const CLIENT_CLOSED: u8 = 1 << 3;
    /// The server has.
    pub(super) const SERVER_CLOSED: u8 = 1 << 4;
    /// Either has sent RST.
    pub(super) const RESET: u8 = 1 << 5;

    /// From key and value, `idle` seconds after the last packet.
    #[inline]
    pub(super) fn of(key: &Key<A>, value: &Value, idle: u32) -> Self {
        const RST: u8 = 0x04;
        let flag = |bit: u16| value.flags & bit != 0;
        let [tx, rx] = [0, 1].map(|way| (value.flags_seen[way], value.reports[way]));
        let closed = [flag(Value::TX_CLOSING), flag(Value::RX_CLOSING)];
        // Packets of the client are transmitted by this node's end in an entry that it opened, and received otherwise.
        let (replies, [client_closed, server_closed]) = match key.role {
            Role::In => (tx, [closed[1], closed[0]]),
            _ => (rx, closed),
        };
        let mut notes = 0;
        for (holds, note) in [
            (key.role == Role::Service, Self::SERVICE),
            (replies != (0, 0), Self::REPLIED),
            (flag(Value::SEEN_NON_SYN), Self::BEGUN),
            (client_closed, Self::CLIENT_CLOSED),
            (server_closed, Self::SERVER_CLOSED),
            ((tx.0 | rx.0) & RST != 0, Self::RESET),
        ] {
            notes |= if holds { note } else { 0 };
        }
        // A client that is led back to itself appears under another address on its way.
        let back = key.role != Role::Service && (flag(Value::LOOPBACK) || key.client.is_loopback());
        Self {
            client: if back { key.server } else { key.client },
            server: key.server,
            client_port: key.client_port,
            port: key.port,
            index: value.rev_nat_index,
            protocol: key.protocol,
            notes,
            idle,
        }
    }

    #[inline]
    pub(super) const fn has(&self, note: u8) -> bool {
        self.notes & note != 0
    }

    /// Sorts by client socket; in each, services by number, then connections by server.
    #[inline]
    fn order(&self, other: &Self) -> Ordering {
        let last = |entry: &Self| u32::from(entry.client_port) << 16 | u32::from(entry.protocol) << 1;
        let service = |entry: &Self| u32::from(!entry.has(Self::SERVICE));
        self.client.cmp(&other.client).then_with(|| {
            (last(self) | service(self)).cmp(&(last(other) | service(other))).then_with(|| {
                if self.has(Self::SERVICE) {
                    (self.index, self.server, self.port).cmp(&(other.index, other.server, other.port))
                } else {
                    (self.server, self.port).cmp(&(other.server, other.port))
                }
            })
        })
    }

    #[inline]
    fn same_socket(&self, other: &Self) -> bool {
        self.client == other.client && self.client_port == other.client_port && self.protocol == other.protocol
    }

    #[inline]
    fn same_ends(&self, other: &Self) -> bool {
        !self.has(Self::SERVICE) && self.server == other.server && self.port == other.port && self.same_socket(other)
    }
}

/// The entries of one walk.
#[derive(Debug)]
pub(super) struct Held<A> {
    entries: Vec<Entry<A>>,
    most: usize,
    seed: u64,
    part: Part,
}

/// Which sockets are taken: those whose hash begins with these bits.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    bits: u32,
    length: u32,
}

impl Part {
    #[inline]
    const fn takes(self, hash: u32) -> bool {
        self.length == 0 || hash >> (32 - self.length) == self.bits
    }

    /// The lower half.
    const fn half(self) -> Self {
        Self { bits: self.bits << 1, length: self.length + 1 }
    }

    /// The part that follows, as large as what is left allows; none after the last.
    const fn next(self) -> Option<Self> {
        let ones = self.bits.trailing_ones();
        if ones >= self.length {
            None
        } else {
            Some(Self { bits: (self.bits >> ones) + 1, length: self.length - ones })
        }
    }
}

impl<A: Ip> Held<A> {
    /// Without entries. `seed` decides how sockets are parted.
    pub(super) fn new(seed: u64) -> Self {
        Self::with_room(seed, ROOM / size_of::<Entry<A>>())
    }

    fn with_room(seed: u64, most: usize) -> Self {
        Self { entries: Vec::new(), most, seed, part: Part::default() }
    }

    /// Adds an entry if it is this walk's turn. False when there is no room for it.
    #[inline]
    pub(super) fn add(&mut self, entry: Entry<A>) -> bool {
        if self.part.length > 0 && !self.part.takes(hash(self.seed, &entry)) {
            return true;
        }
        if self.entries.len() >= self.most {
            return self.make_room(entry);
        }
        self.entries.push(entry);
        true
    }

    /// Leaves half of the sockets for a later walk, until there is room for the entry or it is left, too.
    #[cold]
    fn make_room(&mut self, entry: Entry<A>) -> bool {
        while self.part.takes(hash(self.seed, &entry)) {
            if self.entries.len() < self.most {
                self.entries.push(entry);
                return true;
            }
            if self.part.length >= PARTED {
                return false;
            }
            self.part = self.part.half();
            let (part, seed) = (self.part, self.seed);
            self.entries.retain(|entry| part.takes(hash(seed, entry)));
        }
        true
    }

    /// The walk is over: hands out its connections, what was dialled with each, and forgets them. Then says whether the map has to be
    /// walked again for sockets that were left.
    pub(super) fn connections<E>(
        &mut self,
        mut connection: impl FnMut(&Entry<A>, Option<&Entry<A>>) -> Result<(), E>,
    ) -> Result<bool, E> {
        self.entries.sort_unstable_by(Entry::order);
        let mut rest = self.entries.as_slice();
        while let Some(first) = rest.first() {
            let socket = rest.iter().position(|entry| !entry.same_socket(first)).unwrap_or(rest.len());
            let (own, others) = rest.split_at(socket);
            rest = others;
            let (services, connections) = own.split_at(own.partition_point(|entry| entry.has(Entry::<A>::SERVICE)));
            for entries in connections.chunk_by(Entry::same_ends) {
                let one = entries[1..].iter().fold(entries[0], |one, other| Entry {
                    notes: one.notes | other.notes,
                    idle: one.idle.min(other.idle),
                    // The entry of the client's end knows the service.
                    index: one.index.max(other.index),
                    ..one
                });
                let at = services.partition_point(|service| service.index < one.index);
                let dialled = services.get(at).filter(|service| service.index == one.index);
                connection(&one, dialled)?;
            }
        }
        self.entries.clear();
        Ok(match self.part.next() {
            Some(next) => {
                self.part = next;
                true
            }
            None => false,
        })
    }
}

/// Of the client's socket.
#[inline]
fn hash<A: Ip>(seed: u64, entry: &Entry<A>) -> u32 {
    let [high, low] = entry.client.words();
    let socket = u64::from(entry.client_port) << 8 | u64::from(entry.protocol);
    let mixed = (low ^ high.rotate_left(32) ^ seed).wrapping_add(socket.rotate_left(40));
    let product = u128::from(mixed) * u128::from(seed | 1);
    #[expect(clippy::cast_possible_truncation, reason = "the middle depends on all bits")]
    let hash = (product >> 64) as u32 ^ (product >> 32) as u32;
    hash
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn entry(client: u32, client_port: u16, server: u32, notes: u8, index: u16) -> Entry<u32> {
        Entry { client, server, client_port, port: 80, index, protocol: 6, notes, idle: client }
    }

    const SERVICE: u8 = Entry::<u32>::SERVICE;
    const BEGUN: u8 = Entry::<u32>::BEGUN;
    const REPLIED: u8 = Entry::<u32>::REPLIED;

    /// All connections in as many walks as it takes: how often each client comes, and the walks.
    fn walks(entries: &[Entry<u32>], most: usize) -> (BTreeMap<(u32, u16), u32>, u32) {
        let (mut held, mut seen, mut walks) = (Held::with_room(0x1234_5678_9abc_def1, most), BTreeMap::new(), 0);
        loop {
            walks += 1;
            for entry in entries {
                assert!(held.add(*entry));
                assert!(held.entries.len() <= most);
            }
            let again = held.connections(|one, dialled| {
                assert_eq!(dialled.map(|service| service.server), Some(99));
                assert_eq!(one.notes, BEGUN | REPLIED, "both entries");
                *seen.entry((one.client, one.client_port)).or_default() += 1;
                Ok::<(), ()>(())
            });
            if !again.unwrap() {
                return (seen, walks);
            }
        }
    }

    #[test]
    fn a_connection_is_one_in_one_walk_and_in_many() {
        let mut entries = Vec::new();
        for n in 0..3000_u16 {
            let (client, port) = (u32::from(n % 500), 30_000 + n / 500);
            entries.extend([
                entry(client, port, 7, BEGUN, 3),
                entry(client, port, 7, REPLIED, 0),
                entry(client, port, 99, SERVICE, 3),
            ]);
        }
        for (most, least) in [(9000, 1), (8999, 2), (500, 18), (60, 150)] {
            let (seen, walks) = walks(&entries, most);
            assert!(seen.len() == 3000 && seen.values().all(|times| *times == 1), "{most}");
            assert!((least..40 * least).contains(&walks), "{walks} walks with room for {most}");
            assert!(least > 1 || walks == 1);
        }
    }

    #[test]
    fn the_service_with_the_connections_number_is_what_was_dialled() {
        let mut held = Held::with_room(1, 100);
        // A socket that asks three servers, two of them through services, and one that was led back to itself.
        for entry in [
            entry(1, 5000, 99, SERVICE, 4),
            entry(1, 5000, 12, BEGUN, 4),
            entry(1, 5000, 98, SERVICE, 9),
            entry(1, 5000, 11, BEGUN, 9),
            entry(1, 5000, 13, BEGUN, 0),
            entry(2, 5000, 97, SERVICE, 4),
        ] {
            assert!(held.add(entry));
        }
        let mut found = Vec::new();
        held.connections(|one, dialled| {
            found.push((one.client, one.server, dialled.map(|service| service.server)));
            Ok::<(), ()>(())
        })
        .unwrap();
        assert_eq!(found, [(1, 11, Some(98)), (1, 12, Some(99)), (1, 13, None)], "a service alone is no connection");
    }

    #[test]
    fn a_socket_that_does_not_fit_is_refused_in_part() {
        let (mut held, mut refused, mut came) = (Held::with_room(1, 10), 0, 0);
        loop {
            refused += (0..100).filter(|n| !held.add(entry(1, 5000, 10 + *n, BEGUN, 0))).count();
            let again = held.connections(|_, _| {
                came += 1;
                Ok::<(), ()>(())
            });
            if !again.unwrap() {
                break;
            }
        }
        assert_eq!((came, refused), (10, 90));
    }
}
