//! In: a folded table. Out: the translated source addresses that have the fewest ports left.

use std::collections::HashMap;

use khan_api::Protocol;
use khan_api::snapshot::{MAX_SNAT, Snat, SnatPorts};

use crate::flows::Address;
use crate::table::{Cell, Ports, Table, Word};

/// The fullest of a table. Connections that the node itself opens from such an address take ports too: they have rows, and no
/// translation.
pub(super) fn of(table: &Table) -> Snat {
    let mut largest = table.translated(MAX_SNAT);
    let key = |ports: &Ports| (ports.src, ports.dst, ports.port, ports.protocol);
    let places: HashMap<Key, usize> = largest.iter().map(key).zip(0..).collect();
    if places.is_empty() {
        return Snat { range: table.snat_ports(), largest: Vec::new() };
    }
    for (key, count) in table
        .v4()
        .iter()
        .map(|cell| own(cell, Address::from_v4))
        .chain(table.v6().iter().map(|cell| own(cell, Address::from_v6)))
    {
        if let Some(place) = places.get(&key) {
            largest[*place].used += count;
        }
    }
    largest.sort_by_key(|ports| std::cmp::Reverse(ports.used));
    let largest = largest.into_iter().map(|Ports { src, dst, port, protocol, used }| SnatPorts {
        src: src.ip(),
        dst: dst.ip(),
        port,
        protocol,
        used,
    });
    Snat { range: table.snat_ports(), largest: largest.collect() }
}

type Key = (Address, Address, u16, Protocol);

/// Whose ports a row's connections would take without translation, and how many.
fn own<A: Word>(cell: &Cell<A>, address: impl Fn(A) -> Address) -> (Key, u32) {
    let count = if cell.class.is_sum() { 0 } else { cell.count };
    ((address(cell.client), address(cell.backend), cell.backend_port, cell.class.protocol()), count)
}
