//! Which services, and from where on their connections are uneven.

use std::time::Duration;

use clap::Args;

use super::query_args::{QueryArgs, times};
use crate::model::balance::BalanceRule;

/// Arguments of `khan balance`.
#[derive(Clone, Debug, Args)]
pub struct BalanceArgs {
    /// Which connections, as for khan top: svc/NAME, svc/NAMESPACE/NAME, ns/NAME, a client, ...
    #[arg(value_name = "SELECTOR")]
    pub selectors: Vec<String>,
    /// Exit with code 5 if the connections to a service are uneven
    #[arg(long, env = "KHAN_EXIT_CODE")]
    pub exit_code: bool,
    /// Filter.
    #[command(flatten)]
    pub query: QueryArgs,
    /// Thresholds.
    #[command(flatten)]
    pub rule: BalanceRuleArgs,
}

/// From where on connections are uneven.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Thresholds")]
#[expect(clippy::struct_field_names, reason = "the names of the flags")]
pub struct BalanceRuleArgs {
    /// Minimum number of connections to a service that last
    #[arg(long, env = "KHAN_BALANCE_MIN", value_name = "N", value_parser = clap::value_parser!(u64).range(1..),
        default_value_t = BalanceRule::default().min)]
    pub balance_min: u64,
    /// How many times the mean one of a service's endpoints must hold, 1 or more
    #[arg(long, env = "KHAN_BALANCE_SKEW", value_name = "TIMES", value_parser = times,
        default_value_t = BalanceRule::default().skew)]
    pub balance_skew: f64,
    /// How long a client's connections must last on average to count
    #[arg(long, env = "KHAN_BALANCE_LASTS", value_name = "DURATION", value_parser = crate::duration::parse,
        default_value = "1m")]
    pub balance_lasts: Duration,
    /// How long an endpoint must have been ready to count
    #[arg(long, env = "KHAN_BALANCE_READY", value_name = "DURATION", value_parser = crate::duration::parse,
        default_value = "5m")]
    pub balance_ready: Duration,
}

impl BalanceRuleArgs {
    /// The rule.
    pub const fn rule(&self) -> BalanceRule {
        BalanceRule {
            min: self.balance_min,
            skew: self.balance_skew,
            lasts: self.balance_lasts,
            ready: self.balance_ready,
        }
    }
}
