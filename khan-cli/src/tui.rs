//! The live screen of `khan top`.

pub mod actions;
pub mod format;
pub mod glyphs;
pub mod input;
pub mod keymap;
pub mod prompt;
pub mod styles;
pub mod terminal;
pub mod text;
pub mod view;
