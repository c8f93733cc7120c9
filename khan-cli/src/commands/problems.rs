//! `khan problems`: what is wrong, worst first, with the evidence and what to do next.

use std::process::ExitCode;
use std::sync::Arc;

use super::printer::Printer;
use super::session::{self, Watch};
use crate::args::Cli;
use crate::args::problem_args::ProblemsArgs;
use crate::connect;
use crate::model::history::Limits;
use crate::model::problems::{Memory, ProblemKind, Rules, Scene};
use crate::model::{Grain, History, Problems, Query, SourceKind, View, leaks};
use crate::report::problems::report;
use khan_serve::exit::Failure;

/// Prints once or again and again, and fails with 5 when asked to and there are problems.
pub(crate) async fn run(cli: &Cli, args: &ProblemsArgs) -> Result<ExitCode, Failure> {
    let mut query = args.query.query(&args.selectors, cli.kube.scope()).map_err(Failure::configuration)?;
    let rules = args.rules();
    query.limit = 0;
    (query.window, query.trend, query.rule) = (rules.leak.window, rules.leak.window, rules.leak);
    let mut printer = Printer::new(cli)?;
    query.labels = connect::labelled::pods(&cli.kube, args.query.selector.as_deref()).await?;
    // Which pods hold most of a pair is part of the evidence, so a server must be asked for it from the start.
    let mut asked = query.clone().by_pod();
    asked.group_by.protocol = true;
    if rules.gateway.is_some() {
        // A gateway has its ports for each address.
        asked.group_by.dst = Some(Grain::Name);
    }
    let mut feed = connect::with_endpoints(cli, &asked, &query).await?;
    let mut watch = Watch::new(cli.output.watch, cli.output.count, cli.source.interval);
    let (mut view, past) = watch.first(session::settled(&mut feed).await?);
    let mut past_and_present = Finder::new(cli, query, rules);
    past_and_present.begin(past);
    if view.source.kind == SourceKind::Local && !cli.output.watch {
        // What ends, stalls and goes unanswered shows when two scans are compared.
        past_and_present.take(&view);
        view = session::next(&mut feed, view.id).await.unwrap_or(view);
    }
    let problems = loop {
        past_and_present.take(&view);
        let mut found = past_and_present.find(&view);
        found.keep(&args.kinds);
        let moment = session::moment(&view);
        let mut report = report(&found, &past_and_present.query, &past_and_present.rules, view.gaps(), moment);
        if let Some(limit) = args.query.limit.filter(|limit| *limit > 0) {
            report.rows.truncate(limit);
        }
        printer.print_at(&report, moment)?;
        explain(&found, &printer);
        printer.explain(&view);
        match watch.next(&mut feed, view.id).await {
            Some(next) => view = next,
            None => break found.alarming(),
        }
    };
    if args.exit_code && problems > 0 {
        let plural = if problems == 1 { "problem" } else { "problems" };
        return Err(Failure::problem(format_args!("{problems} {plural} (--exit-code)")));
    }
    printer.judge(&view)?;
    Ok(ExitCode::SUCCESS)
}

/// What is looked for, and what views have said so far.
struct Finder {
    query: Query,
    rules: Rules,
    history: History,
    memory: Memory,
}

impl Finder {
    fn new(cli: &Cli, query: Query, rules: Rules) -> Self {
        let mut history = History::with_limits(Limits::spaced(cli.source.interval, rules.leak.window));
        history.track(&query);
        Self { query, rules, history, memory: Memory::default() }
    }

    fn begin(&mut self, past: Vec<Arc<View>>) {
        for view in &past {
            self.memory.push(view);
        }
        self.history.backfill(past);
    }

    fn take(&mut self, view: &Arc<View>) {
        self.history.push(Arc::clone(view));
        self.memory.push(view);
    }

    fn find(&mut self, view: &View) -> Problems {
        let Self { query, rules, history, memory } = self;
        let leaks = leaks(view, query, history, &rules.leak);
        let found = Problems::of(&Scene { view, query, history, memory, leaks: &leaks, rules }, &ProblemKind::ALL);
        memory.note(&found.list, session::moment(view));
        found
    }
}

/// What is not known from here, one line for each reason.
fn explain(found: &Problems, printer: &Printer) {
    for sentence in found.not_known() {
        printer.note(&sentence);
    }
}

#[cfg(test)]
mod tests;
