//! What can go wrong on the bench. `Debug` also prints one sentence, because that is what a failed test shows.

use std::fmt;
use std::io;

/// Result of everything here; a test that returns it may use `?`.
pub type Result<T = ()> = std::result::Result<T, LabError>;

/// Why the bench could not do what it was asked to.
#[derive(thiserror::Error)]
pub enum LabError {
    /// A tool or a privilege is missing; the sentence says how to get it.
    #[error("{0}")]
    Missing(String),
    /// A command failed.
    #[error("{command}: {status}: {output}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// What it said on standard error.
        output: String,
    },
    /// A condition did not come true in time.
    #[error("waited {seconds:.1} s in vain for {what}")]
    Deadline {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: f64,
    },
    /// A program ended while it was needed.
    #[error("{program} ended with {status}; its log:\n{log}")]
    Ended {
        /// Its name.
        program: String,
        /// How it ended.
        status: String,
        /// What it had written.
        log: String,
    },
    /// Something was malformed.
    #[error("{0}")]
    Malformed(String),
    /// The operating system refused.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl LabError {
    /// For `map_err`: names what was tried.
    pub fn io<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source: source.into() }
    }
}

impl fmt::Debug for LabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
