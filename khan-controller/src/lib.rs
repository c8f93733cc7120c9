//! `khan-controller`: watches pods, services and nodes, and answers "whose are these addresses?".
//!
//! Data flows one way: Kubernetes JSON -> [`objects`] -> [`index`] -> [`resolve`]. [`watch`] and [`mod@file`] feed the index,
//! [`app`] wires everything and owns the order in which it starts and stops.

pub mod objects;

pub mod index;

pub mod directory;
pub mod metrics;

pub mod external;
pub mod file;
pub mod reload;
pub mod watch;

pub mod auth;
pub mod resolve;

pub mod app;
pub mod arguments;
