//! `khan`: who holds these connections? Sources (agents, Prometheus, this host, a recording) flow into one merged
//! [`model::View`]; a [`model::Query`] makes a [`model::Projection`] of it; [`output`] prints that once, the terminal
//! interface shows it live.
//!
//! ```text
//! source/*  ->  feed (watch<Arc<View>>, status, requests)  ->  model::project  ->  output/* | tui/*
//! ```

pub mod feed;
pub mod model;
pub mod source;
pub mod tui;
