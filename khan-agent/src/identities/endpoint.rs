//! An address and who has it, as snapshots hold it.

use std::net::IpAddr;
use std::sync::Arc;

use khan_api::{Identity, Kind, Label, Name, PreviousOwner, snapshot as api};

/// An address and its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// The address; none for the sum of many.
    pub ip: Option<IpAddr>,
    /// Shared by all snapshots, and by all addresses that have it.
    pub owner: Arc<Owner>,
}

/// Who has an address, or had it. Texts are empty where nothing applies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner {
    /// What it is.
    pub kind: Kind,
    /// Namespace.
    pub ns: Label,
    /// App label.
    pub app: Label,
    /// Workload.
    pub workload: Name,
    /// Object name.
    pub name: Name,
    /// The node it lives on.
    pub node: Name,
    /// True for a previous owner, whose connections outlived it.
    pub gone: bool,
}

impl Endpoint {
    /// As `GET /v1/snapshot` tells it.
    pub fn to_api(&self) -> api::Endpoint {
        let Owner { kind, ns, app, workload, name, node, gone } = (*self.owner).clone();
        api::Endpoint { ip: self.ip, kind, ns, app, workload, name, node, gone }
    }
}

impl From<Identity> for Owner {
    fn from(present: Identity) -> Self {
        let Identity { kind, ns, app, workload, name, node, .. } = present;
        Self { kind, ns, app, workload, name, node, gone: false }
    }
}

impl From<PreviousOwner> for Owner {
    fn from(previous: PreviousOwner) -> Self {
        let PreviousOwner { kind, ns, app, workload, name, node, .. } = previous;
        Self { kind, ns, app, workload, name, node, gone: true }
    }
}
