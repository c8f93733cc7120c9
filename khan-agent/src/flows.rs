//! In: the connection tables of this node. Out: one [`Flow`] after the other, by value, to a [`Sink`].
//!
//! A [`Reader`] reads one kind of table: it yields flows, and knows the table's statistics and what an entry says beside
//! its flow. Everything else in this crate reads through [`Dump`] and does not know which readers there are. Nothing here
//! knows names or counts, and nothing writes to a table.
//!
//! ```text
//! netlink (the kernel's conntrack table) ──┐
//!                                          ├── Reader ── Dump ── Sink: the folded table, or a sample of connections
//! (Cilium's maps, Calico's maps) ──────────┘
//! ```

pub mod address;
pub mod flow;
pub mod reader;
pub mod netlink;
pub mod calico;
mod dump;

pub use address::Address;
pub use dump::{Dump, Retries};
pub use flow::{Flow, Status, Tcp, Tuple};
pub use netlink::Netlink;
pub use reader::{AttemptError, Details, DumpError, Dumped, Reader, Sink, Spoiled, Stats};

/// The reader of all tables that this node has: the kernel's own.
pub type NodeTables = Netlink;
