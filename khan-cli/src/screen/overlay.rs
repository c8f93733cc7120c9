//! What lies over a screen: texts to read and short lists to choose from.

use super::app::App;
use super::columns::Column;
use super::keys::Context;

/// See the module.
#[derive(Clone, Debug)]
pub enum Overlay {
    /// A text that scrolls.
    Reader(Reader),
    /// A list to choose from.
    Menu(Menu),
}

/// A text.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Which.
    pub text: Text,
    /// First line on the screen.
    pub offset: usize,
    /// What is searched for.
    pub search: String,
}

/// Which text.
#[derive(Clone, Debug)]
pub enum Text {
    /// The keys of a context, the filter language, the words of the screen.
    Help(Context),
    /// The error log.
    Errors,
    /// Something to copy: a title and lines.
    Lines(String, Vec<String>),
}

/// A list to choose from.
#[derive(Clone, Copy, Debug)]
pub struct Menu {
    /// Of what.
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
}

/// Forms of an export: extension and meaning.
pub const EXPORTS: [(&str, &str); 3] =
    [("csv", "comma-separated, raw numbers"), ("json", "as `khan top -o json`"), ("md", "a Markdown table")];

/// One entry of a menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Whether it is chosen; `None` where entries are only accepted.
    pub chosen: Option<bool>,
}

impl Menu {
    /// Its heading.
    pub const fn title(self) -> &'static str {
        match self.kind {
            MenuKind::Sort => "Sort by",
            MenuKind::Columns => "Columns",
            MenuKind::Export => "Export what is shown",
        }
    }

    /// Its entries.
    pub fn entries(self, app: &App) -> Vec<Entry> {
        let by = app.group_by();
        let columns = || Column::all().filter(|column| column.applies(&by));
        let entry = |column: Column, chosen| Entry {
            name: column.name(),
            meaning: column.entry().meaning,
            chosen: Some(chosen),
        };
        match self.kind {
            MenuKind::Sort => columns()
                .filter_map(|column| Some((column, column.sort()?)))
                .filter(|(_, sort)| app.orders().any(|order| order == *sort))
                .map(|(column, sort)| entry(column, app.list().sort.by == sort))
                .collect(),
            MenuKind::Columns => columns().map(|column| entry(column, app.columns.shows(column))).collect(),
            MenuKind::Export => EXPORTS.iter().map(|(name, meaning)| Entry { name, meaning, chosen: None }).collect(),
        }
    }
}

impl Reader {
    /// A text from its beginning.
    pub const fn new(text: Text) -> Self {
        Self { text, offset: 0, search: String::new() }
    }
}
