//! In: a folded table. Out: what it holds that the controller may know: addresses, and ports that were dialled at them.

use std::collections::BTreeSet;

use khan_api::NodePort;

use crate::flows::Address;
use crate::table::{Cell, Table, Word};

/// What one scan's table holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Every address, once, in order.
    pub addresses: Vec<Address>,
    /// Where clients dialled one end and another answered. At a node's address that is a service's node port.
    pub translated: BTreeSet<(Address, NodePort)>,
    /// Whether what clients dialled may be missing, so that the controller has to tell it.
    pub hides_services: bool,
}

impl Held {
    /// Of all rows but the ends of sums, which stand for many.
    pub fn of(table: &Table, hides_services: bool) -> Self {
        let mut held = Self { hides_services, ..Self::default() };
        table.v4().iter().for_each(|cell| held.take(cell, Address::from_v4));
        table.v6().iter().for_each(|cell| held.take(cell, Address::from_v6));
        held.addresses.sort_unstable();
        held.addresses.dedup();
        held
    }

    fn take<A: Word>(&mut self, cell: &Cell<A>, address: impl Fn(A) -> Address) {
        let [clients, servers] = cell.class.many();
        if !clients {
            self.addresses.push(address(cell.client));
        }
        if !servers {
            self.addresses.extend([cell.service, cell.backend].map(&address));
            if (cell.service, cell.port) != (cell.backend, cell.backend_port) {
                let node_port = NodePort { port: cell.port, protocol: cell.class.protocol() };
                self.translated.insert((address(cell.service), node_port));
            }
        }
    }
}
