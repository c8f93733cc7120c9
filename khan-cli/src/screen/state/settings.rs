//! How things are shown: what the terminal and the command line decide at the start, and what the user changes since.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::screen::columns::{Choice, Column};
use crate::screen::depth::Depth;
use crate::screen::glyphs::Glyphs;
use crate::screen::keys::Keymap;
use crate::screen::layout::Details;
use crate::screen::saved::Saved;
use crate::screen::styles::{Styles, Theme};

/// What the screen starts with.
#[derive(Debug)]
pub struct Setup {
    /// Keys.
    pub keymap: Keymap,
    /// Characters for lines, marks and trends.
    pub glyphs: &'static Glyphs,
    /// Colours that the terminal has.
    pub depth: Depth,
    /// Zone of the wall clock on the screen.
    pub zone: TimeZone,
    /// Where exports go.
    pub directory: PathBuf,
    /// Colours; `None` for those that suit the terminal's background.
    pub theme: Option<Theme>,
    /// Columns to show.
    pub columns: Choice,
    /// Views that the user has saved.
    pub views: Vec<Saved>,
    /// The configuration file, where there can be one.
    pub config: Option<PathBuf>,
    /// Report mouse events.
    pub mouse: bool,
    /// How old data may be.
    pub interval: Duration,
}

/// How things are shown.
#[derive(Debug)]
pub struct Settings {
    setup: Setup,
    theme: Theme,
    styles: Styles,
    details: Details,
}

impl Settings {
    pub(super) fn new(setup: Setup) -> Self {
        let theme = setup.theme.unwrap_or_default();
        let styles = Styles::new(theme, setup.depth);
        Self { setup, theme, styles, details: Details::default() }
    }

    /// The keys in force.
    pub const fn keymap(&self) -> &Keymap {
        &self.setup.keymap
    }

    /// The characters to draw with.
    pub const fn glyphs(&self) -> &'static Glyphs {
        self.setup.glyphs
    }

    /// The zone of the wall clock on the screen.
    pub const fn zone(&self) -> &TimeZone {
        &self.setup.zone
    }

    /// Where exports go.
    pub fn directory(&self) -> &Path {
        &self.setup.directory
    }

    /// The colours of each role.
    pub const fn styles(&self) -> &Styles {
        &self.styles
    }

    /// Where the styles are from.
    pub const fn theme(&self) -> Theme {
        self.theme
    }

    /// Whether the terminal's background is to choose the theme: nobody has chosen one, and the terminal has colours of
    /// its own. With sixteen colours its palette suits its background already.
    pub fn follows_background(&self) -> bool {
        self.setup.theme.is_none() && self.setup.depth >= Depth::Indexed
    }

    /// The columns chosen.
    pub const fn columns(&self) -> &Choice {
        &self.setup.columns
    }

    /// Views that the user has saved.
    pub fn views(&self) -> &[Saved] {
        &self.setup.views
    }

    /// The configuration file, where there can be one.
    pub fn config(&self) -> Option<&Path> {
        self.setup.config.as_deref()
    }

    /// Whether details of the row under the cursor stand below the list.
    pub const fn details(&self) -> Details {
        self.details
    }

    /// Whether mouse events are reported.
    pub const fn mouse(&self) -> bool {
        self.setup.mouse
    }

    /// How old data may be.
    pub const fn interval(&self) -> Duration {
        self.setup.interval
    }

    /// Draws with another theme from now on.
    pub(in crate::screen) fn wear(&mut self, theme: Theme) {
        (self.theme, self.setup.theme) = (theme, Some(theme));
        self.styles = Styles::new(theme, self.setup.depth);
    }

    /// Shows these columns.
    pub(in crate::screen) fn choose_columns(&mut self, columns: Choice) {
        self.setup.columns = columns;
    }

    /// Knows a saved view from now on, in place of the one that was called so.
    pub(in crate::screen) fn save(&mut self, saved: Saved) {
        match self.setup.views.iter_mut().find(|other| other.name == saved.name) {
            Some(other) => *other = saved,
            None => self.setup.views.push(saved),
        }
    }

    /// Shows or hides a column.
    pub(in crate::screen) fn turn_column(&mut self, column: Column) {
        self.setup.columns.turn(column);
    }

    /// Shows every column, or the chosen ones again.
    pub(in crate::screen) fn turn_wide(&mut self) {
        self.setup.columns.wide = !self.setup.columns.wide;
    }

    /// Shows the details below the list, or hides them if they are `shown`.
    pub(in crate::screen) fn turn_details(&mut self, shown: bool) {
        self.details = if shown { Details::Off } else { Details::On };
    }

    /// Switches mouse events on or off.
    pub(in crate::screen) fn turn_mouse(&mut self) {
        self.setup.mouse = !self.setup.mouse;
    }

    /// Takes data that is at most this old.
    pub(in crate::screen) fn set_interval(&mut self, interval: Duration) {
        self.setup.interval = interval;
    }
}
