//! What an object has besides addresses of its own.

use ipnet::IpNet;
use khan_api::NodePort;

/// Ranges and ports. Most objects have none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Holdings {
    /// A node's pod ranges.
    pub(super) pods: Vec<IpNet>,
    /// Ranges of services' cluster addresses.
    pub(super) services: Vec<IpNet>,
    /// Ports of a service on every node.
    pub(super) node_ports: Vec<NodePort>,
}

impl Holdings {
    pub(super) const NONE: Self = Self { pods: Vec::new(), services: Vec::new(), node_ports: Vec::new() };

    pub(super) const fn is_empty(&self) -> bool {
        self.pods.is_empty() && self.services.is_empty() && self.node_ports.is_empty()
    }

    /// As a record keeps them: 8 bytes where there are none.
    pub(super) fn boxed(self) -> Option<Box<Self>> {
        (!self.is_empty()).then(|| Box::new(self))
    }
}
