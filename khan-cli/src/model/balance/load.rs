//! An endpoint of a service: in, what the controller tells of it; out, whether it takes part, and room for what it holds.

use std::net::IpAddr;

use khan_api::{ServiceEndpoint, Timestamp};

use super::rule::BalanceRule;
use crate::model::endpoint::Endpoint;

/// What an endpoint is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// New connections go to it.
    Ready,
    /// Ready for less than [`BalanceRule::ready`].
    New,
    /// No new connections go to it.
    NotReady,
    /// Its pod is about to end.
    Terminating,
    /// The service does not list it.
    Unlisted,
}

impl Condition {
    /// As a table writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::New => "new",
            Self::NotReady => "not-ready",
            Self::Terminating => "terminating",
            Self::Unlisted => "unlisted",
        }
    }
}

/// An endpoint and what it holds.
#[derive(Clone, Debug)]
pub struct Load {
    /// Its first address.
    pub ip: IpAddr,
    /// Its pod; its node for a pod on the host network; its address where neither is known.
    pub name: String,
    /// Its node; empty where none is known.
    pub node: String,
    /// Whether it takes part.
    pub condition: Condition,
    /// Since when it is in that condition, at the latest.
    pub since: Option<Timestamp>,
    /// Established connections of clients whose connections last.
    pub connections: u64,
    /// The same, with those of a client that keeps to one endpoint counted once: session affinity would do that.
    pub(super) weight: u64,
}

impl Load {
    /// An endpoint of a service, which holds nothing yet.
    pub(super) fn of(endpoint: &ServiceEndpoint, now: Timestamp, rule: &BalanceRule) -> Self {
        let condition = match endpoint.conditions {
            conditions if conditions.terminating => Condition::Terminating,
            conditions if !conditions.ready => Condition::NotReady,
            _ if endpoint.since.is_some_and(|since| now.since(since) < rule.ready) => Condition::New,
            _ => Condition::Ready,
        };
        let (ip, node, since) = (endpoint.ip, endpoint.node.to_string(), endpoint.since);
        let known = [endpoint.pod.as_str(), &node].into_iter().find(|name| !name.is_empty());
        let name = known.map_or_else(|| ip.to_string(), str::to_owned);
        Self { ip, name, node, condition, since, connections: 0, weight: 0 }
    }

    /// A backend that the service does not list.
    pub(super) fn unlisted(end: &Endpoint, ip: IpAddr) -> Self {
        let name = if end.owner.name.is_empty() { ip.to_string() } else { end.owner.name.to_string() };
        let (node, since) = (end.owner.node.to_string(), end.dead);
        Self { ip, name, node, condition: Condition::Unlisted, since, connections: 0, weight: 0 }
    }
}
