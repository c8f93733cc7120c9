//! `--record` and `--replay`: every settled view that was seen. What a bug report or a post-mortem needs.
//!
//! ```text
//! services who answers for services, in a view's line
//! format   the lines of the file
//! read     a file -> views, as far as it is whole
//! survey   a file -> what is in it, without its rows
//! write    views -> a file, within bounds, over however many sources
//! ```

mod services;
mod format;
mod read;
mod survey;
mod write;

pub use format::RecordingError;
pub use read::{Tape, load, read, replay};
pub use survey::{Contents, is_recording, survey};
pub use write::{Bounds, Recording, record};

#[cfg(test)]
mod tests;
