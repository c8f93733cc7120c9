//! `khan-controller`: watches pods, services, nodes, service ranges and endpoints, and answers "which objects own these addresses?".
//!
//! ```text
//! API server -> watch -----+
//!                          +-> kubernetes -> index -> api -> agents
//! file -> from_file -------+                           |
//!                                                    auth -> API server (TokenReview)
//! ```
//!
//! [`kubernetes`] turns JSON and YAML into validated objects, [`index`] knows which object has which address, [`api`] answers
//! from it. [`app`] wires everything and owns the order in which it starts and stops.

pub mod kubernetes;

pub mod index;
mod shared_index;
mod metrics;

pub mod watch;
mod from_file;

pub mod api;
mod auth;

pub mod arguments;
pub mod app;
