//! `khan top`: live on a terminal, printed everywhere else.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};

use super::printer::Printer;
use super::session::{self, Watch};
use crate::args::output_args::{ColorChoice, ThemeChoice};
use crate::args::{Cli, TopArgs};
use crate::config;
use crate::connect;
use crate::feed::Feed;
use crate::kept;
use crate::model::history::Limits;
use crate::model::label_selection::LabelSelection;
use crate::model::{History, Query, SourceKind, own, project};
use crate::report::connections;
use crate::screen::msg::Msg;
use crate::screen::setting::Setting;
use crate::screen::state::App;
use crate::screen::update::update;
use crate::screen::{self, Ending};
use crate::sources::cluster;
use khan_serve::exit::Failure;
use khan_serve::stderr;

async fn query(cli: &Cli, args: &TopArgs) -> Result<Query, Failure> {
    let mut query = args.query.query(&args.selectors, cli.kube.scope()).map_err(Failure::configuration)?;
    if let Some(since) = args.since {
        query.window = args.query.window.unwrap_or(since);
        query.trend = since;
    }
    let labelled = connect::labelled::pods(&cli.kube, args.query.selector.as_deref()).await?;
    Ok(Query { labels: labelled, rule: args.leak.rule(None), ..query })
}

/// The flags for a source that knows the past, where that is asked for.
fn looking_back(cli: &Cli, args: &TopArgs) -> Result<Cli, Failure> {
    if args.since.is_none() || cli.source.replay.is_some() {
        return Ok(cli.clone());
    }
    connect::looking_back(cli, "--since").map(|(cli, _)| cli)
}

/// Whether the terminal interface is meant: a screen needs a terminal on both sides and nobody who asked for text.
pub(crate) fn opens_screen(cli: &Cli, args: &TopArgs) -> bool {
    let output = &cli.output;
    let text = args.once || output.output.is_some() || output.watch || output.count.is_some() || output.no_tui;
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let dumb = variable("TERM").is_none_or(|term| term == "dumb") || variable("CI").is_some();
    let tty = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    !text && tty && (output.tui || !dumb)
}

/// Opens the terminal interface, and opens it again where its source is to be opened again.
pub(crate) async fn live(cli: &Cli, args: &TopArgs) -> Result<ExitCode, Failure> {
    let mut cli = looking_back(cli, args)?;
    let output = &cli.output;
    let query = query(&cli, args).await?;
    let options = screen::Options {
        query,
        rule: args.leak.rule(None),
        theme: output.theme.map(|theme| match theme {
            ThemeChoice::Ansi => screen::styles::Theme::Ansi,
            ThemeChoice::Light => screen::styles::Theme::Light,
            ThemeChoice::Dark => screen::styles::Theme::Dark,
            ThemeChoice::Cvd => screen::styles::Theme::Cvd,
            ThemeChoice::Mono => screen::styles::Theme::Mono,
        }),
        color: match output.color {
            ColorChoice::Auto => screen::depth::ColorChoice::Auto,
            ColorChoice::Always => screen::depth::ColorChoice::Always,
            ColorChoice::Never => screen::depth::ColorChoice::Never,
        },
        ascii: output.ascii,
        mouse: output.mouse,
        interval: cli.source.interval,
        columns: output.columns.clone(),
        keys: cli.keys.clone(),
        views: cli.views.clone(),
        config: config::path(output.config.as_deref()),
    };
    let mut app = options.app().map_err(Failure::usage)?;
    let mut feed = started(&cli, app.question.base()).await?;
    let mut labels = app.question.base().labels.clone();
    let mut memory = Memory::new(args.remember);
    loop {
        memory.recall(&cli, &mut app, &feed);
        let contexts = contexts(&cli, &feed);
        let source = screen::Source { feed, contexts, labels };
        let (ending, left) = screen::run(app, source).await.map_err(Failure::runtime)?;
        memory.keep(&left);
        if let Some(code) = ending.code() {
            return Ok(ExitCode::from(code));
        }
        app = left;
        (feed, labels) = match again(&mut cli, args, &app, ending).await? {
            Ok(again) => again,
            Err(code) => return Ok(code),
        };
        feed.handle.set_interval(app.settings.interval());
    }
}

/// A source whose views say who answers for services: the screen lists problems.
async fn started(cli: &Cli, query: &Query) -> Result<Feed, Failure> {
    connect::with_endpoints(cli, query, &Query::default()).await
}

/// What is kept of each context, if the user wants that. A file that cannot be used is said and changes nothing else.
struct Memory {
    path: Option<PathBuf>,
    /// The context that is shown.
    context: Option<String>,
}

impl Memory {
    fn new(wanted: bool) -> Self {
        Self { path: kept::path().filter(|_| wanted), context: None }
    }

    /// Shows a context as it was left, where it is another one than before.
    fn recall(&mut self, cli: &Cli, app: &mut App, feed: &Feed) {
        let Some(path) = &self.path else { return };
        let source = &feed.views.borrow().source;
        let context = if source.context.is_empty() { source.kind.as_str() } else { &source.context };
        if self.context.as_deref() == Some(context) {
            return;
        }
        self.context = Some(context.to_owned());
        match kept::read(path, context) {
            Ok(settings) => {
                let wanted = settings.iter().filter(|(name, _)| !cli.typed.contains(&name.as_str()));
                // What another version of khan has kept may mean nothing to this one.
                let known = wanted.filter_map(|(name, value)| Setting::parse(name, value).ok());
                // None of them asks for anything outside of the state.
                update(app, Msg::Kept(known.collect()), Instant::now());
            }
            Err(error) => {
                stderr::line(format_args!("khan: --remember: {error}"));
                self.path = None;
            }
        }
    }

    fn keep(&mut self, app: &App) {
        let (Some(path), Some(context)) = (&self.path, &self.context) else { return };
        if let Err(error) = kept::write(path, context, &app.kept()) {
            stderr::line(format_args!("khan: --remember: {error}"));
            self.path = None;
        }
    }
}

/// The contexts that may be chosen instead of the one that leads to this source.
fn contexts(cli: &Cli, feed: &Feed) -> Vec<String> {
    let source = &feed.views.borrow().source;
    let chosen = source.kind == SourceKind::Agents && !source.context.is_empty();
    if chosen { cluster::contexts(cli.kube.kubeconfig.as_deref()) } else { Vec::new() }
}

/// Connects as at the start, on the ordinary screen. `Err` inside is how a signal ends the program meanwhile: the screen
/// has listened to signals, so they do not end it by themselves any more.
async fn again(
    cli: &mut Cli,
    args: &TopArgs,
    app: &App,
    ending: Ending,
) -> Result<Result<(Feed, Option<LabelSelection>), ExitCode>, Failure> {
    if let Ending::Reconnect(Some(context)) = ending {
        stderr::line(format_args!("khan: connecting to context {context:?}"));
        cli.kube.leave_for(context);
    } else {
        stderr::line("khan: reconnecting");
    }
    let cli = &*cli;
    let mut terminated = signal(SignalKind::terminate()).map_err(Failure::other)?;
    let mut hung_up = signal(SignalKind::hangup()).map_err(Failure::other)?;
    let connected = async {
        let labels = query(cli, args).await?.labels;
        let feed = started(cli, &Query { labels: labels.clone(), ..app.question.base().clone() }).await?;
        Ok((feed, labels))
    };
    let ending = tokio::select! {
        again = connected => return again.map(Ok),
        _ = tokio::signal::ctrl_c() => Ending::Interrupted,
        _ = terminated.recv() => Ending::Terminated,
        _ = hung_up.recv() => Ending::HungUp,
    };
    Ok(Err(ending.code().map_or(ExitCode::FAILURE, ExitCode::from)))
}

/// Prints a table, once or again and again.
pub(crate) async fn printed(cli: &Cli, args: &TopArgs) -> Result<ExitCode, Failure> {
    let cli = &looking_back(cli, args)?;
    let mut printer = Printer::new(cli)?;
    let mut query = query(cli, args).await?;
    query.limit = args.query.limit.unwrap_or(0);
    let mut feed = connect::start(cli, &query).await?;
    let mut history =
        History::with_limits(Limits::spaced(cli.source.interval, query.trend.max(query.window).max(query.rule.window)));
    history.track(&query);
    let mut watch = Watch::new(cli.output.watch, cli.output.count, cli.source.interval);
    let (mut view, past) = watch.first(session::settled(&mut feed).await?);
    history.backfill(past);
    loop {
        history.push(Arc::clone(&view));
        let projection = project(&view, &query, &history);
        printer.print_at(&connections::report(&view, &query, &projection), session::moment(&view))?;
        if projection.matching > 0
            && let Some(left_out) = own::left_out(projection.own)
        {
            printer.note(&format!("note: {left_out}"));
        }
        printer.explain(&view);
        match watch.next(&mut feed, view.id).await {
            Some(next) => view = next,
            None => break,
        }
    }
    printer.judge(&view)?;
    Ok(ExitCode::SUCCESS)
}
