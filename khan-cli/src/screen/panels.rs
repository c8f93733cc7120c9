//! Frames out of the state. Nothing here changes anything, and nothing is written outside of the frame.

mod agents;
mod empty_state;
mod chart;
pub mod drill;
mod footer;
pub mod frame;
mod grid;
pub mod header;
mod leaks;
mod menu;
mod nodes;
mod canvas;
mod reader;
mod row;
mod too_small;
mod spark;
mod table;

pub use frame::draw;
