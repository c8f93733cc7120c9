//! One module per command: what it asks of a feed, and the report that it makes.

pub mod agents;
pub mod completion;
pub mod config;
pub mod conns;
pub mod doctor;
pub mod leaks;
pub mod printer;
pub mod session;
pub mod top;
pub mod version;
pub mod who;
