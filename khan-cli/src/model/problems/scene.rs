//! What the rules look at.

use super::memory::Memory;
use super::rules::Rules;
use crate::model::history::History;
use crate::model::leak::LeakReport;
use crate::model::query::Query;
use crate::model::view::View;

/// What problems are found in.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The present.
    pub view: &'a View,
    /// Which connections.
    pub query: &'a Query,
    /// The past of their numbers.
    pub history: &'a History,
    /// What earlier views said besides.
    pub memory: &'a Memory,
    /// What keeps growing, as `khan leaks` has it.
    pub leaks: &'a LeakReport,
    /// The thresholds.
    pub rules: &'a Rules,
}
