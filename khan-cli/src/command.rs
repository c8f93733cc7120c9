//! One module per command: what it asks of a feed, and the report that it makes.

pub mod top;
