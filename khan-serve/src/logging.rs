//! Log lines on stderr: a capitalised sentence with its fields, as text or as one JSON object a line.

use clap::{Args, ValueEnum};
use tracing_subscriber::filter::Targets;
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
    #[arg(long, env = "KHAN_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: Targets,
}

impl Default for LogArguments {
    fn default() -> Self {
        Self { log_format: LogFormat::Text, log_level: Targets::new().with_default(tracing::Level::INFO) }
    }
}

/// Starts logging for the whole process. Fails when it was started before.
pub fn start(arguments: &LogArguments) -> Result<(), TryInitError> {
    let lines = fmt::layer().with_writer(std::io::stderr);
    let layer = match arguments.log_format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(arguments.log_level.clone())).try_init()
}
