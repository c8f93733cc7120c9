//! The whole program, as a user starts it, against HTTP servers that answer well and badly.

mod agents;
mod bad_input;
mod cluster;
mod khan;
mod output;
