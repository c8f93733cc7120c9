//! In: flows, one by one. Out: how many connections each (client, service address, backend, ports, protocol) has, by
//! state and by time since the last packet.
//!
//! Flows are folded as they come and forgotten, so memory grows with distinct pairs and not with entries, and only up to
//! a bound. Knows nothing of names: where an address changed hands is told by [`OwnershipAges`], as times, and whose clients may be
//! summed together by [`Homes`], as numbers.

mod class;
mod ownership_ages;
mod hash;
mod cells;
mod bound;
mod midstream;
mod dedup;
mod zones;
mod recall;
mod translated;

use std::time::Instant;

use khan_api::{Protocol, TcpState};

use crate::flows::{Address, Details, Flow, Sink, Tcp};

pub use bound::Homes;
pub use cells::{Cell, Word};
pub use class::{Class, Unclosed, state};
pub use ownership_ages::OwnershipAges;
pub use translated::Ports;

pub(crate) use dedup::Dedup;
pub(crate) use hash::Seeds;

use bound::Known;
use cells::Cells;
use recall::{Heard, Recall};
use translated::Translated;
use zones::Zones;

/// Ports from which the kernel takes those of masqueraded connections, unless a rule says otherwise: 1024 to 65535
/// (`nf_nat_l4proto_unique_tuple`).
pub const SNAT_PORTS: u32 = 65_536 - 1024;

/// How flows are folded.
#[derive(Clone, Debug)]
pub struct Settings {
    /// An established TCP connection without a packet for this many seconds is idle.
    pub idle_threshold: u32,
    /// Count the entries of this zone only.
    pub only_zone: Option<u16>,
    /// Keep rows of different zones apart.
    pub split_zones: bool,
    /// Ports to which UDP datagrams go that want an answer.
    pub question_ports: Vec<u16>,
    /// Ports that a translated source address has for each destination.
    pub snat_ports: u32,
    /// Keep at most about this many rows of both address families; sum the smallest.
    pub most_rows: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            idle_threshold: 600,
            only_zone: None,
            split_zones: false,
            question_ports: vec![53],
            snat_ports: SNAT_PORTS,
            most_rows: bound::MOST,
        }
    }
}

/// What was counted beside the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Entries by protocol number, duplicates left out.
    pub protocols: [u64; 256],
    /// TCP, UDP and SCTP connections in the rows.
    pub connections: u64,
    /// Entries that the dump held more than once.
    pub seen_twice: u64,
    /// Entries in another zone of a connection that was counted already.
    pub other_zones: u64,
    /// Entries that stood the wrong way round and were turned.
    pub turned: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self { protocols: [0; 256], connections: 0, seen_twice: 0, other_zones: 0, turned: 0 }
    }
}

/// One connection's row without its addresses, whose family decides only where it is kept.
#[derive(Clone, Copy)]
struct Row {
    port: u16,
    backend_port: u16,
    class: Class,
    zone: u16,
    oldest: u32,
}

impl Row {
    #[inline]
    const fn of<A: Copy>(self, [client, service, backend]: [A; 3]) -> Cell<A> {
        let Self { port, backend_port, class, zone, oldest } = self;
        Cell { client, service, backend, port, backend_port, class, zone, count: 1, oldest }
    }
}

/// The folded table.
#[derive(Debug)]
pub struct Table {
    settings: Settings,
    ages: OwnershipAges,
    homes: Homes,
    /// The largest pairs of the latest dump that was [remembered](Table::remember).
    known: Known,
    seeds: Seeds,
    v4: Cells<u32>,
    v6: Cells<u128>,
    counts: Counts,
    dedup: Dedup,
    zones: Zones,
    recall: Recall,
    translated: Translated,
}

impl Table {
    /// An empty one.
    pub fn new(settings: Settings) -> Self {
        let seeds = Seeds::random();
        Self {
            ages: OwnershipAges::default(),
            homes: Homes::default(),
            known: Known::default(),
            seeds,
            v4: Cells::new(seeds),
            v6: Cells::new(seeds),
            counts: Counts::default(),
            dedup: Dedup::default(),
            zones: Zones::default(),
            recall: Recall::default(),
            translated: Translated::default(),
            settings,
        }
    }

    /// Tells how long present owners have had their addresses, for the next dump.
    pub fn prepare(&mut self, ages: OwnershipAges) {
        self.ages = ages;
    }

    /// Tells where clients live, which decides whose connections may be summed.
    pub fn set_homes(&mut self, homes: Homes) {
        self.homes = homes;
    }

    /// Rows of IPv4.
    pub fn v4(&self) -> &[Cell<u32>] {
        self.v4.as_slice()
    }

    /// Rows of IPv6.
    pub fn v6(&self) -> &[Cell<u128>] {
        self.v6.as_slice()
    }

    /// What was counted beside.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Ports to which datagrams go that want an answer.
    pub(crate) fn question_ports(&self) -> &[u16] {
        &self.settings.question_ports
    }

    /// The translated source addresses and their destinations that use the most ports, most first.
    pub fn translated(&self, most: usize) -> Vec<Ports> {
        self.translated.largest(most)
    }

    /// Ports that a translated source address has for each destination.
    pub(crate) const fn snat_ports(&self) -> u32 {
        self.settings.snat_ports
    }

    /// The most connections that any row lacks, and that any pair without a row has; 0 while every pair has its row.
    pub fn lost(&self) -> u32 {
        self.v4.lost().max(self.v6.lost())
    }

    /// Connections in sums, because there was no room for rows of their own.
    pub fn summed(&self) -> u64 {
        fn summed<A>(cells: &[Cell<A>]) -> u64 {
            cells.iter().filter(|cell| cell.class.is_sum()).map(|cell| u64::from(cell.count)).sum()
        }
        summed(self.v4()) + summed(self.v6())
    }

    /// Whether there are more connections in zones than are followed, so that some may be counted once for each zone.
    pub const fn zones_overflowed(&self) -> bool {
        self.zones.overflowed()
    }

    /// Remembers the largest pairs: the next dumps count them exactly, whatever else comes.
    pub fn remember(&mut self) {
        self.known = Known::largest(&self.v4, &self.v6, self.settings.most_rows / 4);
    }

    /// The latest dump counts: what ended since, and what stalls, is told by comparing the next dump with this one.
    pub fn keep(&mut self) {
        self.recall.keep();
    }

    /// Whether rows count connections for present owners that, by these ages, are older than the owner: the owner became
    /// known only after the dump.
    pub fn outdated(&self, ages: &OwnershipAges) -> bool {
        fn any<A: Copy>(cells: &[Cell<A>], ages: &OwnershipAges, address: impl Fn(A) -> Address) -> bool {
            cells.iter().filter(|cell| cell.count > 0 && ages.any_within(cell.oldest)).any(|cell| {
                let ends = [cell.client, cell.service, cell.backend];
                let [clients, servers] = cell.class.many();
                let known = cell.class.gone().into_iter().zip([clients, servers, servers]);
                ends.into_iter()
                    .zip(known)
                    .any(|(end, (gone, many))| !gone && !many && ages.before(address(end), cell.oldest))
            })
        }
        any(self.v4(), ages, Address::from_v4) || any(self.v6(), ages, Address::from_v6)
    }

    /// Forgets the rows, and gives back memory that a table of the present size does not need.
    pub fn clear(&mut self) {
        self.v4.clear();
        self.v6.clear();
        self.translated.clear();
        self.counts = Counts::default();
    }

    /// Adds a connection by the end of the batch.
    #[inline]
    fn add(&mut self, flow: &Flow, protocol: Protocol, tuple: u64) {
        if midstream::reversed(flow) {
            self.counts.turned += 1;
            self.add_upright(&flow.turned(), protocol, tuple);
        } else {
            self.add_upright(flow, protocol, tuple);
        }
    }

    /// Adds one that stands the right way round.
    #[inline]
    fn add_upright(&mut self, flow: &Flow, protocol: Protocol, tuple: u64) {
        let row = self.row(flow, protocol, tuple);
        match flow.ends_v4() {
            Some(ends) => self.v4.add(row.of(ends)),
            None => self.v6.add(row.of(flow.ends().map(Address::bits))),
        }
    }

    /// Adds a connection at once, and tells where.
    fn put(&mut self, flow: &Flow, protocol: Protocol, tuple: u64) -> u32 {
        if midstream::reversed(flow) {
            self.counts.turned += 1;
            self.put_upright(&flow.turned(), protocol, tuple)
        } else {
            self.put_upright(flow, protocol, tuple)
        }
    }

    fn put_upright(&mut self, flow: &Flow, protocol: Protocol, tuple: u64) -> u32 {
        let row = self.row(flow, protocol, tuple);
        match flow.ends_v4() {
            Some(ends) => self.v4.put(row.of(ends)) << 1,
            None => self.v6.put(row.of(flow.ends().map(Address::bits))) << 1 | 1,
        }
    }

    /// The row of one connection that stands the right way round; `tuple` is the hash of the entry's original direction.
    #[inline]
    fn row(&mut self, flow: &Flow, protocol: Protocol, tuple: u64) -> Row {
        let gone = match flow.idle {
            Some(idle) if self.ages.any_within(idle) => flow.ends().map(|end| self.ages.before(end, idle)),
            _ => [false; 3],
        };
        let mut class = Class::of(flow, protocol, flow.idle, self.settings.idle_threshold, gone);
        if let Some(tcp) = flow.tcp
            && (tcp.state == TcpState::TimeWait || tcp.is_unacknowledged())
        {
            class = self.recall(class, tcp, tuple, flow.idle);
        }
        Row {
            port: flow.original.dst_port,
            backend_port: flow.reply.src_port,
            class,
            zone: if self.settings.split_zones { flow.zone } else { 0 },
            oldest: flow.idle.unwrap_or(0),
        }
    }

    /// The class of an entry about which the scan before has a say. Apart from the fold, most of whose entries are none.
    #[inline(never)]
    fn recall(&mut self, class: Class, tcp: Tcp, tuple: u64, idle: Option<u32>) -> Class {
        match tcp.state {
            TcpState::TimeWait if self.recall.ended(tuple, idle) => class.as_ended(),
            TcpState::Established if self.recall.stalled(tuple, idle) => class.as_stalled(),
            _ => class,
        }
    }

    /// Notes what an unacknowledged connection has heard. Apart from the fold, like [`Table::recall`].
    #[cold]
    #[inline(never)]
    fn hear(&mut self, flow: &Flow, details: impl FnOnce() -> Details) {
        self.recall.hears(flow.tcp.and_then(|tcp| Heard::of(tcp, &details())));
    }

    /// Makes room for further rows.
    #[cold]
    fn shrink(&mut self) {
        if self.v4.len() >= self.v6.len() {
            let places = bound::shrink(&mut self.v4, &self.known, &self.homes, Address::from_v4);
            self.zones.moved(0, &places);
        } else {
            let places = bound::shrink(&mut self.v6, &self.known, &self.homes, Address::from_v6);
            self.zones.moved(1, &places);
        }
    }

    fn remove(&mut self, place: u32) {
        match place & 1 {
            0 => self.v4.take(place >> 1),
            _ => self.v6.take(place >> 1),
        }
    }
}

impl Sink for Table {
    fn begin(&mut self) {
        self.clear();
        self.dedup.clear();
        self.zones.begin();
        self.recall.begin(Instant::now());
    }

    fn batch(&mut self) {
        self.dedup.batch();
        self.recall.batch(Instant::now());
    }

    #[inline]
    fn flow(&mut self, flow: &Flow) {
        let Some(protocol) = Protocol::from_number(flow.protocol) else {
            self.counts.protocols[usize::from(flow.protocol)] += 1;
            return;
        };
        let tuple = self.seeds.tuple(&flow.original, flow.protocol);
        if self.dedup.seen(tuple, flow.zone) {
            self.counts.seen_twice += 1;
            return;
        }
        self.counts.protocols[usize::from(flow.protocol)] += 1;
        if translated::is_translated(flow) && self.settings.only_zone.is_none_or(|only| flow.zone == only) {
            self.translated.add(flow, protocol, &self.seeds);
        }
        if let Some(only) = self.settings.only_zone {
            if flow.zone == only {
                self.counts.connections += 1;
                self.add(flow, protocol, tuple);
            }
            return;
        }
        if !self.zones.follow(flow.zone) {
            self.counts.connections += 1;
            self.add(flow, protocol, tuple);
            return;
        }
        match self.zones.rival(tuple, flow) {
            zones::Rival::None => self.counts.connections += 1,
            zones::Rival::Better => {
                self.counts.other_zones += 1;
                return;
            }
            zones::Rival::Worse(place) => {
                self.counts.other_zones += 1;
                self.remove(place);
            }
        }
        let place = self.put(flow, protocol, tuple);
        self.zones.keep(tuple, flow, place);
    }

    #[inline]
    fn entry(&mut self, flow: &Flow, details: impl FnOnce() -> Details) {
        // Only there does it matter what the peer has sent.
        if flow.tcp.as_ref().is_some_and(|tcp| tcp.is_unacknowledged()) {
            self.hear(flow, details);
        }
        self.flow(flow);
    }

    fn settle(&mut self) -> bool {
        self.v4.settle();
        self.v6.settle();
        if self.v4.len() + self.v6.len() >= self.settings.most_rows {
            self.shrink();
        }
        self.zones.unprepared()
    }
}

#[cfg(test)]
mod tests;
