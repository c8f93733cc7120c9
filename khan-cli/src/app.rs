//! Runs a command, and ends it when a signal says so.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Cli, Command};
use crate::commands::{agents, completion, config, conns, doctor, leaks, top, version, who};
use crate::logging;
use khan_serve::exit::{Failure, INTERRUPTED, TERMINATED};

/// Does what the command line says. The terminal interface handles signals of its own.
pub async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let screen = matches!(&cli.command, Command::Top(args) if top::opens_screen(&cli, args));
    logging::install(&cli.output, screen)?;
    if let Command::Top(args) = &cli.command
        && screen
    {
        let code = top::live(&cli, args).await?;
        return recorded(&cli).map(|()| code);
    }
    let done = |result: Result<(), Failure>| result.map(|()| ExitCode::SUCCESS);
    let work = async {
        let code = match &cli.command {
            Command::Top(args) => top::printed(&cli, args).await,
            Command::Leaks(args) => leaks::run(&cli, args).await,
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
    tokio::select! {
        result = work => result,
        interrupted = tokio::signal::ctrl_c(), if !handles_interrupts => interrupted.map(|()| ExitCode::from(INTERRUPTED)).map_err(Failure::other),
        _ = terminated.recv() => Ok(ExitCode::from(TERMINATED)),
    }
}

/// A recording that was asked for and stopped is a failure, however well the command went.
fn recorded(cli: &Cli) -> Result<(), Failure> {
    cli.source.recording.reason().map_or(Ok(()), |reason| Err(Failure::runtime(reason)))
}
