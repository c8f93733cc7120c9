//! Parts of the program's state.

use std::sync::Arc;
use std::time::Instant;

use jiff::tz::TimeZone;
use khan_api::Timestamp;

use crate::model::{GroupBy, History, Sort, View};

use super::cursor::Cursor;
use super::depth::Depth;
use super::glyphs::Glyphs;
use super::keymap::Keymap;
use super::table_usage::TableUsage;

/// What stays as it is while the program runs.
#[derive(Debug)]
pub struct Setup {
    /// Keys.
    pub keymap: Keymap,
    /// Characters.
    pub glyphs: &'static Glyphs,
    /// Colours that the terminal has.
    pub depth: Depth,
    /// Zone of the wall clock on the screen.
    pub zone: TimeZone,
    /// Where exports go.
    pub directory: std::path::PathBuf,
}

/// The present, while the screen shows an earlier moment.
///
/// The history goes on with numbers, so that a long pause takes no more memory than watching does, plus the rows of the
/// moment shown.
#[derive(Debug)]
pub struct Pause {
    /// When the pause began.
    pub since: Timestamp,
    /// The latest view; `None` before one has come.
    pub view: Option<Arc<View>>,
    /// The past up to the present.
    pub history: History,
    /// How full the nodes' tables were, up to the present.
    pub fill: TableUsage,
}

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

/// How one view stands.
#[derive(Clone, Debug)]
pub struct ListState {
    /// Index into the view's groupings.
    pub grouping: usize,
    /// A grouping of the user's own instead.
    pub own: Option<GroupBy>,
    /// Order.
    pub sort: Sort,
    /// Cursor and scroll position.
    pub cursor: Cursor,
    /// Columns scrolled away on the left.
    pub shift: usize,
}

/// A line at the bottom that goes away by itself.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What it says.
    pub text: String,
    /// When it goes.
    pub until: Instant,
}
