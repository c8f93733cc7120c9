//! The thresholds.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::model::balance::BalanceRule;
use crate::model::growth::LeakRule;

/// From where on something is a problem.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Fewer connections of a pair to dead backends are none.
    pub dead: u64,
    /// A backend that died later is about to be taken out of the rules, or its clients are about to notice.
    pub dead_after: Duration,
    /// Fewer stalled connections of a pair are none.
    pub stalled: u64,
    /// Share of a pair's connections that must be stalled when its clients are outside the cluster, where they come and go.
    pub stalled_outside: f64,
    /// Fewer unanswered tries of a pair are none.
    pub unanswered: u64,
    /// Share of a pair's UDP exchanges that must be unanswered: single datagrams get lost.
    pub unanswered_udp: f64,
    /// Fewer connections that end a second are no churn.
    pub churn: u64,
    /// Connections that last longer, in seconds on average, are none.
    pub churn_lasts: f64,
    /// Filled share of a table that is nearly full.
    pub table: f64,
    /// Fewer connections of a new client are nothing.
    pub new_client: u64,
    /// Share of the connections to a destination that a new client must hold.
    pub new_client_share: f64,
    /// What is uneven.
    pub balance: BalanceRule,
    /// Used share of a destination's limit that is nearly all.
    pub limit: f64,
    /// Used share of the ports of a translated address that is nearly all.
    pub snat: f64,
    /// Ports for each destination of the NAT gateway that all nodes share; none where nobody has said that they do.
    pub gateway: Option<NonZeroU32>,
    /// What keeps growing.
    pub leak: LeakRule,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            dead: 1,
            dead_after: Duration::from_mins(1),
            stalled: 1,
            stalled_outside: 0.1,
            unanswered: 3,
            unanswered_udp: 0.1,
            churn: 20,
            churn_lasts: 2.0,
            table: 0.8,
            new_client: 20,
            new_client_share: 0.2,
            balance: BalanceRule::default(),
            limit: 0.8,
            snat: 0.8,
            gateway: None,
            leak: LeakRule::default(),
        }
    }
}
