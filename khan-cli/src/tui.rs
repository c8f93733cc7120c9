//! The live screen of `khan top`.

pub mod actions;
pub mod glyphs;
pub mod input;
pub mod keymap;
pub mod styles;
pub mod terminal;
