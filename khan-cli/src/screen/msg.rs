//! What happens to the program, and what it does outside of itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use khan_api::Timestamp;

use crate::feed::{News, SampleRequest, Samples};
use crate::model::View;
use crate::model::label_selection::LabelSelection;

use super::keys::Key;
use super::saved::Saved;
use super::setting::Setting;
use super::styles::Theme;

/// Something that happened.
#[derive(Debug)]
pub enum Msg {
    /// A source is connected, the first one or another: the contexts that can be chosen instead of its own, and the pods
    /// that are selected there.
    Connected(Vec<String>, Option<LabelSelection>),
    /// The terminal was asked for its background: the theme that suits it, if it answered.
    Background(Option<Theme>),
    /// The next round of what is being played is due.
    Due,
    /// The screen is about to show the state.
    Drawn,
    /// The screen was lost, as by a suspend.
    Lost,
    /// What was kept of the context the last time.
    Kept(Vec<Setting>),
    /// A key.
    Key(Key),
    /// Text pasted.
    Paste(String),
    /// The wheel, by lines; down is positive.
    Wheel(isize),
    /// A click on a cell, counted from 0.
    Click(u16, u16),
    /// The terminal's new size.
    Resize(u16, u16),
    /// A new view.
    View(Arc<View>),
    /// News from the source.
    News(News),
    /// The source's task is gone.
    SourceGone,
    /// An answer to the question with this number.
    Sample(u64, Result<Samples, String>),
    /// The file of this name was written, or was not.
    Written(String, Result<PathBuf, NotWritten>),
    /// A view was written into the configuration file, or was not; why not, in one sentence.
    Saved(Box<Saved>, Result<PathBuf, String>),
    /// A second has passed; the wall clock.
    Tick(Timestamp),
}

/// Why a file was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotWritten {
    /// It is there already.
    Exists,
    /// One sentence.
    Failed(String),
}

/// How the program ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// As the user wished.
    Quit,
    /// As the user wished, leaving the last screen on the terminal.
    Keep,
    /// Ctrl-c.
    Interrupt,
    /// As the user wished, to connect again: on the ordinary screen, where a login can ask. To another context, if one is
    /// named.
    Reconnect(Option<String>),
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// End the program.
    Quit(Exit),
    /// Give the terminal back and stop until continued.
    Suspend,
    /// Paint everything again.
    Repaint,
    /// Report mouse events, or do not.
    Mouse(bool),
    /// Put this on the clipboard.
    Copy(String),
    /// Write a text into the file of this name.
    Write {
        /// As typed: a path from the working directory, or from the home directory after `~/`.
        name: String,
        /// Also if it is there already.
        overwrite: bool,
        /// What to write.
        text: String,
    },
    /// Write a view into the configuration file: its name, and what it sets.
    Save(String, Vec<(String, String)>),
    /// Ask the source for new data now.
    Refresh,
    /// Ask the source for the past of this long.
    Past(Duration),
    /// Tell the source how old data may be.
    Interval(Duration),
    /// Ask for single connections; the answer carries this number. A question before it is cancelled.
    Sample(u64, SampleRequest),
    /// Nobody waits for an answer any more.
    Cancel,
}
