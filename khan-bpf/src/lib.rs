//! Hash maps of eBPF programs: in, the path of a pinned map; out, its entries as bytes, in batches.
//!
//! ```no_run
//! use khan_bpf::{Buffers, Map};
//! use std::ops::ControlFlow;
//!
//! let map = Map::open("/sys/fs/bpf/tc/globals/cilium_ct4_global")?;
//! let mut bytes = 0;
//! map.walk(&mut Buffers::default(), |key, value| {
//!     bytes += key.len() + value.len();
//!     ControlFlow::Continue(())
//! })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Nothing here knows what the bytes mean. This is the only crate of the workspace that may say `unsafe`, because `bpf(2)` takes
//! pointers as numbers and no safe crate offers what is needed:
//!
//! - `BPF_MAP_LOOKUP_BATCH` reads an entry in about 0.3 microseconds. `aya` (0.14) opens pinned maps without C, but has no batch
//!   look-up: walking a map with it takes two system calls, and 2.7 microseconds, for each entry.
//! - `libbpf-rs` (0.27) has the batch look-up, and brings libbpf, libelf and zlib, which are C.
//!
//! All `unsafe` is in `call.rs`. `write.rs` is for tests and the test bench: no program that gets installed writes to a map.

mod info;
mod call;
mod map;
mod walk;
mod write;

pub use info::{Info, Kind};
pub use map::Map;
pub use walk::{Buffers, Walked};
