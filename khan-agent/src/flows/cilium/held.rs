//! Entries of one map, held until all of a client's socket are together: in, entries in the map's order, which is none; out,
//! connections, each once.
//!
//! A connection can have three entries: OUT and IN with the same ends, and SERVICE with the same client, which is held only
//! where it says something that [`Fronts`] does not know. Entries are sorted by client socket, in place, and each socket's
//! are looked at together. Memory is bounded: when there is no room for more, half of the sockets, by their hash, are left for
//! another walk of the map. A socket is looked at in one walk or another, never in two.

use super::fronts::{Front, Fronts};
use super::layout::{Ip, Key, Role, Value};

/// Bytes that held entries may take: a million of IPv4.
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
    /// The number of what was dialled; 0 for the server itself, and in entries of the server's end, which do not know it.
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
    /// The server answers the client directly, and the number is ours.
    pub(super) const DIRECT: u8 = 1 << 6;

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
            // Some vendors put another number into entries of the server's end.
            index: if key.role == Role::In { 0 } else { value.rev_nat_index },
            protocol: key.protocol,
            notes,
            idle,
        }
    }

    #[inline]
    pub(super) const fn has(&self, note: u8) -> bool {
        self.notes & note != 0
    }

    /// By client socket, in each of which services come first.
    #[inline]
    fn order(&self) -> A::Order {
        let socket = u32::from(self.client_port) << 16 | u32::from(self.protocol) << 8;
        self.client.order(socket | u32::from(!self.has(Self::SERVICE)))
    }

    fn front(&self) -> Front<A> {
        (self.server, self.port)
    }

    #[inline]
    fn same_socket(&self, other: &Self) -> bool {
        self.client == other.client && self.client_port == other.client_port && self.protocol == other.protocol
    }
}

/// The entries of one walk.
#[derive(Debug)]
pub(super) struct Held<A> {
    entries: Vec<Entry<A>>,
    fronts: Fronts<A>,
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
        Self { entries: Vec::new(), fronts: Fronts::new(), most, seed, part: Part::default() }
    }

    /// Notes what was dialled with a connection that the server answers directly. What it answers as is in the entry itself.
    pub(super) fn directly(&mut self, entry: Entry<A>, dialled: Front<A>) -> Entry<A> {
        match self.fronts.number(dialled) {
            Some(index) => Entry { index, notes: entry.notes | Entry::<A>::DIRECT, ..entry },
            None => entry,
        }
    }

    /// Adds an entry if it is this walk's turn. False when there is no room for it.
    #[inline]
    pub(super) fn add(&mut self, entry: Entry<A>) -> bool {
        if entry.has(Entry::<A>::SERVICE) && self.fronts.learn(entry.index, entry.front()) {
            return true;
        }
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
        mut connection: impl FnMut(&Entry<A>, Option<Front<A>>) -> Result<(), E>,
    ) -> Result<bool, E> {
        self.entries.sort_unstable_by_key(Entry::order);
        for socket in self.entries.chunk_by_mut(Entry::same_socket) {
            let (services, connections) =
                socket.split_at_mut(socket.partition_point(|one| one.has(Entry::<A>::SERVICE)));
            connections.sort_unstable_by_key(Entry::front);
            for entries in connections.chunk_by(|one, other| one.front() == other.front()) {
                let one = entries[1..].iter().fold(entries[0], |one, other| Entry {
                    notes: one.notes | other.notes,
                    idle: one.idle.min(other.idle),
                    index: one.index.max(other.index),
                    ..one
                });
                connection(&one, dialled(&one, services, &self.fronts))?;
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

/// What was dialled with a connection. Its client's own entry, which is held where it differs from others with its number, knows best.
fn dialled<A: Ip>(one: &Entry<A>, services: &[Entry<A>], fronts: &Fronts<A>) -> Option<Front<A>> {
    if one.has(Entry::<A>::DIRECT) {
        return fronts.direct(one.index);
    }
    if one.index == 0 {
        return None;
    }
    let own = services.iter().filter(|service| service.index == one.index).map(Entry::front).min();
    own.or_else(|| fronts.service(one.index))
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
mod tests;
