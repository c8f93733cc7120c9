//! `khan diff`: what is new, gone, grown and shrunk between two recordings, or between the past and now.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use khan_api::Timestamp;

use super::printer::Printer;
use super::session;
use crate::args::Cli;
use crate::args::diff_args::DiffArgs;
use crate::connect::{self, prometheus};
use crate::duration;
use crate::model::diff::{Diff, diff};
use crate::model::{Query, SourceInfo, SourceKind, View, own};
use crate::report::diff::{Sides, describe, report, summary};
use crate::sources::nodes::NodeChoice;
use crate::sources::recording::{self, Tape};
use khan_serve::exit::Failure;

/// The views to compare, and what is missing from them, one sentence each.
struct Pair {
    before: Arc<View>,
    after: Arc<View>,
    lost: Vec<String>,
}

/// Prints what differs, and fails with 5 when asked to and something does.
pub(crate) async fn run(cli: &Cli, args: &DiffArgs) -> Result<ExitCode, Failure> {
    let mut printer = Printer::new(cli)?;
    let mut query = args.query.query(&[], cli.kube.scope()).map_err(Failure::configuration)?;
    query.labels = connect::labelled::pods(&cli.kube, args.query.selector.as_deref()).await?;
    // Neither a change over a window nor a trend is asked of the source.
    (query.window, query.trend) = (Duration::ZERO, Duration::ZERO);
    let pair = pair(cli, args, &query).await?;
    let unsure = unsure(&pair);
    let mut found = diff(&pair.before, &pair.after, &query, &unsure);
    let missing = missing(&pair, &found, &unsure);
    found.rows.retain(|one| args.shows(one.kind) && one.delta().unsigned_abs() >= args.min_change);
    let differing = found.rows.len();
    let mut report = report(&found, Sides { before: &pair.before, after: &pair.after }, &query, &missing);
    if let Some(limit) = args.query.limit.filter(|limit| *limit > 0) {
        report.rows.truncate(limit);
    }
    printer.print(&report)?;
    printer.note(&format!("note: {}", summary(&found)));
    if let Some(left_out) = own::left_out(found.own[0].max(found.own[1])) {
        printer.note(&format!("note: {left_out}"));
    }
    printer.note(&format!("note: from {} to {}", describe(&pair.before), describe(&pair.after)));
    for sentence in missing {
        printer.note(&format!("note: {sentence}"));
        printer.lacks(sentence);
    }
    if args.exit_code && differing > 0 {
        let plural = if differing == 1 { "difference" } else { "differences" };
        return Err(Failure::problem(format_args!("{differing} {plural} (--exit-code)")));
    }
    printer.judge(&View::default())?;
    Ok(ExitCode::SUCCESS)
}

async fn pair(cli: &Cli, args: &DiffArgs, query: &Query) -> Result<Pair, Failure> {
    match (&args.files[..], args.against) {
        ([before, after], None) => {
            let (before, mut lost) = last(cli, before)?;
            let (after, more) = last(cli, after)?;
            lost.extend(more);
            Ok(Pair { before, after, lost })
        }
        ([before], None) => {
            let (before, lost) = last(cli, before)?;
            Ok(Pair { before, after: now(cli, query).await?, lost })
        }
        ([], Some(ago)) => match &cli.source.replay {
            Some(file) => within(cli, file, ago),
            None => through_prometheus(cli, query, ago).await,
        },
        ([], None) => Err(Failure::usage(
            "nothing to compare: give two recordings (khan diff A B), one to compare with now (khan diff A), or how far to \
             look back (khan diff --against 1d --prometheus-url URL)",
        )),
        (_, Some(_)) => Err(Failure::usage("--against looks back from now: give it without recordings")),
        _ => Err(Failure::usage("two recordings can be compared, not more")),
    }
}

/// What the source holds now.
async fn now(cli: &Cli, query: &Query) -> Result<Arc<View>, Failure> {
    let mut feed = connect::start(cli, query).await?;
    Ok(session::settled(&mut feed).await?.view)
}

/// The last view of a recording.
fn last(cli: &Cli, file: &Path) -> Result<(Arc<View>, Vec<String>), Failure> {
    let Tape { mut views, lost } = load(cli, file)?;
    let last = views.pop().ok_or_else(|| empty(file))?;
    Ok((last, lost))
}

/// The last view of a recording, and the one that was there `ago` before it.
fn within(cli: &Cli, file: &Path, ago: Duration) -> Result<Pair, Failure> {
    let Tape { views, lost } = load(cli, file)?;
    let after = views.last().cloned().ok_or_else(|| empty(file))?;
    let before = views.iter().rev().find(|view| after.assembled.since(view.assembled) >= ago).cloned();
    let before = before.ok_or_else(|| {
        let span = views.first().map_or(Duration::ZERO, |first| after.assembled.since(first.assembled));
        Failure::usage(format_args!(
            "--against {}: {} holds {} only",
            duration::text(ago),
            file.display(),
            duration::text(span)
        ))
    })?;
    Ok(Pair { before, after, lost })
}

fn load(cli: &Cli, file: &Path) -> Result<Tape, Failure> {
    recording::load(file, &NodeChoice::new(&cli.source.node)).map_err(Failure::configuration)
}

fn empty(file: &Path) -> Failure {
    Failure::usage(format_args!("{} holds no view", file.display()))
}

/// What a server holds now, and what it held then.
async fn through_prometheus(cli: &Cli, query: &Query, ago: Duration) -> Result<Pair, Failure> {
    let (cli, url) = connect::looking_back(cli, "--against")?;
    let millis = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
    let then = Timestamp::from_millis(Timestamp::now().millis().saturating_sub(millis));
    let after = now(&cli, query).await?;
    let before = prometheus::moment(&cli, &url, query, then).await?;
    Ok(Pair { before: Arc::new(before), after, lost: Vec::new() })
}

/// Nodes that one side does not list although they may be there.
fn unsure(pair: &Pair) -> BTreeSet<String> {
    let only = |one: &View, other: &View| -> Vec<String> {
        let known: BTreeSet<_> = other.nodes.iter().map(|node| &node.node).collect();
        let counted = one.nodes.iter().filter(|node| node.counted).map(|node| &node.node);
        counted.filter(|name| !known.contains(name)).cloned().collect()
    };
    let mut unsure = BTreeSet::new();
    if !knows_nodes(&pair.after.source) {
        unsure.extend(only(&pair.before, &pair.after));
    }
    // A moment of a server's past tells which nodes it missed.
    if !(knows_nodes(&pair.before.source) || pair.before.source.kind.profile().knows_past) {
        unsure.extend(only(&pair.after, &pair.before));
    }
    unsure
}

/// Whether a node that a source does not list is not there: the API server told it of all agents. A server with series does
/// not know whether a node is gone or only not scraped, and nobody knows of agents that were not named.
fn knows_nodes(source: &SourceInfo) -> bool {
    source.origin() == SourceKind::Agents && !source.context.is_empty()
}

/// What the comparison lacks, one sentence each.
fn missing(pair: &Pair, found: &Diff, unsure: &BTreeSet<String>) -> Vec<String> {
    let mut missing = pair.lost.clone();
    for (view, when) in [(&pair.before, "before"), (&pair.after, "after")] {
        missing.extend(view.gaps().into_iter().map(|gap| format!("{when}: {gap}")));
        if let Some(rest) = view.rest {
            missing
                .push(format!("{when}: agents left out {} connections in {} small rows", rest.connections, rest.rows));
        }
    }
    missing.extend(found.missing.iter().cloned());
    missing.extend(unsure.iter().map(|name| format!("node {name} is not compared: only one side knows it")));
    missing
}
