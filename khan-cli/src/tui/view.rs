//! Frames out of the state. Nothing here changes anything, and nothing is written outside of the frame.

mod agents;
mod body;
mod chart;
pub mod drill;
mod footer;
pub mod frame;
mod grid;
pub mod header;
mod leaks;
mod menu;
mod nodes;
mod pen;
mod reader;
mod row;
mod small;
mod spark;
mod table;

pub use frame::draw;
