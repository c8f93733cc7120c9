//! Agents are asked for their snapshots, each over the way that leads to it; their answers are merged as they come.

pub mod fetch;
pub mod route;
pub mod url;
