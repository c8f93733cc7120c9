//! What makes an object claim an address, and which of several claims is the best.

use std::cmp::Reverse;

use khan_api::Kind;

use super::record::{Records, Seconds};

/// Why an object claims an address; the better ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// One of a node's addresses.
    Node,
    /// A cluster, external or load-balancer address of a service.
    Service,
    /// A pod's own address.
    Pod,
    /// First address of a node's pod range.
    Gateway,
    /// Network address of a node's pod range.
    Network,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Node, Self::Service, Self::Pod, Self::Gateway, Self::Network];

    /// As the wire names it.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Node => Kind::Node,
            Self::Service => Kind::Service,
            Self::Pod => Kind::Pod,
            Self::Gateway => Kind::Gateway,
            Self::Network => Kind::Network,
        }
    }

    /// Whether two objects that claim one address for these reasons contradict each other. Many networks give the first
    /// addresses of a pod range to pods, so gateways and networks give way without a word.
    pub(super) const fn is_exclusive(self) -> bool {
        matches!(self, Self::Node | Self::Service | Self::Pod)
    }
}

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
