//! In: the connection tracking maps of Calico's eBPF data plane. Out: flows.
//!
//! Calico keeps one map for each family, pinned as `tc/globals/cali_v4_ct4` and `cali_v6_ct4` in the BPF file system (`_ct3`
//! before Calico 3.31). A connection through a service has two entries there: one by the address that was dialled, which only
//! leads to the other, and one by the backend, which keeps track of the connection and knows what was dialled. Only the
//! latter is read.

pub mod layout;
pub mod lifetime;
pub mod entry;
mod maps;

pub(super) use maps::Calico;

#[cfg(test)]
mod tests;
