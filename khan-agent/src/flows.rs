//! In: the connection tables of this node. Out: one [`Flow`] after the other, by value, to a [`Sink`].
//!
//! A [`Reader`] reads one kind of table: it yields flows, and knows the table's statistics and what an entry says beside
//! its flow. Everything else in this crate reads through [`Dump`] and does not know which readers there are. Nothing here
//! knows names or counts, and nothing writes to a table.
//!
//! ```text
//! netlink (the kernel's conntrack table) ──┐
//! cilium (its eBPF maps) ──────────────────┼── tables ── Dump ── Sink: the folded table, or a sample of connections
//! calico (its eBPF maps) ──────────────────┘
//! ```

pub mod address;
pub mod flow;
pub mod reader;
pub mod netlink;
mod seen;
mod outlet;
mod pinned;
mod maps;
mod cilium;
pub mod calico;
mod tables;
mod dump;

pub use address::Address;
pub use dump::{Dump, Retries};
pub use flow::{Flow, Status, Tcp, Tuple};
pub use netlink::Netlink;
pub use reader::{
    AttemptError, Details, DumpError, Dumped, KERNEL, Plane, Reader, Sink, Spoiled, Stats, TableStats, Unread,
};
pub use tables::{Choice, NodeTables, Which};
