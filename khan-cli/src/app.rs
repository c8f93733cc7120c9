//! Runs a command, and ends it when a signal says so.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Cli, Command};
use crate::commands::{
    agents, balance, completion, config, conns, diff, doctor, leaks, problems, replay, top, version, who,
};
use crate::logging;
use crate::output::table::clean;
use khan_serve::exit::{Failure, INTERRUPTED, TERMINATED};
use khan_serve::stderr;

/// Does what the command line says. The terminal interface handles signals of its own.
pub async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let screen = matches!(&cli.command, Command::Top(args) if top::opens_screen(&cli, args));
    logging::install(&cli.output, screen)?;
    if let Command::Top(args) = &cli.command
        && screen
    {
        let code = Box::pin(top::live(&cli, args)).await?;
        return recorded(&cli).map(|()| code);
    }
    let done = |result: Result<(), Failure>| result.map(|()| ExitCode::SUCCESS);
    let work = async {
        let code = match &cli.command {
            Command::Top(args) => top::printed(&cli, args).await,
            Command::Problems(args) => problems::run(&cli, args).await,
            Command::Balance(args) => balance::run(&cli, args).await,
            Command::Leaks(args) => leaks::run(&cli, args).await,
            Command::Diff(args) => Box::pin(diff::run(&cli, args)).await,
            Command::Replay(args) => done(replay::run(&cli, args)),
            Command::Agents => done(agents::run(&cli).await),
            Command::Completion { shell } => done(completion::run(*shell)),
            Command::Complete { words } => done(completion::complete(words)),
            Command::Man { directory } => done(completion::man(directory.as_deref())),
            Command::Conns(args) => done(conns::run(&cli, args).await),
            Command::Who(args) => done(who::run(&cli, args).await),
            Command::Doctor => done(Box::pin(doctor::run(&cli)).await),
            Command::Config { action } => done(config::run(&cli, *action)),
            Command::Version => done(version::run(&cli)),
        }?;
        recorded(&cli).map(|()| code)
    };
    let mut terminated = signal(SignalKind::terminate()).map_err(Failure::other)?;
    // Whoever waited for a verdict gets the one that there is.
    let handles_interrupts = matches!(cli.command, Command::Leaks(_));
    let signalled = tokio::select! {
        result = work => return result,
        interrupted = tokio::signal::ctrl_c(), if !handles_interrupts => interrupted.map(|()| INTERRUPTED).map_err(Failure::other)?,
        _ = terminated.recv() => TERMINATED,
    };
    recorded(&cli).map(|()| ExitCode::from(signalled))
}

/// Says what was recorded. A recording that was asked for and stopped is a failure, however well the command went.
fn recorded(cli: &Cli) -> Result<(), Failure> {
    if let Some(reason) = cli.source.recording.failure() {
        return Err(Failure::runtime(reason));
    }
    if let Some(summary) = cli.source.recording.summary().filter(|_| !cli.output.quiet) {
        stderr::line(clean(&format!("note: {summary}")));
    }
    Ok(())
}
