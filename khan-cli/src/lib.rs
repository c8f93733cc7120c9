//! `khan`: who holds these connections? Sources (agents, Prometheus, this host, a recording) flow into one merged
//! [`model::View`]; a [`model::Query`] makes a [`model::Projection`] of it; [`output`] prints that once, the terminal
//! interface shows it live.
//!
//! ```text
//! source/*  ->  feed (watch<Arc<View>>, news, requests)  ->  model::project  ->  command/* -> output/*  |  tui/*
//! ```

pub mod app;
pub mod cli;
pub mod command;
pub mod config;
pub mod connect;
pub mod failure;
pub mod feed;
pub mod logging;
pub mod model;
pub mod output;
pub mod source;
pub mod tui;

/// Chooses the cryptography behind TLS, once per process; every HTTP client takes it from there.
pub fn install_tls() {
    // An error means that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
