//! Log lines on stderr: a capitalised sentence with its fields, as text or as one JSON object a line.

use clap::{Args, ValueEnum};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// The flags of every program that logs. Flatten them into the program's own.
#[derive(Clone, Debug, Args)]
pub struct LogArguments {
    /// Form of the log lines on stderr
    #[arg(long, env = "KHAN_LOG_FORMAT", value_enum, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Least severe level to log: error, warn, info, debug or trace; also per module, as in `info,kube=debug`
    #[arg(long, env = "KHAN_LOG_LEVEL", value_name = "LEVEL", default_value = "info", value_parser = parse_level)]
    pub log_level: Targets,
}

/// A word without `=` would otherwise name a module, so that a misspelt level logs nothing.
fn parse_level(text: &str) -> Result<Targets, String> {
    let expected =
        || "expected error, warn, info, debug, trace or off, or MODULE=LEVEL, with commas between".to_owned();
    if text.split(',').any(|part| part.is_empty() || !part.contains('=') && part.parse::<LevelFilter>().is_err()) {
        return Err(expected());
    }
    text.parse().map_err(|_| expected())
}

impl Default for LogArguments {
    fn default() -> Self {
        Self { log_format: LogFormat::Text, log_level: Targets::new().with_default(tracing::Level::INFO) }
    }
}

/// Starts logging for the whole process. Fails when it was started before.
pub fn start(arguments: &LogArguments) -> Result<(), TryInitError> {
    start_without(arguments, &[])
}

/// As [`start`], but of `modules` only errors are logged unless the operator names them or asks for debug.
pub fn start_without(arguments: &LogArguments, modules: &[&str]) -> Result<(), TryInitError> {
    let mut level = arguments.log_level.clone();
    if level.default_level().is_none_or(|default| default < LevelFilter::DEBUG) {
        for module in modules {
            if !arguments.log_level.iter().any(|(named, _)| named.starts_with(module)) {
                level = level.with_target(*module, LevelFilter::ERROR);
            }
        }
    }
    // A line that cannot be written is lost; to say so on stderr would panic when that is what is closed.
    let lines = fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    let layer = match arguments.log_format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(level)).try_init()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_not_a_module() {
        assert!(parse_level("info").is_ok());
        assert!(parse_level("off,khan_agent=debug").is_ok());
        for text in ["loud", "info,khan_agent", "", "khan_agent=loud"] {
            assert!(parse_level(text).is_err(), "{text}");
        }
    }
}
