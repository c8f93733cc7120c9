//! From what the command line asks to the state that the screen begins with.

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::model::{LeakRule, Query};
use crate::report::column::UnknownColumn;

use super::columns::Choice;
use super::depth::{ColorChoice, Depth};
use super::glyphs::Glyphs;
use super::keys::{Keymap, KeymapError};
use super::saved::{Saved, SavedError};
use super::state::App;
use super::state::settings::Setup;
use super::styles::Theme;

/// What the screen begins with.
#[derive(Debug, Default)]
pub struct Options {
    /// Grouping, filter, scope, order, limit and windows.
    pub query: Query,
    /// What counts as a leak.
    pub rule: LeakRule,
    /// Colours; `None` for those that suit the terminal's background.
    pub theme: Option<Theme>,
    /// Whether colours may be used.
    pub color: ColorChoice,
    /// Draw with ASCII only.
    pub ascii: bool,
    /// Report mouse events from the start.
    pub mouse: bool,
    /// How old data may be, as it was asked of the source.
    pub interval: Duration,
    /// Names of the columns to show; empty for the usual ones.
    pub columns: Vec<String>,
    /// Keys of actions by name, in place of the usual ones.
    pub keys: Vec<(String, Vec<String>)>,
    /// Saved views by name: what each sets.
    pub views: Vec<(String, Vec<(String, String)>)>,
    /// The configuration file, for views that are saved.
    pub config: Option<PathBuf>,
}

/// Why the options cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A binding is wrong.
    #[error("keys: {0}")]
    Keys(#[from] KeymapError),
    /// A saved view is wrong.
    #[error("views: {0}")]
    View(#[from] SavedError),
    /// A column does not exist.
    #[error("--columns: {0}")]
    Column(#[from] UnknownColumn),
}

impl Options {
    /// The state of the screen before the first view.
    pub fn app(self) -> Result<App, OptionsError> {
        let variable = |name: &str| std::env::var(name).ok();
        let keys = self.keys.iter().map(|(name, keys)| (name.as_str(), keys.iter().map(String::as_str).collect()));
        let views =
            self.views.iter().map(|(name, entries)| Saved::read(name, entries)).collect::<Result<Vec<_>, _>>()?;
        let view_keys: Vec<_> = views.iter().map(|view| (view.name.as_str(), view.key)).collect();
        let setup = Setup {
            keymap: Keymap::new(keys)?.with_views(&view_keys)?,
            views,
            config: self.config,
            glyphs: Glyphs::detect(self.ascii, variable),
            depth: Depth::detect(self.color, variable),
            zone: TimeZone::system(),
            directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            theme: self.theme,
            columns: if self.columns.is_empty() { Choice::default() } else { Choice::only(&self.columns)? },
            mouse: self.mouse,
            interval: self.interval,
        };
        Ok(App::new(setup, self.query, self.rule))
    }
}
