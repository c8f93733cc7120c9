//! Completions for shells and for `kubectl khan`, and man pages.

mod live;
mod values;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell as Known;
use clap_complete::env::{Bash, CompleteEnv, EnvCompleter, Fish, Zsh};

use crate::args::Cli;
use crate::args::shell::Shell;
use crate::files;
use khan_serve::exit::Failure;

/// What `kubectl_complete-khan` on `PATH` must hold.
const KUBECTL: &str =
    "#!/bin/sh\n# kubectl asks this for completions of `kubectl khan`.\nexec khan __complete -- \"$@\"\n";

/// Says to `khan` that a shell asks for completions, and which.
const VARIABLE: &str = "KHAN_COMPLETE";

/// Answers a shell that asks for completions: the scripts of bash, zsh and fish call `khan` for them. Says whether one did.
pub fn answer() -> bool {
    let directory = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(|| values::of(Cli::command())).var(VARIABLE).bin("khan");
    // What a shell cannot use is not worth a message in the middle of its line.
    asked.try_complete(std::env::args_os(), directory.as_deref()).unwrap_or(true)
}

/// Prints a completion script.
pub(crate) fn run(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    let command = &mut Cli::command();
    match shell {
        Shell::Bash => Bash.write_registration(VARIABLE, "khan", "khan", "khan", &mut script)?,
        Shell::Zsh => Zsh.write_registration(VARIABLE, "khan", "khan", "khan", &mut script)?,
        Shell::Fish => Fish.write_registration(VARIABLE, "khan", "khan", "khan", &mut script)?,
        Shell::Powershell => clap_complete::generate(Known::PowerShell, command, "khan", &mut script),
        Shell::Elvish => clap_complete::generate(Known::Elvish, command, "khan", &mut script),
        Shell::Nushell => clap_complete::generate(clap_complete_nushell::Nushell, command, "khan", &mut script),
        Shell::Kubectl => script.extend_from_slice(KUBECTL.as_bytes()),
    }
    Ok(io::stdout().write_all(&script)?)
}

/// Answers kubectl: one candidate a line with a tab before its description, then cobra's directive "no file completion".
pub(crate) fn complete(words: &[OsString]) -> Result<(), Failure> {
    let mut line = vec![OsString::from("khan")];
    line.extend(words.iter().cloned());
    if words.is_empty() {
        line.push(OsString::new());
    }
    let last = line.len() - 1;
    let candidates = clap_complete::engine::complete(&mut values::of(Cli::command()), line, last, None);
    let mut out = io::BufWriter::new(io::stdout().lock());
    for candidate in candidates.unwrap_or_default().iter().filter(|candidate| !candidate.is_hide_set()) {
        let value = candidate.get_value().to_string_lossy();
        match candidate.get_help() {
            Some(help) => writeln!(out, "{value}\t{}", help.to_string().lines().next().unwrap_or_default())?,
            None => writeln!(out, "{value}")?,
        }
    }
    writeln!(out, ":4")?;
    Ok(out.flush()?)
}

/// Writes one page per command into a directory, or the first one to stdout.
pub(crate) fn man(directory: Option<&Path>) -> Result<(), Failure> {
    match directory {
        None => Ok(clap_mangen::Man::new(Cli::command()).render(&mut io::stdout().lock())?),
        Some(directory) => {
            let wrong = |error: io::Error| {
                let reason = match error.kind() {
                    io::ErrorKind::AlreadyExists => "it is a file, not a folder".to_owned(),
                    _ => files::reason(&error),
                };
                Failure::usage(format_args!("--directory {}: {reason}", directory.display()))
            };
            std::fs::create_dir_all(directory).map_err(wrong)?;
            clap_mangen::generate_to(Cli::command(), directory).map_err(wrong)
        }
    }
}
