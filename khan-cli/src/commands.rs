//! One module per command: what it asks of a feed, and the report that it makes.

pub mod printer;
pub mod session;
pub mod config;
pub mod completion;
pub mod version;
pub mod agents;
pub mod conns;
pub mod leaks;
pub mod top;
pub mod who;
pub mod doctor;
