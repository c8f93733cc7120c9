//! One module per command: what it asks of a feed, and the report that it makes.

pub(crate) mod printer;
pub(crate) mod session;
pub(crate) mod config;
pub(crate) mod completion;
pub(crate) mod version;
pub(crate) mod agents;
pub(crate) mod conns;
pub(crate) mod leaks;
pub(crate) mod problems;
pub(crate) mod balance;
pub(crate) mod diff;
pub(crate) mod replay;
pub(crate) mod top;
pub(crate) mod who;
pub(crate) mod doctor;
