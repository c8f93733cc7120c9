//! The live screen of `khan top`.
//!
//! ```text
//! terminal events, feed, clock, signals ─▶ Msg ─▶ update(&mut App) ─▶ Effect ─▶ terminal, feed, files
//!                                                      │
//!                                           view(&App, &mut Frame)        once per turn, if something changed
//! ```
//!
//! [`update`] is the only place where [`app::App`] changes, [`panels`] only reads it, and [`mod@run`] is the only file that
//! knows a terminal, a clock or a channel.

pub mod input;

pub mod keys;
pub mod keymap;

pub mod columns;
pub mod errors;
pub mod table_usage;
pub mod cursor;
pub mod tab;
pub mod prompt;
pub mod table;

pub mod drill;
pub mod overlay;
pub mod reader;
pub mod copy_export;

pub mod app;
pub mod command;
pub mod msg;
mod actions;
mod queries;
pub mod state;
pub mod update;

pub mod background;
mod clipboard;
pub mod depth;
mod export;
pub mod format;
pub mod glyphs;
pub mod styles;
pub mod text;
mod widgets;
pub mod panels;

pub mod options;
pub mod run;
pub mod signals;
pub mod terminal;

pub use options::Options;
pub use run::{Ending, Error, run};
