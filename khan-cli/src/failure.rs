//! How a command ends: an exit code and, unless all is well, one sentence with its causes.

use std::error::Error;
use std::fmt::{self, Write};

use khan_api::text::printable_lines;

/// Something went wrong.
pub const FAILED: u8 = 1;
/// A part of the data is missing or old, and `--strict` was given.
pub const PARTIAL: u8 = 3;
/// Nothing that could be asked answers.
pub const UNREACHABLE: u8 = 4;
/// `khan leaks --exit-code` found a likely leak.
pub const LEAK: u8 = 5;
/// Wrong flags or configuration: `EX_USAGE` of BSD's `sysexits.h`, as the other Khan programs have it.
pub const USAGE: u8 = 64;
/// Ended by Ctrl-C.
pub const INTERRUPTED: u8 = 130;
/// Ended by SIGTERM.
pub const TERMINATED: u8 = 143;

/// Why a command could not do its work.
#[derive(Debug)]
pub struct Failure {
    /// The process's exit code.
    pub code: u8,
    /// One sentence; may be followed by lines that explain it.
    pub message: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    fn new(code: u8, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string(), cause: None }
    }

    /// The user has to change a flag, a variable or a file.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(USAGE, message)
    }

    /// Something went wrong.
    pub fn runtime(message: impl fmt::Display) -> Self {
        Self::new(FAILED, message)
    }

    /// A part of the data is missing or old, and `--strict` was given.
    pub fn partial(message: impl fmt::Display) -> Self {
        Self::new(PARTIAL, message)
    }

    /// Nothing that could be asked answers.
    pub fn unreachable(message: impl fmt::Display) -> Self {
        Self::new(UNREACHABLE, message)
    }

    /// `khan leaks --exit-code` found a likely leak.
    pub fn leak(message: impl fmt::Display) -> Self {
        Self::new(LEAK, message)
    }

    /// The same, because of `error`, which is written behind the message with its own causes.
    #[must_use]
    pub fn caused_by(self, error: impl Error + Send + Sync + 'static) -> Self {
        Self { cause: Some(Box::new(error)), ..self }
    }

    /// The same, as the end of a sentence that begins with `context`.
    #[must_use]
    pub fn within(self, context: &str) -> Self {
        Self { message: format!("{context}{self}"), cause: None, ..self }
    }

    /// The same, without a word, where everything has been said.
    #[must_use]
    pub fn unsaid(self) -> Self {
        Self { message: String::new(), cause: None, ..self }
    }

    /// The same, with what to do about it on a line of its own.
    #[must_use]
    pub fn with_hint(self, hint: &str) -> Self {
        Self { message: format!("{self}\n  {hint}"), cause: None, ..self }
    }

    /// Nobody reads the output any more, which is no failure.
    pub fn silent() -> Self {
        Self::new(0, "")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It may quote a peer, a file or an argument.
        f.write_str(&printable_lines(&self.message))?;
        match &self.cause {
            Some(cause) => write!(f, ": {}", printable_lines(&chain(&**cause))),
            None => Ok(()),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

/// An error with everything that caused it, in one sentence. Causes that an error quotes itself are written once.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            let _ = write!(text, ": {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// A broken pipe ends quietly (`khan top | head`), anything else is a failure to write.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::silent(),
            _ => Self::runtime("cannot write the output").caused_by(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Deep {
        #[error("cannot open the socket")]
        Silent(#[source] std::io::Error),
        #[error("cannot open the file: {0}")]
        Quoting(#[source] std::io::Error),
    }

    #[test]
    fn every_cause_is_written_once() {
        let errno = || std::io::Error::from_raw_os_error(24);
        let reason = "Too many open files (os error 24)";
        let text = |error: Deep| Failure::unreachable("no table").caused_by(error).to_string();
        assert_eq!(text(Deep::Silent(errno())), format!("no table: cannot open the socket: {reason}"));
        assert_eq!(text(Deep::Quoting(errno())), format!("no table: cannot open the file: {reason}"));
        let hinted = Failure::unreachable("no table").caused_by(Deep::Silent(errno())).with_hint("run as root");
        assert_eq!(hinted.to_string(), format!("no table: cannot open the socket: {reason}\n  run as root"));
    }
}
