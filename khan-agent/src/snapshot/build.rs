//! table x identities.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use khan_api::snapshot::{Limit, MAX_LIMITS, Table as TableInfo};
use khan_api::{Kind, NodePort, Protocol, State};

use super::dead::Dead;
use super::{Origin, Row, Snapshot, protocol_names, snat};
use crate::flows::Address;
use crate::identities::{Endpoint, Identities};
use crate::scan::Scan;
use crate::table::{Cell, Table, Word};

/// Joins a scan with what is known of its addresses.
pub fn build(
    origin: &Origin,
    number: u64,
    interval: Duration,
    scan: &Scan,
    table: &Table,
    identities: &Identities,
) -> Snapshot {
    let count = table.v4().len() + table.v6().len();
    let mut endpoints = Endpoints::of(identities, scan, count);
    let mut rows = Vec::with_capacity(count);
    rows.extend(table.v4().iter().filter(|cell| cell.count > 0).map(|cell| endpoints.row(cell, Address::from_v4)));
    rows.extend(table.v6().iter().filter(|cell| cell.count > 0).map(|cell| endpoints.row(cell, Address::from_v6)));
    rows.sort_unstable_by_key(|row| (row.key(), row.class));
    // A service that was named and one that was seen are one.
    rows.dedup_by(|row, first| {
        let same = (row.key(), row.class) == (first.key(), first.class);
        first.count += if same { row.count } else { 0 };
        same
    });
    forgive_one_way(&mut rows, table.question_ports());
    let Endpoints { list: mut endpoints, mut limits, .. } = endpoints;
    endpoints.shrink_to_fit();
    limits.shrink_to_fit();
    let counts = table.counts();
    let mut names = identities.names().clone();
    names.unresolved =
        endpoints.iter().filter(|endpoint| endpoint.ip.is_some() && endpoint.owner.kind == Kind::Unknown).count()
            as u64;
    Snapshot {
        id: format!("{}-{:016x}-{number}", origin.boot_id.get(..8).unwrap_or("0"), origin.instance),
        origin: origin.clone(),
        taken: scan.taken,
        since: scan.since,
        scan: scan.wall,
        interval,
        names,
        table: TableInfo {
            entries: scan.stats.entries,
            limit: scan.stats.limit,
            buckets: scan.dumped.buckets,
            protocols: protocol_names(&counts.protocols),
            stat: scan.stats.counters.iter().map(|(name, value)| ((*name).into(), *value)).collect(),
            seen_twice: counts.seen_twice,
            refused: scan.dumped.refused,
            turned: counts.turned,
        },
        tables: scan.stats.tables.iter().map(Into::into).collect(),
        connections: counts.connections,
        endpoints,
        rows,
        node_ports: identities.node_ports().to_vec(),
        limits,
        snat: snat::of(table),
        rest: None,
        warnings: warnings(table).into_iter().chain(identities.warnings()).collect(),
    }
}

/// Datagrams without an answer are a problem only where answers are usual: on ports to which questions go, and between ends
/// that have had answers. Logs, statistics and tunnels go one way.
fn forgive_one_way(rows: &mut [Row], question_ports: &[u16]) {
    for pair in rows.chunk_by_mut(|a, b| a.key() == b.key()) {
        let first = pair[0];
        if first.class.protocol() == Protocol::Tcp {
            continue;
        }
        let asks = [first.port, first.backend_port].iter().any(|port| question_ports.contains(port));
        // A sum holds pairs that have nothing to do with each other.
        let answers = |row: &Row| !row.class.is_sum() && matches!(row.class.state(), State::Replied | State::Assured);
        if !asks && !pair.iter().any(answers) {
            for row in pair {
                row.class = row.class.as_one_way();
            }
        }
    }
}

/// What a reader has to know of what there was no room for.
fn warnings(table: &Table) -> Vec<String> {
    let mut warnings = Vec::new();
    if table.zones_overflowed() {
        warnings.push(
            "connections that stand in several zones may be counted once for each: there are too many".to_owned(),
        );
    }
    let lost = table.lost();
    if lost > 0 {
        warnings.push(format!(
            "the table holds more pairs than the agent keeps apart: {} of {} connections are in sums of many pairs; a row \
             may lack up to {lost} connections, and a pair without a row has no more than that",
            table.summed(),
            table.counts().connections,
        ));
    }
    warnings
}

/// Endpoints, each once. The index holds places only, since a table may hold as many addresses as rows, thrice.
struct Endpoints<'a> {
    identities: &'a Identities,
    random: RandomState,
    /// Places in the list plus one, shifted by one, and whether the endpoint is a previous owner; 0 is free.
    index: Vec<u32>,
    list: Vec<Endpoint>,
    /// What some of them can take.
    limits: Vec<Limit>,
    /// Of sums, by the number of their [home](crate::table::Homes).
    many: Vec<(u32, u32)>,
    dead: Dead<'a>,
    /// Whether the tables may lack what clients dialled.
    hides_services: bool,
}

impl<'a> Endpoints<'a> {
    fn of(identities: &'a Identities, scan: &Scan, rows: usize) -> Self {
        let slots = (rows * 4).next_power_of_two();
        Self {
            identities,
            random: RandomState::new(),
            index: vec![0; slots],
            list: Vec::new(),
            limits: Vec::new(),
            many: Vec::new(),
            dead: Dead::new(identities, scan.taken),
            hides_services: scan.stats.has_maps(),
        }
    }

    fn row<A: Word>(&mut self, cell: &Cell<A>, address: impl Fn(A) -> Address) -> Row {
        let gone = cell.class.gone();
        let [clients, servers] = cell.class.many();
        let src = if clients { self.many(cell.client.low()) } else { self.index(address(cell.client), gone[0]) };
        let (dialled, port) = self.dialled(cell, address(cell.service)).unwrap_or((address(cell.service), cell.port));
        let mut dst = if servers { self.many(0) } else { self.index(dialled, gone[1]) };
        let mut backend = if servers { self.many(0) } else { self.index(address(cell.backend), gone[2]) };
        // What is a previous owner's was not renewed since.
        if !gone[2]
            && let Some(place) = self.dead.place(cell, dst, backend, &mut self.list)
        {
            dst = if dst == backend { place } else { dst };
            backend = place;
        }
        Row {
            src,
            dst,
            backend,
            port,
            backend_port: cell.backend_port,
            zone: cell.zone,
            class: cell.class,
            count: cell.count,
        }
    }

    /// The service, and its port, that clients have dialled though the table shows only who answers.
    fn dialled<A: Word>(&self, cell: &Cell<A>, backend: Address) -> Option<(Address, u16)> {
        let direct = (cell.service, cell.port) == (cell.backend, cell.backend_port);
        if !self.hides_services || !direct || cell.class.many()[1] || cell.class.gone()[2] {
            return None;
        }
        self.identities.dialled(backend, NodePort { port: cell.port, protocol: cell.class.protocol() })
    }

    /// The endpoint that stands for many.
    fn many(&mut self, home: u32) -> u32 {
        if let Some((_, place)) = self.many.iter().find(|known| known.0 == home) {
            return *place;
        }
        let place = self.push(self.identities.many(home));
        self.many.push((home, place));
        place
    }

    fn index(&mut self, address: Address, gone: bool) -> u32 {
        let (ip, mask) = (address.ip(), self.index.len() - 1);
        #[expect(clippy::cast_possible_truncation, reason = "masked")]
        let mut at = self.random.hash_one((address, gone)) as usize & mask;
        loop {
            let slot = self.index[at];
            if slot == 0 {
                let place = self.push(self.identities.endpoint(address, gone));
                let limit = self.identities.limit(address).filter(|_| !gone && self.limits.len() < MAX_LIMITS);
                self.limits.extend(limit.map(|connections| Limit { endpoint: place, connections }));
                self.index[at] = (place + 1) << 1 | u32::from(gone);
                return place;
            }
            let place = (slot >> 1) - 1;
            if slot & 1 == u32::from(gone) && self.list[place as usize].ip == Some(ip) {
                return place;
            }
            at = (at + 1) & mask;
        }
    }

    fn push(&mut self, endpoint: Endpoint) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "fewer than four per row, and rows are counted in 24 bits")]
        let place = self.list.len() as u32;
        self.list.push(endpoint);
        place
    }
}
