//! Frames out of the state. Nothing here changes anything, and nothing is written outside of the frame.

mod cells;
mod spark;

mod agents;
mod chart;
mod connections;
mod drill;
mod empty_state;
mod footer;
mod header;
mod leaks;
mod menu;
mod nodes;
mod reader;
mod too_small;
mod frame;

pub use frame::draw;
