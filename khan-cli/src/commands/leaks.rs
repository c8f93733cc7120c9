//! `khan leaks`: which rows look like leaks, with the evidence. Needs a window of snapshots: Prometheus and recordings
//! know them, agents and this host are watched for as long.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, interval, sleep_until};

use super::printer::Printer;
use super::session::{self, Start};
use crate::args::{Cli, LeaksArgs};
use crate::connect;
use crate::duration;
use crate::feed::Feed;
use crate::model::growth::Miss;
use crate::model::history::Limits;
use crate::model::{History, LeakReport, LeakRule, Query, Row, SourceKind, Verdict, View, leaks, own};
use crate::output::table::clean;
use crate::report::leaks::{report, snapshots};
use khan_serve::exit::{Failure, INTERRUPTED};
use khan_serve::stderr;

/// Watches for the window, prints, and fails with 5 when asked to and a leak is likely. Ctrl-C ends the watch, and what it
/// has given is judged.
pub(crate) async fn run(cli: &Cli, args: &LeaksArgs) -> Result<ExitCode, Failure> {
    let mut query = args.query.query(&args.selectors, cli.kube.scope()).map_err(Failure::configuration)?;
    query.limit = 0;
    let rule = args.leak.rule(args.query.window);
    let mut printer = Printer::new(cli)?;
    query.window = rule.window;
    query.trend = rule.window;
    query.rule = rule;
    // One listener from the start: a new one each time would miss what comes in between.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::other)?;
    let begun = async {
        query.labels = connect::labelled::pods(&cli.kube, args.query.selector.as_deref()).await?;
        // Which pod holds most of a row is asked of each suspect, so a server must be asked for it from the start.
        let mut feed = connect::start(cli, &query.clone().by_pod()).await?;
        let start = session::settled(&mut feed).await?;
        Ok::<_, Failure>((feed, start))
    };
    let (mut feed, Start { view: first, past }) = tokio::select! {
        begun = begun => begun?,
        _ = interrupt.recv() => return Ok(ExitCode::from(INTERRUPTED)),
    };
    let mut history = History::with_limits(Limits::spaced(cli.source.interval, rule.window));
    history.track(&query);
    history.backfill(past);
    history.push(Arc::clone(&first));
    let (view, interrupted) = watch(&mut feed, first, &mut history, &query, &printer, &mut interrupt).await;
    let found = leaks(&view, &query, &history, &rule);
    let mut report = report(&found, &query, &rule, view.gaps());
    if let Some(limit) = args.query.limit.filter(|limit| *limit > 0) {
        report.rows.truncate(limit);
    }
    printer.print(&report)?;
    if let Some(left_out) = own::left_out(found.own).filter(|_| !found.leaks.is_empty()) {
        printer.note(&format!("note: {left_out}"));
    }
    explain(&found, &rule, &printer);
    printer.explain(&view);
    if interrupted {
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let likely = found.count(Verdict::Likely);
    if args.exit_code && likely > 0 {
        let plural = if likely == 1 { "leak" } else { "leaks" };
        return Err(Failure::problem(format_args!("{likely} likely {plural} (--exit-code)")));
    }
    printer.judge(&view)?;
    Ok(ExitCode::SUCCESS)
}

/// What the verdict rests on, and what nearly was one.
fn explain(found: &LeakReport, rule: &LeakRule, printer: &Printer) {
    for (row, miss) in &found.near {
        printer.note(&format!("near: {}", near(row, *miss)));
    }
    let [growth, evidence] = rule.explain();
    printer.note(&format!("rule: {growth}"));
    printer.note(&format!("rule: {evidence}"));
    if found.samples < rule.samples {
        let (samples, needed) = (snapshots(found.samples), rule.samples);
        printer.note(&format!("note: {samples} cannot be judged, {needed} are needed: give a longer --window"));
    } else if is_short(found.span, rule) {
        let (span, window) = (duration::text(found.span), duration::text(rule.window));
        printer.note(&format!("note: judged over {span} instead of the whole window of {window}"));
    }
}

/// A server's past ends between two of its steps.
fn is_short(span: std::time::Duration, rule: &LeakRule) -> bool {
    span * 10 < rule.window * 9
}

/// Collects samples until the history spans the window, the source has no more, or Ctrl-C, which is said too.
async fn watch(
    feed: &mut Feed,
    first: Arc<View>,
    history: &mut History,
    query: &Query,
    printer: &Printer,
    interrupt: &mut Signal,
) -> (Arc<View>, bool) {
    let rule = &query.rule;
    let known = history.span().map_or_else(Default::default, |(oldest, newest)| newest.since(oldest));
    // A recording has ended, however short it is.
    if !is_short(known, rule) || first.source.kind == SourceKind::Replay {
        return (first, false);
    }
    let missing = rule.window.saturating_sub(known);
    let known = if first.source.kind.profile().knows_past { "" } else { "; with --prometheus-url the past is known" };
    printer
        .note(&format!("watching for {} (Ctrl-C ends it with what is known by then{known})", duration::text(missing)));
    let end = Instant::now() + missing;
    let mut clock = interval(std::time::Duration::from_secs(1));
    let countdown = Countdown::new(printer);
    let mut report = leaks(&first, query, history, rule);
    let mut view = first;
    let interrupted = loop {
        tokio::select! {
            next = session::next(feed, view.id) => {
                let Some(next) = next else { break false };
                history.push(Arc::clone(&next));
                view = next;
                if countdown.shows {
                    report = leaks(&view, query, history, rule);
                }
            }
            _ = clock.tick() => countdown.show(end, &report),
            () = sleep_until(end) => break false,
            _ = interrupt.recv() => break true,
        }
    };
    countdown.clear();
    (view, interrupted)
}

/// One line on a terminal that says how long it takes and how it stands.
struct Countdown {
    shows: bool,
}

impl Countdown {
    fn new(printer: &Printer) -> Self {
        Self { shows: printer.speaks() && std::io::stderr().is_terminal() }
    }

    fn show(&self, end: Instant, report: &LeakReport) {
        if !self.shows {
            return;
        }
        let left =
            duration::text(std::time::Duration::from_secs(end.saturating_duration_since(Instant::now()).as_secs()));
        let (likely, watched) = (report.count(Verdict::Likely), report.count(Verdict::Watch));
        let mut line = format!("{left} left, {}, {likely} likely, {watched} watch", snapshots(report.samples));
        for (row, miss) in &report.near {
            line = format!("{line}; near: {}", near(row, *miss));
        }
        let width = crossterm::terminal::size().map_or(80, |(columns, _)| usize::from(columns));
        let line: String = clean(&line).chars().take(width.saturating_sub(1)).collect();
        stderr::part(format_args!("\r\u{1b}[K{line}"));
    }

    fn clear(&self) {
        if self.shows {
            stderr::part("\r\u{1b}[K");
        }
    }
}

/// A row that grew and is no suspect, with the reason.
fn near(row: &Row, miss: Miss) -> String {
    let (growth, port) = (&row.growth, row.port.map_or_else(String::new, |port| format!(":{port}")));
    let ends = match (row.source(), row.destination()) {
        (source, "") => source.to_owned(),
        (source, destination) => format!("{source} -> {destination}{port}"),
    };
    format!("{ends} +{}, {} of {} steps, {miss}", growth.added(), growth.rising(), growth.steps())
}
