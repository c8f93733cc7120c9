//! Rows in the order in which they came, and an open-addressing index over them.

use super::class::Class;
use super::hash::Seeds;

/// Connections that are alike in everything that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell<A> {
    /// `orig.src`
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
pub trait Word: Copy + Eq {
    /// No address.
    const NONE: Self;

    /// Hash of three addresses and one more word.
    #[doc(hidden)]
    fn hash(seeds: &Seeds, addresses: [Self; 3], last: u64) -> u64;
}

impl Word for u32 {
    const NONE: Self = 0;

    #[inline]
    fn hash(seeds: &Seeds, [client, service, backend]: [Self; 3], last: u64) -> u64 {
        seeds.three(u64::from(client) << 32 | u64::from(service), u64::from(backend), last)
    }
}

impl Word for u128 {
    const NONE: Self = 0;

    #[inline]
    fn hash(seeds: &Seeds, addresses: [Self; 3], last: u64) -> u64 {
        seeds.wide(addresses, last)
    }
}

impl<A: Word> Cell<A> {
    #[inline]
    fn last(&self) -> u64 {
        u64::from(self.port) << 48
            | u64::from(self.backend_port) << 32
            | u64::from(self.class.bits()) << 16
            | u64::from(self.zone)
    }

    #[inline]
    fn hash(&self, seeds: &Seeds) -> u64 {
        A::hash(seeds, [self.client, self.service, self.backend], self.last())
    }

    #[inline]
    fn same(&self, other: &Self) -> bool {
        self.client == other.client
            && self.service == other.service
            && self.backend == other.backend
            && self.last() == other.last()
    }
}

/// From this many rows on a client's further connections are summed, whomever they go to: 29 MB of IPv4 rows, which is
/// more than a table of the usual size can hold entries. From twice as many on, those of all further clients are.
pub(super) const MOST: usize = 1 << 20;

const SMALLEST: usize = 1024;

/// The low bits of an index slot are a row's place plus one; the high byte is eight bits of its hash, so that most
/// wrong rows are passed by without a look. 0 is an empty slot.
const PLACE: u32 = 0x00ff_ffff;

/// So many connections are added together: enough for their reads of memory to overlap.
const BATCH: usize = 16;

/// Rows by key.
#[derive(Debug)]
pub(super) struct Cells<A> {
    seeds: Seeds,
    most: usize,
    index: Vec<u32>,
    rows: Vec<Cell<A>>,
    /// Connections that are not in the rows yet, each with its hash.
    waiting: Vec<(u64, Cell<A>)>,
}

impl<A: Word> Cells<A> {
    /// Keeps at most about `most` rows apart.
    pub(super) fn new(seeds: Seeds, most: usize) -> Self {
        Self { seeds, most, index: Vec::new(), rows: Vec::new(), waiting: Vec::with_capacity(BATCH) }
    }

    /// In the order in which they first came. A count may be 0. What waits is not in it: [settle](Self::settle) first.
    pub(super) fn as_slice(&self) -> &[Cell<A>] {
        debug_assert!(self.waiting.is_empty(), "rows are read before the datagram is over");
        &self.rows
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

    /// Adds one connection at once, and tells the row's place.
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
                known.count += 1;
                known.oldest = known.oldest.max(cell.oldest);
                place
            }
            Err(_) if self.rows.len() >= self.most && !cell.class.is_summed() => self.sum(cell),
            Err((at, tag)) => {
                #[expect(clippy::cast_possible_truncation, reason = "bounded by PLACE")]
                let place = self.rows.len() as u32;
                self.index[at] = tag << 24 | (place + 1);
                self.rows.push(cell);
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

    /// Adds one connection to a sum, since there is no room for a row of its own.
    #[cold]
    fn sum(&mut self, cell: Cell<A>) -> u32 {
        let (service, backend, class) = (A::NONE, A::NONE, cell.class.summed());
        let mut sum = Cell { service, backend, port: 0, backend_port: 0, class, ..cell };
        if self.rows.len() >= 2 * self.most && self.find(sum.hash(&self.seeds), &sum).is_err() {
            sum.client = A::NONE;
        }
        self.put(sum)
    }

    /// Takes one connection out of a row again.
    pub(super) fn take(&mut self, place: u32) {
        if let Some(cell) = self.rows.get_mut(place as usize) {
            cell.count = cell.count.saturating_sub(1);
        }
    }

    /// Forgets all rows. Keeps the memory that as many rows again would need, and no more than four times that.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
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
        for (place, cell) in self.rows.iter().enumerate() {
            let hash = cell.hash(&self.seeds);
            #[expect(clippy::cast_possible_truncation, reason = "bounded by PLACE")]
            let (mut at, entry) = (hash as usize & (slots - 1), ((hash >> 56) as u32) << 24 | (place as u32 + 1));
            while self.index[at] != 0 {
                at = (at + 1) & (slots - 1);
            }
            self.index[at] = entry;
        }
    }
}
