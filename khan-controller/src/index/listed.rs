//! Which slices list an address. Each answer about an address asks, so it is one look into a table; 21 bytes for each of them and
//! the table's room, where a map of lists would take three times that.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::address::Address;

/// Addresses, each with the slot of a slice that lists it.
#[derive(Debug, Default)]
pub(super) struct Listed {
    table: HashTable<(Address, u32)>,
    random: RandomState,
}

impl Listed {
    pub(super) fn insert(&mut self, address: Address, slot: u32) {
        if !self.contains(address, slot) {
            let Self { table, random } = self;
            table.insert_unique(random.hash_one(address), (address, slot), |(address, _)| random.hash_one(address));
        }
    }

    pub(super) fn remove(&mut self, address: Address, slot: u32) {
        let hash = self.random.hash_one(address);
        if let Ok(listed) = self.table.find_entry(hash, |listed| *listed == (address, slot)) {
            listed.remove();
        }
    }

    pub(super) fn contains(&self, address: Address, slot: u32) -> bool {
        self.table.find(self.random.hash_one(address), |listed| *listed == (address, slot)).is_some()
    }

    /// The slots of the slices that list `address`, in no order.
    pub(super) fn slots(&self, address: Address) -> impl Iterator<Item = u32> {
        let alike = self.table.iter_hash(self.random.hash_one(address));
        alike.filter(move |(other, _)| *other == address).map(|(_, slot)| *slot)
    }
}
