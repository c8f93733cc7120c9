//! Frames out of the state. Nothing here changes anything, and nothing is written outside of the frame.

mod cells;
mod spark;

mod agents;
mod chart;
mod connections;
pub mod drill;
mod empty_state;
mod footer;
pub mod frame;
pub mod header;
mod leaks;
mod menu;
mod nodes;
mod reader;
mod too_small;

pub use frame::draw;
