//! `khan-agent`: the connections of one node, from the kernel's own table, named, as Prometheus metrics and as snapshots.
//!
//! Arrows go one way: [`conntrack`] (kernel to flows) and [`local_routes`] (which addresses live
//! here) -> [`table`] (flows to rows) -> [`identities`] (addresses to
//! owners) -> [`snapshot`] (rows x owners, immutable) -> [`exposition`] and [`api`] -> [`app`], which knows all.

pub mod conntrack;

pub mod local_routes;

pub mod table;

pub mod identities;

pub mod scan;

pub mod snapshot;

pub mod exposition;

pub mod publish;

pub mod metrics;

pub mod blind;

pub mod budget;

pub mod schedule;

pub mod naming;

pub mod api;

pub mod arguments;

pub mod app;

pub mod local;
