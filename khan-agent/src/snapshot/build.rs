//! table x identities.

use std::collections::HashMap;
use std::time::Duration;

use khan_api::Kind;
use khan_api::snapshot::Table as TableInfo;

use super::{OTHER, Origin, Row, Snapshot, protocol_names};
use crate::conntrack::Address;
use crate::identities::{Endpoint, Identities, Owner};
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
    let mut endpoints = Endpoints { identities, by_address: HashMap::new(), list: Vec::new(), other: None };
    let mut rows = Vec::with_capacity(table.v4().len() + table.v6().len());
    rows.extend(table.v4().iter().filter(|cell| cell.count > 0).map(|cell| endpoints.row(cell, Address::from_v4)));
    rows.extend(table.v6().iter().filter(|cell| cell.count > 0).map(|cell| endpoints.row(cell, Address::from_v6)));
    rows.sort_unstable_by_key(|row| (row.key(), row.class));
    let mut endpoints = endpoints.list;
    endpoints.shrink_to_fit();
    let counts = table.counts();
    let mut names = identities.names().clone();
    names.unresolved =
        endpoints.iter().filter(|endpoint| endpoint.ip.is_some() && endpoint.owner.kind == Kind::Unknown).count()
            as u64;
    Snapshot {
        id: format!("{}-{:016x}-{number}", origin.boot_id.get(..8).unwrap_or("0"), origin.instance),
        origin: origin.clone(),
        taken: scan.taken,
        scan: scan.wall,
        interval,
        names,
        table: TableInfo {
            entries: scan.stats.entries,
            limit: scan.stats.limit,
            buckets: scan.dumped.buckets,
            protocols: protocol_names(&counts.protocols),
            stat: scan.stats.counters().map(|(name, value)| (name.to_owned(), value)).collect(),
            seen_twice: counts.seen_twice,
            refused: scan.dumped.refused,
            turned: counts.turned,
        },
        connections: counts.connections,
        endpoints,
        rows,
        warnings: Vec::new(),
    }
}

struct Endpoints<'a> {
    identities: &'a Identities,
    by_address: HashMap<(Address, bool), u32>,
    list: Vec<Endpoint>,
    other: Option<u32>,
}

impl Endpoints<'_> {
    fn row<A: Word>(&mut self, cell: &Cell<A>, address: impl Fn(A) -> Address) -> Row {
        let gone = cell.class.gone();
        let summed = cell.class.is_summed();
        let (client, service, backend) = (address(cell.client), address(cell.service), address(cell.backend));
        let none = address(A::NONE);
        Row {
            src: if summed && client == none { self.other() } else { self.index(client, gone[0]) },
            dst: if summed { self.other() } else { self.index(service, gone[1]) },
            backend: if summed { self.other() } else { self.index(backend, gone[2]) },
            port: cell.port,
            backend_port: cell.backend_port,
            zone: cell.zone,
            class: cell.class,
            count: cell.count,
        }
    }

    /// The endpoint that stands for many.
    fn other(&mut self) -> u32 {
        *self.other.get_or_insert_with(|| {
            #[expect(clippy::cast_possible_truncation, reason = "as below")]
            let index = self.list.len() as u32;
            let owner = Owner { app: OTHER.to_owned(), name: OTHER.to_owned(), ..Owner::default() };
            self.list.push(Endpoint { ip: None, owner: owner.into() });
            index
        })
    }

    fn index(&mut self, address: Address, gone: bool) -> u32 {
        *self.by_address.entry((address, gone)).or_insert_with(|| {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "fewer than three per row, and rows are counted in 24 bits"
            )]
            let index = self.list.len() as u32;
            self.list.push(self.identities.endpoint(address, gone));
            index
        })
    }
}
