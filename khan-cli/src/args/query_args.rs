//! Which connections, in which rows, in which order.

use std::time::Duration;

use clap::Args;

use crate::model::filter::{Clause, Compare, FilterError, GroupTerm, Measure, RowTerm};
use crate::model::group_by::GroupByError;
use crate::model::selector::SelectorError;
use crate::model::{Filter, GroupBy, LeakRule, Query, Selector, query::SortError};

/// Filter and shape.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which connections")]
pub struct QueryArgs {
    /// Only connections of pods with these labels, for example app=web,tier!=cache (needs the API server)
    #[arg(short = 'l', long, env = "KHAN_SELECTOR", value_name = "LABELS")]
    pub selector: Option<String>,
    /// Client: a selector such as app/checkout (repeatable; any may match)
    #[arg(long, env = "KHAN_FROM", value_name = "SELECTOR")]
    pub from: Vec<String>,
    /// Destination, dialled or answering
    #[arg(long, env = "KHAN_TO", value_name = "SELECTOR")]
    pub to: Vec<String>,
    /// Either end
    #[arg(long, env = "KHAN_EITHER", value_name = "SELECTOR")]
    pub either: Vec<String>,
    /// Filter expression, as typed after / on the screen
    #[arg(long, env = "KHAN_FILTER", value_name = "EXPRESSION", allow_hyphen_values = true)]
    pub filter: Option<String>,
    /// TCP state, or open, opening, closed (repeatable)
    #[arg(long, env = "KHAN_STATE", value_name = "STATE", value_delimiter = ',')]
    pub state: Vec<String>,
    /// Transport: tcp, udp, sctp (repeatable)
    #[arg(long, env = "KHAN_PROTO", value_name = "NAME", value_delimiter = ',')]
    pub proto: Vec<String>,
    /// Port dialled or answering, or LOW-HIGH (repeatable)
    #[arg(long, env = "KHAN_PORT", value_name = "PORT", value_delimiter = ',')]
    pub port: Vec<String>,
    /// Only rows with at least this many connections
    #[arg(long, env = "KHAN_MIN", value_name = "N")]
    pub min: Option<u32>,
    /// Only connections with an end outside the cluster
    #[arg(long, env = "KHAN_EXTERNAL")]
    pub external: bool,
    /// Only connections with an end whose owner is unknown
    #[arg(long, env = "KHAN_UNKNOWN")]
    pub unknown: bool,
    /// Also connections of Khan itself: to its agents, and of its own pods and services
    #[arg(long, env = "KHAN_OWN")]
    pub own: bool,
    /// What makes a row: a source (src, src-pod, src-ns, ...), a destination (dst, dst-pod, dst-ip, ...), a backend (backend,
    /// backend-ip, ...), and any of node, port, protocol, state
    #[arg(long, env = "KHAN_GROUP_BY", value_name = "WORDS", default_value = "src,dst,port", help_heading = "Rows")]
    pub group_by: String,
    /// Order: conns, delta, rate, est, idle, halfclosed, closed, stalled, unanswered, source, destination, port, node, state; - before it reverses
    #[arg(
        long,
        env = "KHAN_SORT_BY",
        value_name = "ORDER",
        default_value = "conns",
        allow_hyphen_values = true,
        help_heading = "Rows"
    )]
    pub sort_by: String,
    /// Maximum number of rows; 0 for all (default: 200 on the screen, all in a pipe)
    #[arg(long, visible_alias = "top", env = "KHAN_LIMIT", value_name = "N", help_heading = "Rows")]
    pub limit: Option<usize>,
    /// Time span over which changes are computed
    #[arg(long, env = "KHAN_WINDOW", value_name = "DURATION", value_parser = crate::duration::parse, help_heading = "Rows")]
    pub window: Option<Duration>,
}

/// The leak rule's thresholds.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Leak rule")]
#[expect(clippy::struct_field_names, reason = "the names of the flags")]
pub struct LeakArgs {
    /// Share of the steps between snapshots that must not fall, 0 to 1
    #[arg(long, env = "KHAN_LEAK_RISING", value_name = "SHARE", value_parser = share,
        default_value_t = LeakRule::default().rising)]
    pub leak_rising: f64,
    /// Minimum number of connections added, however many there were before
    #[arg(long, env = "KHAN_LEAK_GROWTH", value_name = "N", value_parser = clap::value_parser!(u64).range(1..),
        default_value_t = LeakRule::default().growth)]
    pub leak_growth: u64,
    /// Minimum number of snapshots, 3 to 720
    #[arg(long, env = "KHAN_LEAK_SAMPLES", value_name = "N", value_parser = samples,
        default_value_t = LeakRule::default().samples)]
    pub leak_samples: usize,
    /// Largest share of the growth that one step may add or take back, 0 to 1
    #[arg(long, env = "KHAN_LEAK_STEP", value_name = "SHARE", value_parser = share,
        default_value_t = LeakRule::default().step)]
    pub leak_step: f64,
    /// Share of a row's connections that one of several pods must hold to count as evidence, 0 to 1
    #[arg(long, env = "KHAN_LEAK_CONCENTRATION", value_name = "SHARE", value_parser = share,
        default_value_t = LeakRule::default().concentration)]
    pub leak_concentration: f64,
    /// How many times faster than before a row must grow to count as evidence, 1 or more
    #[arg(long, env = "KHAN_LEAK_FASTER", value_name = "TIMES", value_parser = times,
        default_value_t = LeakRule::default().faster)]
    pub leak_faster: f64,
    /// Share of connections that must be idle, or half-closed, to count as evidence, 0 to 1
    #[arg(long, env = "KHAN_LEAK_IDLE", value_name = "SHARE", value_parser = share,
        default_value_t = LeakRule::default().idle)]
    pub leak_idle: f64,
}

/// A share, 0 to 1.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "not a number from 0 to 1".to_owned())?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("not within 0 to 1".to_owned()) }
}

pub(super) fn times(text: &str) -> Result<f64, String> {
    let times: f64 = text.parse().map_err(|_| "not a number of 1 or more".to_owned())?;
    if times >= 1.0 && times.is_finite() { Ok(times) } else { Err("not a number of 1 or more".to_owned()) }
}

fn samples(text: &str) -> Result<usize, String> {
    let samples: usize = text.parse().map_err(|_| "not a number from 3 to 720".to_owned())?;
    if (3..=720).contains(&samples) { Ok(samples) } else { Err("not within 3 to 720".to_owned()) }
}

impl LeakArgs {
    /// The rule over `window`.
    pub fn rule(&self, window: Option<Duration>) -> LeakRule {
        LeakRule {
            window: window.unwrap_or(LeakRule::default().window),
            samples: self.leak_samples,
            rising: self.leak_rising,
            growth: self.leak_growth,
            step: self.leak_step,
            concentration: self.leak_concentration,
            faster: self.leak_faster,
            idle: self.leak_idle,
        }
    }
}

type Term = fn(Vec<Selector>) -> RowTerm;

/// Which flag cannot be understood, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A selector.
    #[error("{flag}: {source}")]
    Selector {
        /// The flag.
        flag: &'static str,
        /// Why.
        source: SelectorError,
    },
    /// A filter, or a flag that is written as one.
    #[error("{flag}: {source}\n  {text}\n  {}", source.carets())]
    Filter {
        /// The flag.
        flag: &'static str,
        /// The expression.
        text: String,
        /// Why.
        source: FilterError,
    },
    /// --group-by.
    #[error("--group-by: {0}")]
    GroupBy(#[from] GroupByError),
    /// --sort-by.
    #[error("--sort-by: {0}")]
    Sort(#[from] SortError),
}

impl QueryArgs {
    /// The query that the flags and the selectors on the line make.
    pub fn query(&self, selectors: &[String], namespaces: Vec<String>) -> Result<Query, QueryError> {
        let mut filter = Self::expression("--filter", self.filter.as_deref().unwrap_or_default())?;
        let ends: [(_, _, Term); 4] = [
            ("SELECTOR", selectors, RowTerm::Any),
            ("--either", &self.either[..], RowTerm::Any),
            ("--from", &self.from[..], RowTerm::Src),
            ("--to", &self.to[..], RowTerm::Dst),
        ];
        for (flag, texts, term) in ends.into_iter().filter(|(_, texts, _)| !texts.is_empty()) {
            let selectors: Result<Vec<Selector>, _> = texts.iter().map(|text| text.parse()).collect();
            filter = filter.and_row(term(selectors.map_err(|source| QueryError::Selector { flag, source })?));
        }
        for (flag, field, values) in
            [("--state", "state", &self.state), ("--proto", "proto", &self.proto), ("--port", "port", &self.port)]
        {
            if !values.is_empty() {
                filter = filter.and(Self::expression(flag, &format!("{field}:{}", values.join(",")))?);
            }
        }
        for (wanted, kind) in [(self.external, khan_api::Kind::External), (self.unknown, khan_api::Kind::Unknown)] {
            if wanted {
                filter = filter.and_row(RowTerm::Any(vec![Selector::Kind(kind)]));
            }
        }
        if let Some(min) = self.min {
            let term = GroupTerm::Number(Measure::Connections, Compare::AtLeast, i64::from(min) * 1000);
            filter.groups.push(Clause::Term(term));
        }
        let usual = Query::default();
        Ok(Query {
            group_by: self.group_by.parse::<GroupBy>()?,
            sort: self.sort_by.parse()?,
            filter,
            namespaces,
            own: self.own,
            limit: self.limit.unwrap_or(usual.limit),
            window: self.window.unwrap_or(usual.window),
            trend: self.window.map_or(usual.trend, |window| window.max(usual.trend)),
            ..usual
        })
    }

    fn expression(flag: &'static str, text: &str) -> Result<Filter, QueryError> {
        text.parse().map_err(|source| QueryError::Filter { flag, text: text.to_owned(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> QueryArgs {
        QueryArgs { group_by: "src,dst,port".into(), sort_by: "conns".into(), ..QueryArgs::default() }
    }

    #[test]
    fn flags_and_selectors_make_one_filter() {
        let args = QueryArgs {
            from: vec!["app/shop/cart".into()],
            state: vec!["open".into()],
            port: vec!["80".into(), "443".into()],
            min: Some(5),
            external: true,
            filter: Some("-dst:redis".into()),
            ..args()
        };
        let query = args.query(&["ns/shop".into()], Vec::new()).unwrap();
        let expected = "-dst:redis any:ns/shop src:app/shop/cart state:open port:80,443 any:type/external conns>=5";
        assert_eq!(query.filter.to_string(), expected);
    }

    #[test]
    fn errors_name_the_flag() {
        let error = |args: QueryArgs| args.query(&[], Vec::new()).unwrap_err().to_string();
        assert!(error(QueryArgs { to: vec!["ip/x".into()], ..args() }).starts_with("--to: \"x\" is neither"));
        assert!(error(QueryArgs { port: vec!["http".into()], ..args() }).starts_with("--port: \"http\" is not a port"));
        assert!(error(QueryArgs { sort_by: "size".into(), ..args() }).starts_with("--sort-by: \"size\" is nothing"));
        let filter = error(QueryArgs { filter: Some("dst:a prot:x".into()), ..args() });
        assert!(filter.ends_with("\n  dst:a prot:x\n        ^^^^^^"), "{filter}");
    }
}
