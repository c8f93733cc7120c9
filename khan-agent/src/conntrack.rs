//! In: the kernel's connection tracking table, through ctnetlink. Out: one [`Flow`] after the other, by value.
//!
//! Knows nothing of names or counts. Nothing is ever written to the kernel: the only requests are dumps and statistics.

pub mod address;
pub mod attribute;
pub mod flow;
pub mod link;
pub mod request;
pub mod stats;
pub mod sysctl;
mod usual;
pub mod parse;
pub mod dump;

pub use address::Address;
pub use dump::{Dump, DumpError, Dumped, Retries, Sink};
pub use flow::{Flow, Status, Tcp, Tuple};
pub use stats::Stats;
pub use sysctl::Timeouts;
