//! What is asked of the source's data: the scope, the filter, and what counts as a change and as a leak.

use std::time::Duration;

use crate::model::filter::Filter;
use crate::model::label_selection::LabelSelection;
use crate::model::problems::Rules;
use crate::model::{GroupBy, LeakRule, Query, Row};
use crate::screen::items::finer;
use crate::screen::tab::Tab;

use super::lists::Lists;

/// Parts that an expanded row shows at most.
const PARTS: usize = 20;

/// What the column after the connections shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delta {
    /// The change over the window.
    #[default]
    Window,
    /// The change since the baseline.
    Baseline,
    /// The change per minute.
    Rate,
}

/// What is asked, apart from what each list asks for itself.
#[derive(Debug)]
pub struct Question {
    base: Query,
    filter: Filter,
    filter_text: String,
    delta: Delta,
    rule: LeakRule,
    fold: bool,
}

impl Question {
    pub(super) fn new(base: Query, rule: LeakRule) -> Self {
        let filter = base.filter.clone();
        Self { filter_text: filter.to_string(), filter, base, delta: Delta::Window, rule, fold: true }
    }

    /// Scope, limit and windows, the same for every view.
    pub const fn base(&self) -> &Query {
        &self.base
    }

    /// The user's filter.
    pub const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// The filter as it was typed.
    pub fn filter_text(&self) -> &str {
        &self.filter_text
    }

    /// Which change is shown.
    pub const fn delta(&self) -> Delta {
        self.delta
    }

    /// What counts as a leak.
    pub const fn rule(&self) -> &LeakRule {
        &self.rule
    }

    /// From where on something is a problem.
    pub fn rules(&self) -> Rules {
        Rules { leak: self.rule, ..Rules::default() }
    }

    /// Whether a source's many destinations on one port are one row.
    pub const fn folds(&self) -> bool {
        self.fold
    }

    /// What the view shown asks of the model.
    pub fn query(&self, lists: &Lists) -> Query {
        Query {
            group_by: lists.group_by(),
            filter: match lists.restriction() {
                Some(restriction) => self.filter.clone().and(restriction),
                None => self.filter.clone(),
            },
            sort: lists.list().sort,
            limit: if lists.tab() == Tab::Nodes { 0 } else { self.base.limit },
            since_baseline: self.delta == Delta::Baseline,
            fold: self.fold && lists.tab() == Tab::Edges,
            keep: lists.pins().to_vec(),
            rule: self.rule,
            ..self.base.clone()
        }
    }

    /// What the leaks view asks.
    pub fn leak_query(&self) -> Query {
        Query { group_by: GroupBy::EDGES, filter: self.filter.clone(), limit: 0, rule: self.rule, ..self.base.clone() }
    }

    /// What the evidence for problems needs to know: which pods, and which transport.
    pub fn evidence_query(&self) -> Query {
        let mut query = self.leak_query().by_pod();
        query.group_by.protocol = true;
        query
    }

    /// Counts the whole scope, for the header's totals.
    pub(super) fn total_query(&self) -> Query {
        Query { group_by: GroupBy::NONE, ..self.leak_query() }
    }

    /// Lists the parts of a row below it.
    pub(in crate::screen) fn parts_of(&self, lists: &Lists, row: &Row) -> Query {
        let query = self.query(lists);
        let finer = if row.fan { query.group_by } else { finer(row, query.group_by) };
        Query { limit: PARTS, ..query.of_row(row).within(row.key, finer) }
    }

    /// Takes another filter, as it was typed. Says whether it asks for anything else.
    pub(in crate::screen) fn set_filter(&mut self, filter: Filter, text: &str) -> bool {
        text.trim().clone_into(&mut self.filter_text);
        if filter == self.filter {
            return false;
        }
        self.base.inverted &= !filter.is_empty();
        self.filter = filter;
        true
    }

    /// Asks for what the filter hides, or for what it shows again.
    pub(in crate::screen) fn invert(&mut self) {
        self.base.inverted = !self.base.inverted;
    }

    /// Only connections of these namespaces; of all where there are none.
    pub(in crate::screen) fn set_namespaces(&mut self, namespaces: Vec<String>) {
        self.base.namespaces = namespaces;
    }

    /// Another source follows: the pods selected there, and no baseline any more. The rest stays.
    pub(in crate::screen) fn connect(&mut self, labels: Option<LabelSelection>) {
        self.base.labels = labels;
        if self.delta == Delta::Baseline {
            self.delta = Delta::Window;
        }
    }

    /// Lists at most `limit` rows; 0 for all.
    pub(in crate::screen) fn set_limit(&mut self, limit: usize) {
        self.base.limit = limit;
    }

    /// Looks back this far for changes.
    pub(in crate::screen) fn set_window(&mut self, window: Duration) {
        self.base.window = window;
    }

    /// Looks back this far for changes and for trends.
    pub(in crate::screen) fn set_range(&mut self, range: Duration) {
        (self.base.window, self.base.trend) = (range, range);
        if self.delta == Delta::Baseline {
            self.delta = Delta::Window;
        }
    }

    /// Shows another change.
    pub(in crate::screen) fn set_delta(&mut self, delta: Delta) {
        self.delta = delta;
    }

    /// Folds fan-outs, or no longer.
    pub(in crate::screen) fn turn_fold(&mut self) {
        self.fold = !self.fold;
    }

    /// Judges leaks by another rule.
    pub(in crate::screen) fn set_rule(&mut self, rule: LeakRule) {
        self.rule = rule;
    }
}
