//! What is printed, and how.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal that has colours, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Also into a pipe.
    Always,
    /// Never.
    Never,
}

/// Colours of the terminal interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ThemeChoice {
    /// The terminal's own 16 colours.
    Ansi,
    /// For a light background.
    Light,
    /// For a dark background.
    Dark,
    /// Colours that colour-blind people tell apart.
    Cvd,
    /// No colours.
    Mono,
}

/// What is printed, and how.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct OutputArgs {
    /// Output format: table, wide, json, ndjson, yaml, csv, tsv, markdown, name, custom-columns=HEADER:PATH,...
    #[arg(short, long, global = true, env = "KHAN_OUTPUT", value_name = "FORMAT")]
    pub output: Option<String>,
    /// Print again whenever the data changes
    #[arg(short, long, global = true, env = "KHAN_WATCH")]
    pub watch: bool,
    /// With --watch, stop after N updates
    #[arg(long, global = true, env = "KHAN_COUNT", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Columns to print, in this order
    #[arg(long, global = true, env = "KHAN_COLUMNS", value_name = "NAMES", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Whether this command line asks for the columns, and not a variable or the file, which are for every command.
    #[arg(skip)]
    pub columns_are_typed: bool,
    /// Do not print the header line
    #[arg(long, global = true, env = "KHAN_NO_HEADERS")]
    pub no_headers: bool,
    /// Do not truncate names on a narrow terminal
    #[arg(long, global = true, env = "KHAN_NO_TRUNCATE")]
    pub no_truncate: bool,
    /// Print the time before each block
    #[arg(long, global = true, env = "KHAN_TIMESTAMPS")]
    pub timestamps: bool,
    /// Print numbers without thousands separators
    #[arg(long, global = true, env = "KHAN_RAW_NUMBERS")]
    pub raw_numbers: bool,
    /// Exit with code 3 if part of the data is missing or stale
    #[arg(long, global = true, env = "KHAN_STRICT")]
    pub strict: bool,
    /// When to use colour
    #[arg(long, global = true, env = "KHAN_COLOR", value_enum, default_value_t, help_heading = "Terminal")]
    pub color: ColorChoice,
    /// Colours of the terminal interface (default: light or dark to suit the terminal's background if that is known, else ansi)
    #[arg(long, global = true, env = "KHAN_THEME", value_enum, help_heading = "Terminal")]
    pub theme: Option<ThemeChoice>,
    /// Draw with ASCII characters only
    #[arg(long, global = true, env = "KHAN_ASCII", help_heading = "Terminal")]
    pub ascii: bool,
    /// Enable the mouse in the terminal interface
    #[arg(long, global = true, env = "KHAN_MOUSE", help_heading = "Terminal")]
    pub mouse: bool,
    /// Print instead of opening the terminal interface
    #[arg(long, global = true, env = "KHAN_NO_TUI", help_heading = "Terminal", conflicts_with = "tui")]
    pub no_tui: bool,
    /// Open the terminal interface even if the terminal looks too limited
    #[arg(long, global = true, env = "KHAN_TUI", help_heading = "Terminal")]
    pub tui: bool,
    /// Path to the configuration file (see khan config path)
    #[arg(long, global = true, env = "KHAN_CONFIG", value_name = "FILE", help_heading = "Other")]
    pub config: Option<PathBuf>,
    /// Log to stderr: -v steps, -vv requests, -vvv libraries; the terminal interface needs --log-file
    #[arg(short, long, global = true, env = "KHAN_VERBOSE", action = ArgAction::Count, help_heading = "Other")]
    pub verbose: u8,
    /// Append the log to this file instead of stderr
    #[arg(long, global = true, env = "KHAN_LOG_FILE", value_name = "FILE", help_heading = "Other")]
    pub log_file: Option<PathBuf>,
    /// Print only data and errors, no notes
    #[arg(short, long, global = true, env = "KHAN_QUIET", help_heading = "Other")]
    pub quiet: bool,
}
