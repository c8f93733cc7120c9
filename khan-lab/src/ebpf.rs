//! The connection tables of eBPF data planes: real maps with the layouts of Cilium's and Calico's, filled from lists of
//! connections. Written from the projects' sources, with nothing in common with the agent's readers.

pub mod connection;
mod entry;
pub mod cilium;
pub mod calico;
pub mod maps;

pub use connection::{Connection, Here, Stage, Way};
pub use entry::Entry;
pub use maps::{DataPlane, Maps};

#[cfg(test)]
mod tests;
