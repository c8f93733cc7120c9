//! Paths and ports. An agent and a controller serve these and nothing else.

/// TCP port of `khan-agent` on its node.
pub const AGENT_PORT: u16 = 14718;
/// TCP port of `khan-controller` in its pod.
pub const CONTROLLER_PORT: u16 = 14719;

/// Agent and controller: Prometheus text exposition.
pub const METRICS: &str = "/metrics";
/// Agent: the same page as [`METRICS`], at the path of the original Khan.
pub const KHAN: &str = "/khan";
/// Agent: [`Snapshot`](crate::Snapshot) as JSON. `ETag` is the snapshot id; `?max_age=5s` may cause one extra scan.
pub const SNAPSHOT: &str = "/v1/snapshot";
/// Agent: [`ConnectionSample`](crate::ConnectionSample) as JSON, read from the kernel on demand. `?src=&dst=&limit=`.
pub const CONNECTIONS: &str = "/v1/connections";

/// Controller: `POST` a [`ResolveRequest`](crate::ResolveRequest), get a [`ResolveAnswer`](crate::ResolveAnswer).
pub const RESOLVE: &str = "/v1/resolve";
/// The query of a [`RESOLVE`] by who wants to know [what was dialled](crate::Identity::dialled) to get to each address: agents on
/// nodes whose tables do not show it. It is fixed for as long as one cursor is used.
pub const DIALLED: &str = "dialled=true";
/// Controller: one [`Identity`](crate::Identity) with its history, for people. axum's path syntax.
pub const IDENTITY: &str = "/v1/identities/{ip}";
/// Controller: one [`Service`](crate::Service) with its endpoints. axum's path syntax.
pub const SERVICE: &str = "/v1/services/{ns}/{name}";
/// Controller: the original Khan's whole map, for its agents during a migration.
pub const CACHE: &str = "/cache";

/// Both: 200 while the process does its work; never depends on another process.
pub const LIVEZ: &str = "/livez";
/// Both: 200 when the first answer would be a useful one; the body lists what is still pending.
pub const READYZ: &str = "/readyz";
