//! Rows, and an open-addressing index over them.
//!
//! `hashbrown::HashTable` could be the index, but the fold lives from what it does not offer: reading the slots of a whole
//! batch ahead of their rows (`settle`), four bytes a slot whatever a row takes, and refilling the index in place when rows
//! are given up.

use super::class::Class;
use super::hash::Seeds;

/// Connections that are alike in everything that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell<A> {
    /// `orig.src`; the number of a [home](super::Homes) in a sum of many clients.
    pub client: A,
    /// `orig.dst`
    pub service: A,
    /// `reply.src`
    pub backend: A,
    /// `orig.dst`'s port.
    pub port: u16,
    /// `reply.src`'s port.
    pub backend_port: u16,
    /// Protocol, state, idleness.
    pub class: Class,
    /// Zone, where zones are kept apart; else 0.
    pub zone: u16,
    /// Connections.
    pub count: u32,
    /// Most seconds since a last packet, of those where it is known.
    pub oldest: u32,
}

/// An address as rows hold it: four bytes for IPv4, sixteen for IPv6.
pub trait Word: Copy + Eq + From<u32> {
    /// No address.
    const NONE: Self;

    /// Hash of three addresses and one more word.
    #[doc(hidden)]
    fn hash(seeds: &Seeds, addresses: [Self; 3], last: u64) -> u64;

    /// Back from a number that was made of 32 bits.
    fn low(self) -> u32;
}

impl Word for u32 {
    const NONE: Self = 0;

    #[inline]
    fn hash(seeds: &Seeds, [client, service, backend]: [Self; 3], last: u64) -> u64 {
        seeds.three(u64::from(client) << 32 | u64::from(service), u64::from(backend), last)
    }

    fn low(self) -> u32 {
        self
    }
}

impl Word for u128 {
    const NONE: Self = 0;

    #[inline]
    fn hash(seeds: &Seeds, addresses: [Self; 3], last: u64) -> u64 {
        seeds.wide(addresses, last)
    }

    fn low(self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "what is asked for")]
        let low = self as u32;
        low
    }
}

impl<A: Word> Cell<A> {
    #[inline]
    fn last(&self) -> u64 {
        self.last_with(self.class.bits())
    }

    #[inline]
    fn last_with(&self, class: u16) -> u64 {
        u64::from(self.port) << 48 | u64::from(self.backend_port) << 32 | u64::from(class) << 16 | u64::from(self.zone)
    }

    #[inline]
    fn hash(&self, seeds: &Seeds) -> u64 {
        A::hash(seeds, [self.client, self.service, self.backend], self.last())
    }

    /// Of everything that tells one pair from another; rows of one pair differ in state and idleness.
    pub(super) fn pair(&self, seeds: &Seeds) -> u64 {
        A::hash(seeds, [self.client, self.service, self.backend], self.last_with(self.class.of_pair()))
    }

    #[inline]
    fn same(&self, other: &Self) -> bool {
        self.client == other.client
            && self.service == other.service
            && self.backend == other.backend
            && self.last() == other.last()
    }
}

const SMALLEST: usize = 1024;

/// The low bits of an index slot are a row's place plus one; the high byte is eight bits of its hash, so that most
/// wrong rows are passed by without a look. 0 is an empty slot.
const PLACE: u32 = 0x00ff_ffff;

/// So many connections are added together: enough for their reads of memory to overlap.
const BATCH: usize = 16;

/// Rows by key.
#[derive(Debug)]
pub(super) struct Cells<A> {
    pub(super) seeds: Seeds,
    index: Vec<u32>,
    rows: Vec<Cell<A>>,
    /// What [`lost`](Self::lost) was when each row began; empty while nothing was given up.
    floors: Vec<u32>,
    lost: u32,
    /// Connections that are not in the rows yet, each with its hash.
    waiting: Vec<(u64, Cell<A>)>,
}

impl<A: Word> Cells<A> {
    pub(super) fn new(seeds: Seeds) -> Self {
        let (index, rows, floors) = (Vec::new(), Vec::new(), Vec::new());
        Self { seeds, index, rows, floors, lost: 0, waiting: Vec::with_capacity(BATCH) }
    }

    /// A count may be 0. What waits is not in it: [settle](Self::settle) first.
    pub(super) fn as_slice(&self) -> &[Cell<A>] {
        debug_assert!(self.waiting.is_empty(), "rows are read before the datagram is over");
        &self.rows
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The most connections that any row lacks because it was given up before, and that any pair without a row has.
    pub(super) const fn lost(&self) -> u32 {
        self.lost
    }

    /// Adds one connection, when enough of them wait.
    #[inline]
    pub(super) fn add(&mut self, cell: Cell<A>) {
        self.waiting.push((cell.hash(&self.seeds), cell));
        if self.waiting.len() == BATCH {
            self.settle();
        }
    }

    /// Adds what waits.
    ///
    /// In a large table, a slot and its row are two reads of memory far from the processor. One connection after the other
    /// would wait for both; here the slots of all are read first, then the rows of all, and then both are at hand.
    pub(super) fn settle(&mut self) {
        if let Some(mask) = self.index.len().checked_sub(1) {
            let mut places = [0; BATCH];
            for (place, (hash, _)) in places.iter_mut().zip(&self.waiting) {
                #[expect(clippy::cast_possible_truncation, reason = "masked")]
                let at = *hash as usize & mask;
                *place = self.index[at] & PLACE;
            }
            let count = |place: u32| self.rows.get(place.wrapping_sub(1) as usize).map_or(0, |row| row.count);
            std::hint::black_box(places.into_iter().fold(0, |sum, place| sum ^ count(place)));
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        for (hash, cell) in waiting.drain(..) {
            self.insert(hash, cell);
        }
        self.waiting = waiting;
    }

    /// Adds connections at once, and tells the row's place.
    pub(super) fn put(&mut self, cell: Cell<A>) -> u32 {
        self.insert(cell.hash(&self.seeds), cell)
    }

    #[inline]
    fn insert(&mut self, hash: u64, cell: Cell<A>) -> u32 {
        if self.rows.len() * 8 >= self.index.len() * 5 {
            self.grow();
        }
        match self.find(hash, &cell) {
            Ok(place) => {
                let known = &mut self.rows[place as usize];
                known.count += cell.count;
                known.oldest = known.oldest.max(cell.oldest);
                place
            }
            Err((at, tag)) => {
                #[expect(clippy::cast_possible_truncation, reason = "bounded by PLACE")]
                let place = self.rows.len() as u32;
                self.index[at] = tag << 24 | (place + 1);
                self.rows.push(cell);
                if self.lost > 0 {
                    self.floors.push(self.lost);
                }
                place
            }
        }
    }

    /// The place of the row with this key; else the free slot for it, and the tag to put there.
    #[inline]
    fn find(&self, hash: u64, cell: &Cell<A>) -> Result<u32, (usize, u32)> {
        let mask = self.index.len() - 1;
        #[expect(clippy::cast_possible_truncation, reason = "the index is far smaller than either")]
        let (mut at, tag) = (hash as usize & mask, (hash >> 56) as u32);
        loop {
            let slot = self.index[at];
            if slot == 0 {
                return Err((at, tag));
            }
            let place = (slot & PLACE).wrapping_sub(1);
            if slot >> 24 == tag && self.rows[place as usize].same(cell) {
                return Ok(place);
            }
            at = (at + 1) & mask;
        }
    }

    /// Takes one connection out of a row again.
    pub(super) fn take(&mut self, place: u32) {
        if let Some(cell) = self.rows.get_mut(place as usize) {
            cell.count = cell.count.saturating_sub(1);
        }
    }

    /// By how much each row is sure to be larger than what was given up since it began.
    pub(super) fn margins(&self) -> impl Iterator<Item = u32> {
        let floors = self.floors.iter().copied().chain(std::iter::repeat(0));
        self.rows.iter().zip(floors).map(|(row, floor)| (row.count + floor).saturating_sub(self.lost))
    }

    /// Takes out the rows that `given_up` names by place, puts the sum that `sum` makes of each in its stead, and counts
    /// `margin` as lost to whoever comes anew. Tells the new place of each row, which is its sum's where it went.
    pub(super) fn give_up(
        &mut self,
        margin: u32,
        given_up: impl Fn(usize) -> bool,
        mut sum: impl FnMut(&Cell<A>) -> Cell<A>,
    ) -> Vec<u32> {
        const INTO_SUM: u32 = 1 << 31;
        debug_assert!(self.waiting.is_empty(), "rows are given up before the datagram is over");
        self.floors.resize(self.rows.len(), 0);
        self.lost += margin;
        let mut sums = Self::new(self.seeds);
        let mut kept = 0;
        let mut places: Vec<u32> = (0..self.rows.len())
            .map(|n| {
                let row = self.rows[n];
                if given_up(n) {
                    return INTO_SUM | sums.put(sum(&row));
                }
                (self.rows[kept], self.floors[kept]) = (row, self.floors[n]);
                kept += 1;
                #[expect(clippy::cast_possible_truncation, reason = "bounded by PLACE")]
                let place = kept as u32 - 1;
                place
            })
            .collect();
        self.rows.truncate(kept);
        self.floors.truncate(kept);
        self.index.fill(0);
        self.index_all();
        let sums: Vec<u32> =
            sums.rows.into_iter().map(|row| if row.count > 0 { self.put(row) } else { u32::MAX }).collect();
        for place in places.iter_mut().filter(|place| **place & INTO_SUM != 0) {
            *place = sums[(*place & !INTO_SUM) as usize];
        }
        places
    }

    /// Forgets all rows. Keeps the memory that as many rows again would need, and no more than four times that.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.floors = Vec::new();
        self.lost = 0;
        let rows = self.rows.len();
        if rows == 0 {
            return;
        }
        self.rows.clear();
        if self.rows.capacity() > 4 * rows.max(SMALLEST) {
            self.rows.shrink_to(rows);
        }
        let enough = Self::index_for(rows);
        if self.index.len() > 4 * enough {
            self.index = vec![0; enough];
        } else {
            self.index.fill(0);
        }
    }

    /// Bytes that are held.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.index.capacity() * size_of::<u32>() + self.rows.capacity() * size_of::<Cell<A>>()
    }

    const fn index_for(rows: usize) -> usize {
        let slots = (rows * 8 / 5 + 1).next_power_of_two();
        if slots < SMALLEST { SMALLEST } else { slots }
    }

    #[cold]
    fn grow(&mut self) {
        let slots = (self.index.len() * 2).max(SMALLEST);
        self.index = Vec::new();
        self.index = vec![0; slots];
        self.index_all();
    }

    /// Enters all rows into the index, which is empty.
    fn index_all(&mut self) {
        let mask = self.index.len().wrapping_sub(1);
        for (place, cell) in self.rows.iter().enumerate() {
            let hash = cell.hash(&self.seeds);
            #[expect(clippy::cast_possible_truncation, reason = "bounded by PLACE")]
            let (mut at, entry) = (hash as usize & mask, ((hash >> 56) as u32) << 24 | (place as u32 + 1));
            while self.index[at] != 0 {
                at = (at + 1) & mask;
            }
            self.index[at] = entry;
        }
    }
}
