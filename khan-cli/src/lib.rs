//! `khan`: who holds these connections? Sources (agents, Prometheus, this host, a recording) make views; a [`model::Query`]
//! makes a [`model::Projection`] of a [`model::View`]; `commands` print it once, the [`screen`] shows it live.
//!
//! ```text
//! sources ─▶ feed (latest view, news, requests) ─▶ model ─▶ report ─▶ output      once, or again and again
//!                                                       └──────────▶ screen      live
//! ```
//!
//! The modules stand in the order in which they build on each other: none names one that stands below it.

#![deny(clippy::print_stderr, reason = "it panics when nobody reads; use khan_serve::stderr")]

mod duration;
mod shell;
mod size;
mod nearest;
mod private_file;
mod files;
pub mod model;
pub mod feed;
pub mod sources;
mod report;
mod output;
mod config;
mod kept;
mod args;
mod logging;
mod connect;
pub mod screen;
mod commands;
pub mod app;

pub use args::{Cli, parse};
pub use commands::completion::answer as answer_shell;
