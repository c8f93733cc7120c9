//! The live screen of `khan top`.
//!
//! ```text
//! terminal events, feed, clock, signals ─▶ Msg ─▶ update(&mut App) ─▶ Effect ─▶ terminal, feed, files
//!                                                      │
//!                                           draw(&App, &mut Frame)        once per turn, if something changed
//! ```
//!
//! [`state`] is everything that is shown, in parts with private fields; [`mod@update`] is the only user of the verbs that
//! change them, [`panels`] only reads, and `run` is the only file that knows a terminal, a clock or a channel.

pub mod tab;
pub mod keys;

pub mod depth;
pub mod styles;
pub mod glyphs;
mod text;
mod format;

pub mod columns;
mod items;
mod layout;

pub mod setting;
pub mod saved;

mod errors;
mod menu;
mod prompt;
pub mod commands;
pub mod candidates;
mod reader;

pub mod state;
pub mod msg;
pub mod update;

mod widgets;
pub mod panels;

mod options;

pub mod terminal;
mod run;

pub use options::Options;
pub use run::{Ending, Error, Source, run};
