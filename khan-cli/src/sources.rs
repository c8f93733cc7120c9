//! Where the data comes from. Every source ends in the same [`crate::model::View`].
//!
//! ```text
//! cluster    kubeconfig and flags -> a client of the API server
//! exchange   one bounded HTTP exchange, and in words why it failed
//! agents     agents, by URL or found through the API server -> snapshots
//! controller whose is this address? who answers for this service?
//! endpoints  who answers for the services that were dialled, added to agents
//! sockets    this host's sockets and their processes -> snapshots
//! local      this host's own table, or its sockets -> views
//! recording  what was seen before
//! reverse_dns names of external addresses, added to any of these
//! prometheus a server with Prometheus's HTTP API -> sums of series
//! ```

pub(crate) mod rbac;
pub mod http_config;
pub mod exchange;
pub mod cluster;
pub mod nodes;
mod staleness;
mod retry;
pub mod agents;
pub mod controller;
pub(crate) mod endpoints;
#[cfg(target_os = "linux")]
mod sockets;
#[cfg(target_os = "linux")]
pub(crate) mod local;
pub mod recording;
pub(crate) mod reverse_dns;
pub mod prometheus;
