//! How a command ends: an exit code and, unless all is well, one sentence.

use std::fmt;

use khan_api::text::printable_lines;

/// Wrong flags or configuration: `EX_USAGE` of BSD's `sysexits.h`, as the other Khan programs have it.
pub const USAGE: u8 = 64;

/// Why a command could not do its work.
#[derive(Debug)]
pub struct Failure {
    /// The process's exit code.
    pub code: u8,
    /// One sentence; may be followed by lines that explain it.
    pub message: String,
}

impl Failure {
    /// The user has to change a flag, a variable or a file: 64.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { code: USAGE, message: message.to_string() }
    }

    /// Something went wrong: 1.
    pub fn runtime(message: impl fmt::Display) -> Self {
        Self { code: 1, message: message.to_string() }
    }

    /// A part of the data is missing or old, and `--strict` was given: 3.
    pub fn partial(message: impl fmt::Display) -> Self {
        Self { code: 3, message: message.to_string() }
    }

    /// No agent and no Prometheus is reachable: 4.
    pub fn unreachable(message: impl fmt::Display) -> Self {
        Self { code: 4, message: message.to_string() }
    }

    /// `khan leaks --exit-code` found a likely leak: 5.
    pub fn leak(message: impl fmt::Display) -> Self {
        Self { code: 5, message: message.to_string() }
    }

    /// The same, with what to do about it on a line of its own.
    #[must_use]
    pub fn with_hint(self, hint: &str) -> Self {
        Self { message: format!("{}\n  {hint}", self.message), ..self }
    }

    /// Nobody reads the output any more, which is no failure.
    pub fn silent() -> Self {
        Self { code: 0, message: String::new() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It may quote a peer, a file or an argument.
        f.write_str(&printable_lines(&self.message))
    }
}

/// A broken pipe ends quietly (`khan top | head`), anything else is a failure to write.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::silent(),
            _ => Self::runtime(format_args!("cannot write the output: {error}")),
        }
    }
}
