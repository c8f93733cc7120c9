//! From where on connections are spread unevenly.

use std::time::Duration;

/// From where on connections are spread unevenly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BalanceRule {
    /// Fewer connections to a service that last say nothing.
    pub min: u64,
    /// How many times the mean the endpoint with the most connections must hold.
    pub skew: f64,
    /// Connections that last for less on average spread again by themselves.
    pub lasts: Duration,
    /// An endpoint that is ready for less has not had its chance.
    pub ready: Duration,
}

impl Default for BalanceRule {
    fn default() -> Self {
        Self { min: 20, skew: 2.0, lasts: Duration::from_mins(1), ready: Duration::from_mins(5) }
    }
}
