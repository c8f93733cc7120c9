//! Short lists to choose from: the order, the columns, the form of an export.

use std::borrow::Cow;

use crate::model::{GroupBy, SortBy};

use super::columns::{Choice, Column, orders};
use super::saved::Saved;
use super::tab::Tab;

/// A list to choose from.
#[derive(Clone, Copy, Debug)]
pub struct Menu {
    /// What is chosen from it.
    pub kind: MenuKind,
    /// The entry under the cursor.
    pub at: usize,
}

/// What is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MenuKind {
    /// The order.
    Sort,
    /// The columns.
    Columns,
    /// The form of an export.
    Export,
    /// A saved view.
    Views,
}

/// Forms of an export: extension and meaning.
pub(super) const EXPORTS: [(&str, &str); 3] =
    [("csv", "comma-separated, raw numbers"), ("json", "as `khan top -o json`"), ("md", "a Markdown table")];

/// One entry of a menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: Cow<'static, str>,
    /// What it means.
    pub meaning: Cow<'static, str>,
    /// Whether it is chosen; `None` where entries are only accepted.
    pub chosen: Option<bool>,
}

/// The list whose order and columns are chosen.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its view.
    pub tab: Tab,
    /// What makes its rows.
    pub group_by: GroupBy,
    /// Its present order.
    pub sort: SortBy,
    /// The columns shown now.
    pub columns: &'a Choice,
    /// Views that are saved.
    pub views: &'a [Saved],
}

impl MenuKind {
    /// The menu's heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Sort => "Sort by",
            Self::Columns => "Columns",
            Self::Export => "Export what is shown",
            Self::Views => "Saved views",
        }
    }

    /// The menu's entries.
    pub fn entries(self, subject: Subject<'_>) -> Vec<Entry> {
        let columns = || Column::all().filter(|column| column.applies(&subject.group_by));
        let entry = |column: Column, chosen| Entry {
            name: column.name().into(),
            meaning: column.entry().meaning.into(),
            chosen: Some(chosen),
        };
        match self {
            Self::Sort => columns()
                .filter_map(|column| Some((column, column.sort()?)))
                .filter(|(_, sort)| orders(subject.tab, subject.group_by).any(|order| order == *sort))
                .map(|(column, sort)| entry(column, subject.sort == sort))
                .collect(),
            Self::Columns => columns().map(|column| entry(column, subject.columns.shows(column))).collect(),
            Self::Export => {
                let entry = |(name, meaning): &(&'static str, &'static str)| Entry {
                    name: (*name).into(),
                    meaning: (*meaning).into(),
                    chosen: None,
                };
                EXPORTS.iter().map(entry).collect()
            }
            Self::Views => {
                let entry = |saved: &Saved| Entry {
                    name: saved.name.clone().into(),
                    meaning: match saved.key {
                        Some(key) => format!("{key}  {}", saved.summary).into(),
                        None => saved.summary.clone().into(),
                    },
                    chosen: None,
                };
                subject.views.iter().map(entry).collect()
            }
        }
    }
}
