//! What the screens ask of the model, and its answers.

use std::sync::Arc;

use crate::model::{GroupBy, Query, Row, SortBy, leaks, project};

use super::app::App;
use super::columns::Column;
use super::state::Delta;
use super::tab::Tab;
use super::table::{finer, items};

/// Parts that an expanded row shows at most.
const PARTS: usize = 20;

impl App {
    /// What the present view groups by.
    pub fn group_by(&self) -> GroupBy {
        let list = self.list();
        list.own.unwrap_or_else(|| self.page.groupings()[list.grouping].by)
    }

    /// What the present view's rows are called.
    pub fn rows_are(&self) -> &'static str {
        let list = self.list();
        if list.own.is_some() { "groups" } else { self.page.groupings()[list.grouping].name }
    }

    /// What the present view asks of the model.
    pub fn query(&self) -> Query {
        let list = self.list();
        let restriction = match list.own {
            None => self.page.groupings()[list.grouping].restriction(),
            Some(_) => None,
        };
        Query {
            group_by: self.group_by(),
            filter: match restriction {
                Some(restriction) => self.filter.clone().and(restriction),
                None => self.filter.clone(),
            },
            sort: list.sort,
            limit: if self.page == Tab::Nodes { 0 } else { self.base.limit },
            since_baseline: self.delta == Delta::Baseline,
            fold: self.fold && self.page == Tab::Edges,
            keep: self.pins.clone(),
            rule: self.rule,
            ..self.base.clone()
        }
    }

    /// What the leaks view asks.
    pub fn leak_query(&self) -> Query {
        Query { group_by: GroupBy::EDGES, filter: self.filter.clone(), limit: 0, rule: self.rule, ..self.base.clone() }
    }

    /// Answers the present questions anew. Call after anything that changes an answer.
    pub fn refresh(&mut self, new_view: bool) {
        if new_view || self.page == Tab::Leaks {
            let query = self.leak_query();
            self.history.track(&query);
            self.report = leaks(&self.shown, &query, &self.history, &self.rule);
        }
        if matches!(self.page, Tab::Leaks | Tab::Agents) {
            // The header's totals are those of the whole scope.
            let query = Query { group_by: GroupBy::NONE, ..self.leak_query() };
            self.history.track(&query);
            self.projection = project(&self.shown, &query, &self.history);
            self.children.clear();
        } else {
            let query = self.query();
            self.history.track(&query);
            if let Some(fans) = query.fans() {
                self.history.track(&fans);
            }
            self.projection = project(&self.shown, &query, &self.history);
            self.expand();
        }
        self.items = items(self);
        self.settle();
        let (shown, history) = (Arc::clone(&self.shown), &mut self.history);
        for drill in &mut self.drills {
            drill.query.rule = self.rule;
            drill.refresh(&shown, history);
        }
        self.settle_drill();
        self.dirty = true;
    }

    /// What tells the connections of a row apart, for its expansion.
    pub fn parts_of(&self, row: &Row) -> Query {
        let query = self.query();
        let finer = if row.fan { query.group_by } else { finer(row, &query.group_by) };
        Query { limit: PARTS, ..query.of_row(row).within(row.key, finer) }
    }

    fn expand(&mut self) {
        self.children.clear();
        for row in &self.projection.rows {
            if self.expanded.contains(&row.key) {
                let within = self.parts_of(row);
                self.history.track(&within);
                self.children.push((row.key, project(&self.shown, &within, &self.history)));
            }
        }
    }

    /// What the present list can be ordered by, in the order of its columns.
    pub fn orders(&self) -> impl Iterator<Item = SortBy> + use<> {
        let (by, page) = (self.group_by(), self.page);
        let all = Column::all().filter(move |column| column.applies(&by)).filter_map(Column::sort);
        all.filter(move |order| match page {
            Tab::Nodes => matches!(order, SortBy::Node | SortBy::Connections | SortBy::Delta),
            Tab::Agents | Tab::Leaks => false,
            Tab::Edges | Tab::Sources | Tab::Dests | Tab::External => true,
        })
    }

    /// Whether the present view has columns of its own that cannot be chosen.
    pub fn is_fixed(&self) -> bool {
        matches!(self.page, Tab::Nodes | Tab::Agents | Tab::Leaks)
    }
}
