//! Snapshots of many nodes flow in, rows for a screen or a file flow out. Pure: no clock, no I/O, no async, no drawing.
//!
//! How the pieces are used, by the terminal interface as well as by `--once`:
//!
//! ```text
//! khan_api::Snapshot -> NodeTable::new(snapshot, &mut Pool)   compact, shared, kept once per node
//! merge(source, Vec<NodeInput>) -> View                       every connection once; cheap: tables are shared
//! History::push(Arc<View>), History::track(&Query)            one sample per settled, distinct view
//! project(&View, &Query, &History) -> Projection              what to draw, copy, export; rows named by RowKey
//! leaks(&View, &Query, &History, &LeakRule) -> LeakReport     what keeps growing
//! Problems::of(&Scene, &[ProblemKind]) -> Problems            what is wrong, worst first
//! ```
//!
//! - A [`View`] is immutable and comes through `tokio::sync::watch` ([`crate::feed`]). [`View::id`] changes exactly when
//!   its content does. [`View::settled`] is false while agents of the first round are still to answer: draw it, but
//!   [`History::push`] takes no sample of it.
//! - A [`Query`] is what the user asked: grouping, filter, scope, sort, limit. Equal [`Query::shape`]s share history;
//!   call [`History::track`] after every change of the query, then [`project()`].
//! - A [`RowKey`] is 128 bits, `Copy`, and names the same group in every view (and in every process), so selection,
//!   pins and history hold on to it and never to an index.
//! - [`Projection`] carries totals before and after the limit, so that "200 of 3,914 edges = 92.1 %" and `(other)` are exact.

mod hash;
pub(crate) mod state;

pub(crate) mod endpoint;
pub mod node;
pub mod table;
pub mod services;
pub(crate) mod source;
pub(crate) mod view;
mod undecided;
pub(crate) mod merge;
pub(crate) mod own;

pub(crate) mod label_selection;
pub(crate) mod selector;

pub(crate) mod group_end;
pub(crate) mod group_by;
pub mod filter;
pub(crate) mod growth;
pub(crate) mod query;

pub mod names;

pub(crate) mod groups;
pub mod history;
pub mod leak;
pub mod balance;
pub mod problems;
pub mod diff;

#[cfg(test)]
pub(crate) mod fixture;

pub use diff::{Diff, diff};
pub use endpoint::{Endpoint, Pool};
pub use filter::Filter;
pub use group_by::{GroupBy, RowKey};
pub use group_end::{Grain, GroupEnd};
pub use groups::{Projection, Row, Sum, project};
pub use growth::LeakRule;
pub use history::History;
pub use label_selection::LabelSelection;
pub use leak::{LeakReport, Verdict, leaks};
pub use merge::{NodeInput, merge};
pub use node::{NodeState, NodeStatus};
pub use problems::{Problem, ProblemKind, Problems, Severity};
pub use query::{Query, Sort, SortBy};
pub use selector::Selector;
pub use source::{SourceInfo, SourceKind};
pub use state::{State, StateCounts};
pub use table::NodeTable;
pub use view::View;
