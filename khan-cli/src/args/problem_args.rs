//! Which problems, and from where on something is one.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;

use super::balance_args::BalanceRuleArgs;
use super::query_args::{LeakArgs, QueryArgs, share};
use crate::model::problems::{ProblemKind, Rules};

/// Arguments of `khan problems`.
#[derive(Clone, Debug, Args)]
pub struct ProblemsArgs {
    /// Which connections, as for khan top
    #[arg(value_name = "SELECTOR")]
    pub selectors: Vec<String>,
    /// Only these kinds: dead-backend, unanswered, stalled, table, limit, blind, leak, snat, churn, imbalance, new-client (repeatable)
    #[arg(long = "kind", env = "KHAN_KIND", value_name = "KIND", value_delimiter = ',')]
    pub kinds: Vec<ProblemKind>,
    /// Exit with code 5 if there is a problem that is more than something to watch
    #[arg(long, env = "KHAN_EXIT_CODE")]
    pub exit_code: bool,
    /// Filter and shape.
    #[command(flatten)]
    pub query: QueryArgs,
    /// Thresholds.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// From where on connections are uneven.
    #[command(flatten)]
    pub balance: BalanceRuleArgs,
    /// The leak rule.
    #[command(flatten)]
    pub leak: LeakArgs,
}

/// From where on something is a problem.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Thresholds")]
pub struct RuleArgs {
    /// Minimum number of connections to dead backends
    #[arg(long, env = "KHAN_DEAD_MIN", value_name = "N", value_parser = clap::value_parser!(u64).range(1..),
        default_value_t = Rules::default().dead)]
    pub dead_min: u64,
    /// Minimum time for which a backend must have been dead
    #[arg(long, env = "KHAN_DEAD_AFTER", value_name = "DURATION", value_parser = crate::duration::parse,
        default_value = "1m")]
    pub dead_after: Duration,
    /// Minimum number of stalled connections
    #[arg(long, env = "KHAN_STALLED_MIN", value_name = "N", value_parser = clap::value_parser!(u64).range(1..),
        default_value_t = Rules::default().stalled)]
    pub stalled_min: u64,
    /// Share of the connections from outside the cluster that must be stalled, 0 to 1
    #[arg(long, env = "KHAN_STALLED_OUTSIDE", value_name = "SHARE", value_parser = share,
        default_value_t = Rules::default().stalled_outside)]
    pub stalled_outside: f64,
    /// Minimum number of unanswered tries
    #[arg(long, env = "KHAN_UNANSWERED_MIN", value_name = "N", value_parser = clap::value_parser!(u64).range(1..),
        default_value_t = Rules::default().unanswered)]
    pub unanswered_min: u64,
    /// Share of UDP exchanges that must be unanswered, 0 to 1
    #[arg(long, env = "KHAN_UNANSWERED_UDP", value_name = "SHARE", value_parser = share,
        default_value_t = Rules::default().unanswered_udp)]
    pub unanswered_udp: f64,
    /// Minimum number of connections that end each second
    #[arg(long, env = "KHAN_CHURN_MIN", value_name = "N", value_parser = clap::value_parser!(u64).range(1..),
        default_value_t = Rules::default().churn)]
    pub churn_min: u64,
    /// Longest average life of a connection that is churn
    #[arg(long, env = "KHAN_CHURN_LASTS", value_name = "DURATION", value_parser = crate::duration::parse,
        default_value = "2s")]
    pub churn_lasts: Duration,
    /// Share of a connection tracking table that must be filled, 0 to 1
    #[arg(long, env = "KHAN_TABLE_FILL", value_name = "SHARE", value_parser = share,
        default_value_t = Rules::default().table)]
    pub table_fill: f64,
    /// Minimum number of connections of a new client
    #[arg(long, env = "KHAN_NEW_CLIENT_MIN", value_name = "N", value_parser = clap::value_parser!(u64).range(1..),
        default_value_t = Rules::default().new_client)]
    pub new_client_min: u64,
    /// Share of the connections to a destination that a new client must hold, 0 to 1
    #[arg(long, env = "KHAN_NEW_CLIENT_SHARE", value_name = "SHARE", value_parser = share,
        default_value_t = Rules::default().new_client_share)]
    pub new_client_share: f64,
    /// Share of a destination's khan/max-connections that must be used, 0 to 1
    #[arg(long, env = "KHAN_LIMIT_FILL", value_name = "SHARE", value_parser = share,
        default_value_t = Rules::default().limit)]
    pub limit_fill: f64,
    /// Share of the ports of a translated source address that must be used, 0 to 1
    #[arg(long, env = "KHAN_SNAT_FILL", value_name = "SHARE", value_parser = share,
        default_value_t = Rules::default().snat)]
    pub snat_fill: f64,
    /// Ports for each destination of a NAT gateway that all nodes share
    #[arg(long, env = "KHAN_NAT_GATEWAY_PORTS", value_name = "N")]
    pub nat_gateway_ports: Option<NonZeroU32>,
}

impl ProblemsArgs {
    /// The thresholds.
    pub fn rules(&self) -> Rules {
        Rules {
            dead: self.rules.dead_min,
            dead_after: self.rules.dead_after,
            stalled: self.rules.stalled_min,
            stalled_outside: self.rules.stalled_outside,
            unanswered: self.rules.unanswered_min,
            unanswered_udp: self.rules.unanswered_udp,
            churn: self.rules.churn_min,
            churn_lasts: self.rules.churn_lasts.as_secs_f64(),
            table: self.rules.table_fill,
            new_client: self.rules.new_client_min,
            new_client_share: self.rules.new_client_share,
            balance: self.balance.rule(),
            limit: self.rules.limit_fill,
            snat: self.rules.snat_fill,
            gateway: self.rules.nat_gateway_ports,
            leak: self.leak.rule(self.query.window),
        }
    }
}
