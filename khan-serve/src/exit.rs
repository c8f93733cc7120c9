//! How a program ends: exit code 64 and one sentence when it was configured wrongly, 1 and one sentence when something
//! else went wrong, 0 otherwise.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// `EX_USAGE` of BSD's `sysexits.h`: wrong flags, unreadable or malformed configuration.
pub const CONFIGURATION: u8 = 64;

/// Why a program could not do its work.
pub struct Failure {
    code: u8,
    source: Box<dyn Error + Send + Sync>,
}

impl Failure {
    /// The operator has to change a flag, a variable or a file: exit code 64.
    pub fn configuration(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { code: CONFIGURATION, source: source.into() }
    }

    /// Anything else: exit code 1.
    pub fn other(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { code: 1, source: source.into() }
    }

    /// The process's exit code.
    pub const fn code(&self) -> u8 {
        self.code
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(source: E) -> Self {
        Self::other(source)
    }
}

/// The sentence: the error and its causes, a cause left out when the text before it says the same.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain(self.source.as_ref()))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}: {self}", self.code)
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

/// Writes a line to stderr. With nobody left to read it the line is lost, and nothing else is: `eprintln!` would panic.
pub(crate) fn complain(line: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Ends `main`: prints `name: sentence` to stderr when there was a failure.
pub fn report(name: &str, result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(format_args!("{name}: {failure}"));
            ExitCode::from(failure.code)
        }
    }
}

/// Reads the command line and the environment. `--help` and `--version` are printed and end the process with 0; what is
/// wrong is one sentence and ends it with 64.
pub fn parse<A: Parser>(name: &str) -> A {
    A::try_parse().unwrap_or_else(|error| {
        if error.use_stderr() {
            complain(format_args!("{name}: {}; see {name} --help", sentence(&error)));
            std::process::exit(CONFIGURATION.into());
        }
        // A closed pipe behind --help is not worth a message.
        let _ = error.print();
        std::process::exit(0);
    })
}

/// clap's message without its headline, usage and line breaks.
pub fn sentence(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let mut sentence = first.split_whitespace().collect::<Vec<_>>().join(" ");
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::String(similar)) = error.get(ContextKind::SuggestedArg)
    {
        sentence = format!("{sentence}, did you mean {similar}?").replace("?; ", "; ");
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read cluster.json (--from-file)")]
    struct Outer(#[source] std::io::Error);

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
    fn a_failure_is_one_line_with_its_causes() {
        let failure = Failure::configuration(Outer(std::io::ErrorKind::NotFound.into()));
        assert_eq!(failure.to_string(), "cannot read cluster.json (--from-file): entity not found");
        assert_eq!(failure.code(), 64);
        assert_eq!(Failure::from(std::io::Error::other("boom")).code(), 1);
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
