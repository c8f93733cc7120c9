//! The contract between `khan-agent`, `khan-controller` and `khan`: who an address is, what agents ask the controller,
//! what a snapshot of one node's connection tracking table holds, and where each is served.
//!
//! Shapes only: serde and the standard library, no I/O. Unknown JSON fields are ignored by every reader, so that a newer
//! part can talk to an older one.

pub mod bounded;
pub mod cidr;
pub mod duration;
pub mod limit;
pub mod external;
pub mod routes;
pub mod text;
pub mod state;
pub mod time;
pub mod owner;
pub mod service;
pub mod identity;
pub mod node_port;
pub mod resolve;
pub mod table_stats;
pub mod snapshot;
pub mod connection;

pub use cidr::Cidr;
pub use connection::{Connection, ConnectionSample};
pub use external::{ExternalName, ExternalNames};
pub use identity::{Identity, PreviousOwner};
pub use node_port::{NodePort, ServicePort};
pub use owner::{Kind, Owner, OwnerRef};
pub use resolve::{Cursor, ResolveAnswer, ResolveRequest};
pub use service::{Service, ServiceEndpoint, ServiceName};
pub use snapshot::Snapshot;
pub use state::{KnownState, Lifecycle, Protocol, State, TcpState};
pub use table_stats::TableStats;
pub use text::{Label, Name, Sentence, ShownUrl, Text};
pub use time::Timestamp;
