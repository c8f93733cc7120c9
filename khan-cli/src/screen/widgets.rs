//! What panels draw with: a part of the frame, and the widgets that fill one.
//!
//! Panels never see ratatui's buffer. They write through a [`canvas::Canvas`], and every text passes its filter, so that
//! nothing a peer sent reaches the terminal raw. The widgets know texts, styles and cells, and nothing of connections.

pub(super) mod canvas;
pub(super) mod choice;
pub(super) mod table;
