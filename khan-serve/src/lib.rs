//! What the programs share while they run: exit codes and failures, watched files, YAML, pauses, the TLS provider; and for
//! `khan-agent` and `khan-controller` also logging, signals, readiness, and an HTTP/1.1 server with the bounds that a port on
//! the host network needs.
//!
//! A server's `main` parses with [`exit::parse`], starts [`logging`], and returns what its `app::run` gives to
//! [`exit::report`]. `app::run` binds with [`listen::bind`], hands an [`axum::Router`] to [`server::Server`], and gets a
//! [`server::Bound`] back, so that a test starts the very same program on port 0.

pub mod backoff;
pub mod clock;
pub mod watched_file;
pub mod yaml;
pub mod descriptors;
pub mod exposition;
pub mod accept;
pub mod stderr;
pub mod exit;
pub mod logging;
pub mod readiness;
pub mod reminder;
pub mod shutdown;
pub mod tls_provider;

mod peer;
pub mod exchange;
mod ring;
pub mod shed;
pub mod gate;
mod turns;

pub mod health;
pub mod limits;
pub mod remember;
pub mod web_config;

mod connection;
mod connections;
pub mod listen;
pub mod server;
