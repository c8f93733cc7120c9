//! Runs a command: arguments to a source, its views to a screen or to stdout.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use tokio::time::Instant;

use crate::cli::{Cli, Command, TopArgs};
use crate::command::top;
use crate::connect;
use crate::failure::Failure;
use crate::feed::{Feed, News};
use crate::model::{History, NodeState, Query, SourceKind, View, project};
use crate::output::{self, Format, Layout, Report};

/// Does what the command line says.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    match &cli.command {
        Command::Top(args) => top(&cli, args).await,
    }
}

async fn top(cli: &Cli, args: &TopArgs) -> Result<(), Failure> {
    let mut query = args.query.query(&args.selectors, cli.kube.scope()).map_err(Failure::usage)?;
    let mut printer = Printer::new(cli)?;
    query.limit = args.query.limit.unwrap_or(0);
    let mut feed = connect::start(cli).await?;
    let mut history = History::default();
    history.track(&query);
    let report =
        |view: &View, query: &Query, history: &History| top::report(view, query, &project(view, query, history));
    let mut left = if cli.output.watch { cli.output.count.unwrap_or(u64::MAX) } else { 1 };
    let mut view = settled(&mut feed).await?;
    loop {
        history.push(Arc::clone(&view));
        printer.print(&report(&view, &query, &history))?;
        printer.explain(&view);
        left -= 1;
        if left == 0 {
            return printer.judge(&view);
        }
        view = next(&mut feed, view.id).await?;
    }
}

/// The first view in which every node has answered or failed. Fails when none has answered.
async fn settled(feed: &mut Feed) -> Result<Arc<View>, Failure> {
    let view = feed.views.wait_for(|view| view.settled && !view.nodes.is_empty()).await;
    let view = Arc::clone(&*view.map_err(|_| ended(feed_error(&mut feed.news)))?);
    if view.counted_nodes() > 0 {
        return Ok(view);
    }
    let reasons: Vec<_> =
        view.nodes.iter().filter_map(|node| node.failure.as_ref().map(|failure| failure.reason.as_str())).collect();
    let more = if reasons.len() > 3 { format!("; and {} more", reasons.len() - 3) } else { String::new() };
    Err(Failure::unreachable(format_args!("no agent answered: {}{more}", reasons[..reasons.len().min(3)].join("; "))))
}

async fn next(feed: &mut Feed, shown: u64) -> Result<Arc<View>, Failure> {
    let view = feed.views.wait_for(|view| view.settled && view.id != shown).await;
    Ok(Arc::clone(&*view.map_err(|_| Failure::silent())?))
}

fn feed_error(news: &mut tokio::sync::mpsc::Receiver<News>) -> Option<String> {
    let mut last = None;
    while let Ok(news) = news.try_recv() {
        if let News::Error { message, .. } = news {
            last = Some(message);
        }
    }
    last
}

fn ended(reason: Option<String>) -> Failure {
    Failure::runtime(reason.unwrap_or_else(|| "the source ended before it had an answer".into()))
}

/// Prints reports to stdout, and what is wrong with them to stderr.
struct Printer {
    layout: Layout,
    quiet: bool,
    strict: bool,
    timestamps: bool,
    blocks: u64,
    started: Instant,
}

impl Printer {
    fn new(cli: &Cli) -> Result<Self, Failure> {
        let output = &cli.output;
        let format: Format = output.output.as_deref().unwrap_or_default().parse().map_err(Failure::usage)?;
        let tty = std::io::stdout().is_terminal();
        let width = terminal_width().filter(|_| tty && !output.no_truncate);
        Ok(Self {
            layout: Layout {
                format,
                columns: output.columns.clone(),
                no_headers: output.no_headers,
                separators: tty && !output.raw_numbers,
                width,
            },
            quiet: output.quiet,
            strict: output.strict,
            timestamps: output.timestamps || output.watch,
            blocks: 0,
            started: Instant::now(),
        })
    }

    fn print(&mut self, report: &Report) -> Result<(), Failure> {
        let known = |name: &String| report.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
        if let Some(unknown) = self.layout.columns.iter().find(|name| !known(name)) {
            let names: Vec<_> = report.columns.iter().map(|column| column.name).collect();
            let names = names.join(", ");
            return Err(Failure::usage(format_args!("--columns: there is no column {unknown:?}; columns are {names}")));
        }
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        let tabular = matches!(self.layout.format, Format::Table | Format::Wide);
        if self.timestamps && tabular {
            let blank = if self.blocks > 0 { "\n" } else { "" };
            writeln!(out, "{blank}{}", khan_api::Timestamp::from_seconds(khan_api::Timestamp::now().seconds()))?;
        }
        output::write(report, &self.layout, &mut out)?;
        out.flush()?;
        self.blocks += 1;
        if report.rows.is_empty() && !self.quiet {
            eprintln!("{}", report.empty);
        }
        tracing::debug!(elapsed = ?self.started.elapsed(), "Printed");
        Ok(())
    }

    /// What the reader of a table would miss: nodes that are not in it, data that is old.
    fn explain(&self, view: &View) {
        if self.quiet {
            return;
        }
        for note in &view.notes {
            eprintln!("note: {note}");
        }
        for node in view.nodes.iter().filter(|node| node.state != NodeState::Ok) {
            let reason = node.failure.as_ref().map_or("its snapshot is old", |failure| &failure.reason);
            let effect = if node.counted { "shown with old data" } else { "not counted" };
            eprintln!("note: node {} is {effect}: {reason}", node.node);
        }
        if let Some(rest) = view.rest {
            let (connections, rows) = (rest.connections, rest.rows);
            eprintln!("note: agents left out {connections} connections in {rows} small rows; totals hold them");
        }
    }

    fn judge(&self, view: &View) -> Result<(), Failure> {
        let missing = view.nodes.iter().filter(|node| node.state != NodeState::Ok).count();
        if self.strict && missing > 0 {
            let total = view.nodes.len();
            return Err(Failure::partial(format_args!("{missing} of {total} nodes are missing or old (--strict)")));
        }
        Ok(())
    }
}

fn terminal_width() -> Option<usize> {
    crossterm::terminal::size().ok().map(|(columns, _)| usize::from(columns)).filter(|columns| *columns > 0)
}

/// What `view` is about, for messages.
pub fn describe(view: &View) -> String {
    match view.source.kind {
        SourceKind::Agents => format!("{} agents", view.nodes.len()),
        other => other.as_str().to_owned(),
    }
}
