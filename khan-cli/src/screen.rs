//! The live screen of `khan top`.
//!
//! ```text
//! terminal events, feed, clock, signals ─▶ Msg ─▶ update(&mut App) ─▶ Effect ─▶ terminal, feed, files
//!                                                      │
//!                                           draw(&App, &mut Frame)        once per turn, if something changed
//! ```
//!
//! [`state`] is everything that is shown, in parts with private fields; [`mod@update`] is the only user of the verbs that
//! change them, [`panels`] only reads, and [`mod@run`] is the only file that knows a terminal, a clock or a channel.

pub mod tab;
pub mod keys;

pub mod depth;
pub mod styles;
pub mod glyphs;
pub mod text;
pub mod format;

pub mod columns;
pub mod items;
pub mod layout;

pub mod errors;
pub mod menu;
pub mod prompt;
pub mod reader;

pub mod state;
pub mod msg;
pub mod update;

mod widgets;
pub mod panels;

pub mod options;

pub mod terminal;
pub mod run;

pub use options::Options;
pub use run::{Ending, Error, Source, run};
