//! Which two moments are compared, and what is shown of the difference.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::query_args::QueryArgs;
use crate::model::diff::Kind;

/// Arguments of `khan diff`.
#[derive(Clone, Debug, Args)]
pub struct DiffArgs {
    /// One recording, compared with now, or two
    #[arg(value_name = "RECORDING", num_args = 0..=2)]
    pub files: Vec<PathBuf>,
    /// Compare now with this long ago: through Prometheus, or within the recording of --replay
    #[arg(long, env = "KHAN_AGAINST", value_name = "DURATION", value_parser = crate::duration::parse)]
    pub against: Option<Duration>,
    /// Only rows that differ in these ways (default: all of them)
    #[arg(long, env = "KHAN_SHOW", value_enum, value_name = "KIND", value_delimiter = ',')]
    pub show: Vec<Show>,
    /// Only rows with a change of at least this many connections
    #[arg(long, env = "KHAN_MIN_CHANGE", value_name = "N", default_value_t = 1)]
    pub min_change: u64,
    /// Exit with code 5 if a row is listed
    #[arg(long, env = "KHAN_EXIT_CODE")]
    pub exit_code: bool,
    /// Filter and shape.
    #[command(flatten)]
    pub query: QueryArgs,
}

/// A way in which a row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Show {
    /// Was not there before.
    New,
    /// Is not there any more.
    Gone,
    /// Has more connections.
    Grown,
    /// Has fewer connections.
    Shrunk,
}

impl DiffArgs {
    /// Whether rows of this kind are listed.
    pub fn shows(&self, kind: Kind) -> bool {
        let named = |show: &Show| match show {
            Show::New => kind == Kind::New,
            Show::Gone => kind == Kind::Gone,
            Show::Grown => kind == Kind::Grown,
            Show::Shrunk => kind == Kind::Shrunk,
        };
        self.show.is_empty() || self.show.iter().any(named)
    }
}
