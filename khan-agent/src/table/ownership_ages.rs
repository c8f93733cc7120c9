//! How long present owners have had their addresses, so that connections whose last packet is older can be counted apart.

use std::collections::HashMap;

use crate::flows::Address;

/// By address, how many seconds before this scan its present owner got it.
#[derive(Clone, Debug, Default)]
pub struct OwnershipAges {
    ages: HashMap<Address, u32>,
    youngest: Option<u32>,
}

impl OwnershipAges {
    /// From the ages of the present owners.
    pub fn new(ages: HashMap<Address, u32>) -> Self {
        let youngest = ages.values().copied().min();
        Self { ages, youngest }
    }

    /// Whether any address changed hands less than `idle` seconds ago.
    #[inline]
    pub fn any_within(&self, idle: u32) -> bool {
        self.youngest.is_some_and(|youngest| youngest < idle)
    }

    /// Whether `idle` seconds ago the address belonged to somebody else.
    pub fn before(&self, address: Address, idle: u32) -> bool {
        self.ages.get(&address).is_some_and(|age| *age < idle)
    }
}
