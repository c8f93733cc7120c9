//! The bench that Khan is tried on: network namespaces with real traffic, synthetic conntrack entries, an independent
//! reading of the kernel's table, and the programs of the workspace run as users run them. Only for tests and the demo.
//!
//! ```no_run
//! use khan_lab::{Lab, traffic};
//!
//! fn main() -> khan_lab::Result {
//!     let lab = Lab::new()?;
//!     let node = lab.host("node")?;
//!     node.track()?;
//!     let server = traffic::TcpServer::start(&node, "127.0.0.1:0".parse().unwrap())?;
//!     let held = traffic::hold_tcp(&node, server.address(), 100)?;
//!     let table = node.witness()?;
//!     assert_eq!(table.iter().filter(|entry| entry.state.as_deref() == Some("ESTABLISHED")).count(), held.len());
//!     Ok(())
//! }
//! ```
//!
//! Everything is anonymous and belongs to this process: a namespace lives as long as a thread of ours is in it, every
//! child dies with the thread that started it, and files lie in the build folder. So nothing is left behind by a failed
//! assertion, a panic or SIGKILL.
//!
//! Works as root, else in a user namespace of its own ([`Lab::new`] runs the program again inside one). Where neither is
//! possible, and where a tool is missing, it fails and says what to do; it never skips.

#[cfg(not(target_os = "linux"))]
compile_error!("network namespaces and connection tracking are Linux's");

mod error;
mod privilege;
pub mod binaries;

pub mod corpus;
pub mod answer_times;
pub mod usage;
pub mod wait;
mod http;
pub mod witness;
pub mod seed;
pub mod bpf_fs;
pub mod ebpf;
pub mod host;
pub mod api_server;
pub mod lab;
pub mod cluster;
pub mod program;
pub mod khan;
pub mod prometheus;
pub mod terminal;
pub mod traffic;
pub mod shop;

pub use api_server::ApiServer;
pub use bpf_fs::BpfFs;
pub use cluster::Cluster;
pub use error::{LabError, Result};
pub use host::Host;
pub use http::Answer;
pub use khan::Khan;
pub use lab::Lab;
pub use privilege::ensure as ensure_privileges;
pub use program::Program;
pub use prometheus::Prometheus;
pub use seed::Seed;
pub use shop::Shop;
pub use terminal::Terminal;
pub use usage::Usage;
pub use wait::until;
pub use witness::{Entry, Tuple};
