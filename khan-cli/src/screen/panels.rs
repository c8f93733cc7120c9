//! Draws frames from the state, and changes nothing. A panel gets a part of the frame to write on; `frame` comes last and
//! decides which panel gets which part.

mod cells;
mod spark;

mod agents;
mod chart;
mod states;
mod connections;
mod details;
mod drill;
mod empty_state;
mod timeline;
mod prompt;
mod footer;
mod header;
mod leaks;
mod menu;
mod nodes;
mod problems;
mod reader;
mod too_small;
mod frame;

pub use frame::draw;
