//! Why an object claims an address.

use khan_api::Kind;

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
    pub(crate) const fn is_exclusive(self) -> bool {
        matches!(self, Self::Node | Self::Service | Self::Pod)
    }
}
