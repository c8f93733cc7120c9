//! An object of any resource, validated: what it is called, and what it claims.

use std::net::IpAddr;

use khan_api::service::{Conditions, EndpointPort};
use khan_api::{Cidr, NodePort, Protocol, Timestamp};

use super::Resource;
use super::error::ObjectError;
use super::metadata::Meta;
use super::role::Role;

/// What the index takes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Which list it comes from.
    pub resource: Resource,
    /// Name, labels, identity.
    pub meta: Meta,
    /// The controller behind a pod; empty for everything else.
    pub workload: String,
    /// The node that it is or runs on; empty before it is scheduled, and for what runs on none.
    pub node: String,
    /// Since when it may have its addresses.
    pub started: Option<Timestamp>,
    /// The addresses that it claims, each once.
    pub claims: Vec<(IpAddr, Role)>,
    /// Those of a service's addresses that lie in the cluster's range of services.
    pub cluster_addresses: Vec<IpAddr>,
    /// What it has besides addresses.
    pub holdings: Holdings,
}

impl Object {
    /// An object that claims nothing yet.
    pub(super) fn new(resource: Resource, meta: Meta) -> Self {
        let started = meta.created;
        let (workload, node, holdings) = (String::new(), String::new(), Holdings::default());
        Self { resource, meta, workload, node, started, claims: Vec::new(), cluster_addresses: Vec::new(), holdings }
    }

    /// What is wrong with it that does not spoil the rest.
    pub fn flaw(&self) -> Option<ObjectError> {
        self.meta.limit.clone().optional("metadata.annotations[khan/max-connections]").err()
    }

    /// Claims `ip`, unless it does so already for an earlier reason. Whether it did not.
    pub(super) fn claim(&mut self, ip: IpAddr, role: Role) -> bool {
        let new = self.claims.iter().all(|(claimed, _)| *claimed != ip);
        if new {
            self.claims.push((ip, role));
        }
        new
    }
}

/// Ranges and ports. Most objects have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// A node's pod ranges.
    pub pods: Vec<Cidr>,
    /// Ranges of services' cluster addresses.
    pub services: Vec<Cidr>,
    /// Ports of a service on every node.
    pub node_ports: Vec<NodePort>,
    /// Ports of a service at its cluster addresses.
    pub ports: Box<[Port]>,
    /// Some of a service's endpoints.
    pub slice: Option<Box<Slice>>,
}

/// A port of a service at its cluster addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The name by which slices refer to it; empty where a service has only one.
    pub name: Box<str>,
    /// The port dialled.
    pub number: u16,
    /// Transport.
    pub protocol: Protocol,
}

/// What an `EndpointSlice` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The service, in the slice's own namespace.
    pub service: Box<str>,
    /// The ports of all its endpoints.
    pub ports: Box<[EndpointPort]>,
    /// By address, each once.
    pub endpoints: Box<[Endpoint]>,
}

/// An address that answers for a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The address.
    pub ip: IpAddr,
    /// Whether connections should go to it.
    pub conditions: Conditions,
}

impl Holdings {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
