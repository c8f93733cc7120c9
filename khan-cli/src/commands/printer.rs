//! Reports to stdout, and what is wrong with them to stderr.

use std::io::{IsTerminal, Write};

use khan_api::Timestamp;

use crate::args::Cli;
use crate::duration;
use crate::model::{SourceKind, View};
use crate::output::{self, Format, Layout};
use crate::report::column::UnknownColumn;
use crate::report::{self, Report};
use khan_serve::exit::Failure;
use khan_serve::stderr;

/// Prints as the output flags say.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Printer {
    layout: Layout,
    columns_are_typed: bool,
    quiet: bool,
    strict: bool,
    timestamps: bool,
    blocks: u64,
    /// What the command knows to be missing, in addition to what its views say.
    missing: Vec<String>,
}

impl Printer {
    /// Fails when a flag is wrong.
    pub(crate) fn new(cli: &Cli) -> Result<Self, Failure> {
        let output = &cli.output;
        let format: Format = output.output.as_deref().unwrap_or_default().parse().map_err(Failure::configuration)?;
        let tty = std::io::stdout().is_terminal();
        let width = crossterm::terminal::size().ok().map(|(columns, _)| usize::from(columns)).filter(|n| *n > 0);
        Ok(Self {
            columns_are_typed: output.columns_are_typed,
            layout: Layout {
                format,
                columns: output.columns.clone(),
                no_headers: output.no_headers,
                separators: tty && !output.raw_numbers,
                width: width.filter(|_| tty && !output.no_truncate),
            },
            quiet: output.quiet,
            strict: output.strict,
            timestamps: output.timestamps || output.watch,
            blocks: 0,
            missing: Vec::new(),
        })
    }

    /// The format.
    pub(crate) fn format(&self) -> &Format {
        &self.layout.format
    }

    /// Prints a report; when it is empty, says so on stderr.
    pub(crate) fn print(&mut self, report: &Report) -> Result<(), Failure> {
        self.print_at(report, Timestamp::now())
    }

    /// The same for one that shows how things were at `moment`, which `--timestamps` writes before it.
    pub(crate) fn print_at(&mut self, report: &Report, moment: Timestamp) -> Result<(), Failure> {
        let known = |name: &String| report.columns.iter().any(|column| column.is_called(name));
        if !self.columns_are_typed {
            // What variables and the file say is for every command, and each takes of it what it has.
            let nowhere = |name: &&String| !known(name) && !report::heads().any(|head| head.is_called(name));
            if let Some(name) = self.layout.columns.iter().find(nowhere) {
                let error = UnknownColumn::new(name, report::heads().map(|head| head.name));
                return Err(Failure::usage(format_args!(
                    "--columns (by its variable or the configuration file): {error}"
                )));
            }
            self.layout.columns.retain(known);
        }
        if let Format::Custom(columns) = &self.layout.format
            && let Some(path) = output::custom::unknown(report, columns)
        {
            let names = output::custom::names(report).join(", ");
            return Err(Failure::usage(format_args!(
                "--output: custom-columns: no row has a field .{path}; fields are {names}"
            )));
        }
        if let Some(unknown) = self.layout.columns.iter().find(|name| !known(name)) {
            let error = UnknownColumn::new(unknown, report.columns.iter().map(|column| column.name));
            return Err(Failure::usage(format_args!("--columns: {error}")));
        }
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        if self.timestamps && matches!(self.layout.format, Format::Table | Format::Wide) {
            let blank = if self.blocks > 0 { "\n" } else { "" };
            writeln!(out, "{blank}{}", Timestamp::from_seconds(moment.seconds()))?;
        }
        output::write(report, &self.layout, &mut out)?;
        out.flush()?;
        self.blocks += 1;
        if report.rows.is_empty() {
            report.empty.lines().for_each(|line| self.note(line));
        }
        Ok(())
    }

    /// Whether to print anything besides the output.
    pub(crate) fn speaks(&self) -> bool {
        !self.quiet
    }

    /// Prints one sentence to stderr.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet && !text.is_empty() {
            stderr::line(output::table::clean(text));
        }
    }

    /// Notes something that the answer lacks and its views do not say, in one sentence.
    pub(crate) fn lacks(&mut self, missing: impl Into<String>) {
        self.missing.push(missing.into());
    }

    /// Everything that is missing from the answer, one sentence each.
    pub(crate) fn gaps(&self, view: &View) -> Vec<String> {
        view.gaps().into_iter().chain(self.missing.iter().cloned()).collect()
    }

    /// Notes what a table does not show: missing nodes, stale data.
    pub(crate) fn explain(&self, view: &View) {
        for note in view.notes.iter().chain(&self.gaps(view)) {
            self.note(&format!("note: {note}"));
        }
        if let (SourceKind::Prometheus, Some(newest)) = (view.source.kind, view.newest) {
            let (server, age) = (&view.source.detail, duration::text(view.assembled.since(newest)));
            self.note(&format!("note: the newest snapshot that {server} knows is {age} old"));
        }
        if let Some(rest) = view.rest {
            let (connections, rows) = (rest.connections, rest.rows);
            self.note(&format!(
                "note: agents left out {connections} connections in {rows} small rows; totals hold them"
            ));
        }
    }

    /// `--strict`: the one place that turns what is missing into an exit code.
    pub(crate) fn judge(&self, view: &View) -> Result<(), Failure> {
        match &self.gaps(view)[..] {
            _ if !self.strict => Ok(()),
            [] => Ok(()),
            [one] => Err(Failure::partial(format_args!("the answer is partial (--strict): {one}"))),
            [first, rest @ ..] => Err(Failure::partial(format_args!(
                "the answer is partial (--strict): {first}; and {} more, noted above",
                rest.len()
            ))),
        }
    }
}
