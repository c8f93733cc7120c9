//! The texts that can be read over a screen, line by line: help, the error log, something to copy.

mod help;
mod errors;
mod agent;
mod problem;
mod promql;
mod kubectl;
mod commands;

use jiff::tz::TimeZone;

use crate::model::LeakRule;

use super::errors::ErrorLog;
use super::keys::{Context, Keymap};
use super::tab::Tab;
use super::text;

pub(super) use agent::agent;
pub(super) use kubectl::kubectl;
pub(super) use problem::problem;
pub(super) use promql::promql;

/// A text that scrolls.
#[derive(Clone, Debug)]
pub struct Reader {
    /// What it shows.
    pub text: Text,
    /// First line on the screen.
    pub offset: usize,
    /// What is searched for.
    pub search: String,
}

impl Reader {
    /// A text from its beginning.
    pub const fn new(text: Text) -> Self {
        Self { text, offset: 0, search: String::new() }
    }
}

/// What a reader shows.
#[derive(Clone, Debug)]
pub enum Text {
    /// The keys of a context, the filter language, the words of the screen.
    Help(Context),
    /// What can be typed after `:` in a context.
    Commands(Context),
    /// The error log.
    Errors,
    /// Something to copy: a title and lines.
    Lines(String, Vec<String>),
    /// A problem: a title, lines, and the commands that lead on, which are among the lines.
    Problem(String, Vec<String>, Vec<String>),
}

/// What texts are written from.
#[derive(Clone, Copy, Debug)]
pub struct Matter<'a> {
    /// The view below the text.
    pub tab: Tab,
    /// The keys in force.
    pub keymap: &'a Keymap,
    /// What counts as a leak.
    pub rule: &'a LeakRule,
    /// What went wrong.
    pub errors: &'a ErrorLog,
    /// Zone of the wall clock.
    pub zone: &'a TimeZone,
}

impl Text {
    /// The text's title.
    pub fn title(&self, matter: Matter<'_>) -> String {
        match self {
            Self::Help(Context::Table | Context::Problems | Context::Leaks) => {
                format!("Help · {} view", matter.tab.title())
            }
            Self::Help(context) => format!("Help · {}", context.title()),
            Self::Commands(_) => "Commands".to_owned(),
            Self::Errors => format!("Errors · {} last", matter.errors.lasting().count()),
            Self::Lines(title, _) | Self::Problem(title, ..) => title.clone(),
        }
    }

    /// The commands that lead on from it.
    pub fn next(&self) -> &[String] {
        if let Self::Problem(_, _, next) = self { next } else { &[] }
    }

    /// Its lines, wrapped to `width` cells.
    pub fn lines(&self, matter: Matter<'_>, width: usize) -> Vec<Line> {
        match self {
            Self::Help(context) => help::lines(*context, matter, width),
            Self::Commands(context) => commands::lines(*context, matter, width),
            Self::Errors => errors::lines(matter, width),
            Self::Lines(_, lines) | Self::Problem(_, lines, _) => {
                lines.iter().flat_map(|line| text::wrap(line, width)).map(Line::plain).collect()
            }
        }
    }
}

/// How a piece of a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As ordinary text.
    Plain,
    /// A heading.
    Strong,
    /// A key, a name.
    Accent,
    /// What is over, or less important.
    Dim,
    /// What is wrong.
    Bad,
}

/// A line in pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(pub Vec<(String, Tone)>);

impl Line {
    fn plain(text: impl Into<String>) -> Self {
        Self(vec![(text.into(), Tone::Plain)])
    }

    fn strong(text: impl Into<String>) -> Self {
        Self(vec![(text.into(), Tone::Strong)])
    }

    /// The line without its looks.
    pub fn text(&self) -> String {
        self.0.iter().map(|(piece, _)| piece.as_str()).collect()
    }
}

/// `once`, `3 times`.
fn times(n: u32) -> String {
    if n == 1 { "once".into() } else { format!("{n} times") }
}
