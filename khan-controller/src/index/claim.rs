//! One object's claim to an address, and which of several claims is the best.

use std::cmp::Reverse;

use super::record::{Records, Seconds};
use crate::kubernetes::Role;

/// One object's claim to one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) slot: u32,
    pub(super) since: Seconds,
    pub(super) role: Role,
}

impl Claim {
    /// Sorts the best claim first: by role; among pods the youngest, whose address was taken from a pod that is going;
    /// otherwise the oldest, so that a newcomer cannot take a name away. Equal ages are decided by uid.
    pub(super) fn rank(self, records: &Records) -> impl Ord + use<> {
        let record = records.get(self.slot);
        let (age, uid) = (record.started, record.uid);
        match self.role {
            Role::Pod => (self.role, Reverse(age), Seconds::UNKNOWN, uid),
            _ => (self.role, Reverse(Seconds::UNKNOWN), age, uid),
        }
    }
}
