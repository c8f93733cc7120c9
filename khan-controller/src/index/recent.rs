//! Which addresses may have changed lately, in so few bytes that asking costs no trip to main memory.
//!
//! An agent asks for thousands of addresses of which a handful changed. Looking each one up in a table of 170,000 addresses
//! took more than half of the controller's time.

use super::address::Address;

/// By a hash of the address, the latest revision of all addresses with that hash.
///
/// 512 KiB. Between two questions of an agent a large cluster has some 3,000 changes, which make every twentieth address
/// suspect.
#[derive(Debug)]
pub(super) struct Recent(Box<[u64]>);

impl Recent {
    pub(super) fn new() -> Self {
        Self(vec![0; 1 << u16::BITS].into())
    }

    /// `address` changed at `revision`, which is later than all before.
    pub(super) fn note(&mut self, address: Address, revision: u64) {
        self.0[usize::from(address.hash())] = revision;
    }

    /// Whether `address` may have changed after `revision`; false is certain.
    pub(super) fn may_have_changed(&self, address: Address, revision: u64) -> bool {
        self.0[usize::from(address.hash())] > revision
    }
}
