//! How a program ends: an exit code and, unless all is well, one sentence with its causes.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::{ExitCode, Termination};

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use khan_api::text::printable_lines;

use crate::stderr;

/// Something went wrong.
pub const FAILED: u8 = 1;
/// A part of the data is missing or old, and `--strict` was given.
pub const PARTIAL: u8 = 3;
/// Nothing that could be asked answers.
pub const UNREACHABLE: u8 = 4;
/// `--exit-code` was given, and there is a problem.
pub const PROBLEM: u8 = 5;
/// `EX_USAGE` of BSD's `sysexits.h`: wrong flags, unreadable or malformed configuration.
pub const USAGE: u8 = 64;
/// Ended by Ctrl-C.
pub const INTERRUPTED: u8 = 130;
/// Ended by SIGTERM.
pub const TERMINATED: u8 = 143;

/// Why a program could not do its work: an exit code and a sentence, usually with its causes.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    // Empty when the cause says it all.
    message: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    fn new(code: u8, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string(), cause: None }
    }

    fn because(code: u8, cause: Box<dyn Error + Send + Sync>) -> Self {
        Self { code, message: String::new(), cause: Some(cause) }
    }

    /// The operator has to change a flag, a variable or a file: exit code 64.
    pub fn configuration(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::because(USAGE, cause.into())
    }

    /// Anything else that has a cause: exit code 1.
    pub fn other(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::because(FAILED, cause.into())
    }

    /// As [`Failure::configuration`], in words alone.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(USAGE, message)
    }

    /// As [`Failure::other`], in words alone.
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

    /// `--exit-code` was given, and there is a problem.
    pub fn problem(message: impl fmt::Display) -> Self {
        Self::new(PROBLEM, message)
    }

    /// The process's exit code.
    pub const fn code(&self) -> u8 {
        self.code
    }

    /// The same because of `error`, which follows the message with its own causes.
    #[must_use]
    pub fn caused_by(self, error: impl Error + Send + Sync + 'static) -> Self {
        Self { cause: Some(Box::new(error)), ..self }
    }

    /// The same as the end of a sentence that begins with `context`.
    #[must_use]
    pub fn within(self, context: &str) -> Self {
        Self { message: format!("{context}{self}"), cause: None, ..self }
    }

    /// The same without a word, because everything has been said.
    #[must_use]
    pub fn unsaid(self) -> Self {
        Self { message: String::new(), cause: None, ..self }
    }

    /// The same, followed by a line that says what to do about it.
    #[must_use]
    pub fn with_hint(self, hint: &str) -> Self {
        Self { message: format!("{self}\n  {hint}"), cause: None, ..self }
    }
}

/// What `?` passes on is a failure to write the output, unless a broken pipe ends it quietly (`khan top | head`). Any other
/// I/O is named where it fails.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(0, ""),
            _ => Self::runtime("cannot write the output").caused_by(error),
        }
    }
}

/// The sentence: the message and its causes; a cause that the text before it quotes is left out.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let causes = self.cause.as_deref().map(|cause| chain(cause)).unwrap_or_default();
        let colon = if self.message.is_empty() || causes.is_empty() { "" } else { ": " };
        // It may quote a peer, a file or an argument.
        write!(f, "{}{colon}{}", printable_lines(&self.message), printable_lines(&causes))
    }
}

/// An error and its causes as one line, `error: cause: cause`. A cause that is already quoted is not repeated.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Ends `main`: prints `name: sentence` to stderr when there was a failure.
pub fn report<T: Termination>(name: &str, result: Result<T, Failure>) -> ExitCode {
    match result {
        Ok(done) => done.report(),
        Err(failure) => {
            let sentence = failure.to_string();
            if !sentence.is_empty() {
                stderr::line(format_args!("{name}: {sentence}"));
            }
            ExitCode::from(failure.code)
        }
    }
}

/// Reads the command line and the environment. `--help` and `--version` are printed and end the process with 0; what is
/// wrong is one sentence and ends it with 64.
pub fn parse<A: Parser>(name: &str) -> A {
    A::try_parse().unwrap_or_else(|error| std::process::exit(refuse(name, &error).into()))
}

/// Prints help and version where they were asked for, else one sentence that says what is wrong. Returns the exit code.
pub fn refuse(name: &str, error: &clap::Error) -> u8 {
    use ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    if !matches!(error.kind(), DisplayHelp | DisplayHelpOnMissingArgumentOrSubcommand | DisplayVersion) {
        stderr::line(format_args!("{name}: {}; see {name} --help", sentence(error)));
        return USAGE;
    }
    // A closed pipe behind --help is not worth a message.
    let _ = error.print();
    if error.use_stderr() { USAGE } else { 0 }
}

/// clap's message without its headline, usage and line breaks.
fn sentence(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let mut sentence = first.split_whitespace().collect::<Vec<_>>().join(" ");
    let similar = match error.kind() {
        ErrorKind::UnknownArgument => error.get(ContextKind::SuggestedArg),
        ErrorKind::InvalidSubcommand => error.get(ContextKind::SuggestedSubcommand),
        _ => None,
    };
    let similar = similar.and_then(|similar| match similar {
        ContextValue::String(similar) => Some(similar),
        ContextValue::Strings(similar) => similar.first(),
        _ => None,
    });
    if let Some(similar) = similar {
        sentence = format!("{sentence}, did you mean {similar}?").replace("?; ", "; ");
    }
    sentence
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

    #[derive(Debug, Parser)]
    struct Arguments {
        #[arg(long, value_parser = khan_api::duration::parse)]
        interval: std::time::Duration,
    }

    fn refused(arguments: &[&str]) -> String {
        let all = std::iter::once("khan-agent").chain(arguments.iter().copied());
        sentence(&Arguments::try_parse_from(all).unwrap_err())
    }

    #[test]
    fn every_cause_is_written_once() {
        let errno = || std::io::Error::from_raw_os_error(24);
        let reason = "Too many open files (os error 24)";
        for (error, sentence) in [
            (Deep::Silent(errno()), format!("cannot open the socket: {reason}")),
            (Deep::Quoting(errno()), format!("cannot open the file: {reason}")),
        ] {
            let failure = Failure::unreachable("no table").caused_by(error);
            assert_eq!((failure.to_string(), failure.code()), (format!("no table: {sentence}"), 4));
        }
        let failure = Failure::configuration(Deep::Silent(errno()));
        assert_eq!((failure.to_string(), failure.code()), (format!("cannot open the socket: {reason}"), 64));
        assert_eq!(Failure::other(errno()).within("cannot start: ").to_string(), format!("cannot start: {reason}"));
        let hinted = Failure::unreachable("no table").caused_by(errno()).with_hint("run as root");
        assert_eq!(hinted.to_string(), format!("no table: {reason}\n  run as root"));
        assert_eq!(hinted.unsaid().to_string(), "");
    }

    #[test]
    fn a_wrong_command_line_is_one_sentence() {
        assert_eq!(
            refused(&["--interval", "soon"]),
            "invalid value 'soon' for '--interval <INTERVAL>': expected a duration such as 500ms, 30s, 10m or 1h30m (units: ms, s, m, h, d)"
        );
        assert_eq!(refused(&["--intervl", "3s"]), "unexpected argument '--intervl' found, did you mean --interval?");
        assert_eq!(refused(&[]), "the following required arguments were not provided: --interval <INTERVAL>");
    }
}
