//! The model's answers to what is asked now, and the items of the list that they make.

use crate::model::leak::{Leak, LeakReport};
use crate::model::{Projection, Row, RowKey, Verdict, View};
use crate::screen::items::{self, Item, What};
use crate::screen::tab::Tab;

use super::data::Data;
use super::diagnosis;
use super::lists::Lists;
use super::names::Names;
use super::question::Question;

/// The answers to what is asked now. [`Answers::items`] is the list that they make.
#[derive(Debug, Default)]
pub struct Answers {
    projection: Projection,
    children: Vec<(RowKey, Projection)>,
    report: LeakReport,
    items: Vec<Item>,
    names: Names,
    diagnosis: Option<String>,
}

impl Answers {
    /// The rows of the view, as the model answers.
    pub const fn projection(&self) -> &Projection {
        &self.projection
    }

    /// The parts of expanded rows.
    pub fn children(&self) -> &[(RowKey, Projection)] {
        &self.children
    }

    /// What keeps growing.
    pub const fn report(&self) -> &LeakReport {
        &self.report
    }

    /// The list's items in the order drawn: what navigation, drawing, copying and exporting read.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Cells that the names of the list take.
    pub const fn names(&self) -> Names {
        self.names
    }

    /// What is wrong, in one sentence.
    pub fn diagnosis(&self) -> Option<&str> {
        self.diagnosis.as_deref()
    }

    /// Keys of the items, in order.
    pub fn keys(&self) -> Vec<RowKey> {
        self.items.iter().map(|item| item.key).collect()
    }

    /// The model's row of an item of `view`.
    pub fn row(&self, view: &View, item: &Item) -> Option<&Row> {
        match item.what {
            What::Row(at) => self.projection.rows.get(at),
            What::Child(parent, at) => self.children.get(parent)?.1.rows.get(at),
            What::Leak(at) => self.report.leaks.get(at).map(|leak| &leak.row),
            What::Node(node) => {
                let name = view.nodes.get(node)?.node.as_str();
                self.projection.rows.iter().find(|row| row.node.as_deref() == Some(name))
            }
            What::Reason(..) | What::More(_) | What::Other | What::Agent(_) => None,
        }
    }

    /// The leak of an item.
    pub fn leak(&self, item: &Item) -> Option<&Leak> {
        match item.what {
            What::Leak(at) | What::Reason(at, _) => self.report.leaks.get(at),
            _ => None,
        }
    }

    /// How many rows the rule finds likely, and how many it watches.
    pub fn suspects(&self) -> (usize, usize) {
        (self.report.count(Verdict::Likely), self.report.count(Verdict::Watch))
    }

    /// Asks again. The leaks are judged again on new data, and while they are shown.
    pub(super) fn refresh(&mut self, data: &mut Data, question: &Question, lists: &Lists, new_data: bool) {
        if new_data || lists.tab() == Tab::Leaks {
            self.report = data.judge(&question.leak_query(), question.rule());
            let stuck = data.problems(&question.leak_query(), &self.report, &diagnosis::STUCK);
            let stuck = diagnosis::of_stuck(&stuck);
            self.diagnosis = stuck.or_else(|| diagnosis::of_leaks(&self.report, question.rule()));
        }
        self.children.clear();
        if matches!(lists.tab(), Tab::Leaks | Tab::Agents) {
            self.projection = data.ask(&question.total_query());
        } else {
            let query = question.query(lists);
            if let Some(fans) = query.fans() {
                data.track(&fans);
            }
            self.projection = data.ask(&query);
            for row in self.projection.rows.iter().filter(|row| lists.is_expanded(row.key)) {
                self.children.push((row.key, data.ask(&question.parts_of(lists, row))));
            }
        }
        let (nodes, pins) = (&data.view().nodes, lists.pins());
        let names = match lists.tab() {
            Tab::Nodes | Tab::Agents => Names::of_nodes(nodes),
            Tab::Leaks => Names::of_leaks(&self.report.leaks),
            _ => Names::of(&self.projection, &self.children),
        };
        self.names = if new_data { names.max(self.names) } else { names };
        self.items = match lists.tab() {
            Tab::Leaks => items::leaks(&self.report.leaks, pins),
            Tab::Agents => items::agents(nodes),
            Tab::Nodes => items::nodes(nodes, &self.projection, pins),
            Tab::Edges | Tab::Sources | Tab::Dests | Tab::External => {
                items::rows(&self.projection, &self.children, pins)
            }
        };
    }
}
