//! A server that speaks Prometheus's HTTP API is asked for sums of the agents' series; it makes the same views as the
//! agents themselves, for clusters that are larger than one terminal can poll, and it knows the past.
//!
//! ```text
//! Query ─▶ LabelSet (labels) ─▶ promql ─▶ client ─▶ answer ─▶ rows of nodes ─▶ merge ─▶ feed
//! ```

pub(crate) mod answer;
pub mod client;
pub mod label_set;
mod rows;
pub mod promql;
mod round;
pub(crate) mod moment;
pub mod run;
