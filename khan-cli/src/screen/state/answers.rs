//! The model's answers to what is asked now, and the items of the list that they make.

use crate::model::leak::{Leak, LeakReport};
use crate::model::{Problem, Problems, Projection, Row, RowKey, Verdict, View};
use crate::screen::items::{self, Item, What};
use crate::screen::tab::Tab;

use super::data::Data;
use super::diagnosis::Diagnosis;
use super::lists::Lists;
use super::names::Names;
use super::question::Question;

/// The answers to what is asked now. [`Answers::items`] is the list that they make.
#[derive(Debug, Default)]
pub struct Answers {
    projection: Projection,
    children: Vec<(RowKey, Projection)>,
    report: LeakReport,
    problems: Problems,
    unknown: Vec<String>,
    items: Vec<Item>,
    names: Names,
    diagnosis: Option<Diagnosis>,
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

    /// What is wrong, worst first.
    pub const fn problems(&self) -> &Problems {
        &self.problems
    }

    /// Kinds of problems that are not known from here, a sentence for each reason.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// The problem of an item.
    pub fn problem(&self, item: &Item) -> Option<&Problem> {
        if let What::Problem(at) = item.what { self.problems.list.get(at) } else { None }
    }

    /// What is wrong, in one sentence.
    pub const fn diagnosis(&self) -> Option<&Diagnosis> {
        self.diagnosis.as_ref()
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
            What::Reason(..) | What::More(_) | What::Other | What::Agent(_) | What::Problem(_) | What::Unknown(_) => {
                None
            }
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

    /// Asks again. What is wrong is judged again on new data, and while it is shown.
    pub(super) fn refresh(&mut self, data: &mut Data, question: &Question, lists: &Lists, new_data: bool) {
        if new_data || lists.tab().numbered() == Tab::Problems {
            self.report = data.judge(&question.leak_query(), question.rule());
            self.problems = data.problems(&question.leak_query(), &self.report, &question.rules());
            self.unknown = self.problems.not_known();
            self.diagnosis = Diagnosis::of(&self.problems);
        }
        self.children.clear();
        if matches!(lists.tab(), Tab::Problems | Tab::Leaks | Tab::Agents) {
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
            Tab::Problems => items::problems(&self.problems.list, self.unknown.len()),
            Tab::Agents => items::agents(nodes),
            Tab::Nodes => items::nodes(nodes, &self.projection, pins),
            Tab::Edges | Tab::Sources | Tab::Dests | Tab::External => {
                items::rows(&self.projection, &self.children, pins)
            }
        };
    }
}
