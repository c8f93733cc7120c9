//! An address and who has it, as snapshots hold it.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use khan_api::{Owner, Timestamp, snapshot as api};

/// An address and its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// The address; none for the sum of many.
    pub ip: Option<IpAddr>,
    /// Shared by all snapshots, and by all addresses that have it.
    pub owner: Arc<Owner>,
    /// True for a previous owner, whose connections outlived it.
    pub previous: bool,
    /// Of a dead backend: when it ceased to be one, in seconds since the Unix epoch. Four bytes, since there are very many.
    pub dead: Option<NonZeroU32>,
}

impl Endpoint {
    /// As `GET /v1/snapshot` writes it.
    pub fn to_api(&self) -> api::Endpoint<&str, &str> {
        let dead = self.dead.map(|at| Timestamp::from_seconds(at.get().into()));
        api::Endpoint { ip: self.ip, owner: self.owner.as_deref(), previous: self.previous, dead }
    }

    /// The sum of many addresses, whose owners have in common what `owner` says.
    pub fn many(owner: Owner) -> Self {
        Self { owner: owner.into(), ..Self::default() }
    }
}
