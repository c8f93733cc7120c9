//! An address and who has it, as snapshots hold it.

use std::net::IpAddr;
use std::sync::Arc;

use khan_api::{Owner, snapshot as api};

/// An address and its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// The address; none for the sum of many.
    pub ip: Option<IpAddr>,
    /// Shared by all snapshots, and by all addresses that have it.
    pub owner: Arc<Owner>,
    /// True for a previous owner, whose connections outlived it.
    pub previous: bool,
}

impl Endpoint {
    /// As `GET /v1/snapshot` writes it.
    pub fn to_api(&self) -> api::Endpoint<&str, &str> {
        api::Endpoint { ip: self.ip, owner: self.owner.as_deref(), previous: self.previous }
    }

    /// The sum of many addresses, whose owners have in common what `owner` says.
    pub fn many(owner: Owner) -> Self {
        Self { owner: owner.into(), ..Self::default() }
    }
}
