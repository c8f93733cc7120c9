//! Completions for shells and for `kubectl khan`, and man pages.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell as Known;

use crate::args::Cli;
use crate::args::shell::Shell;
use khan_serve::exit::Failure;

/// What `kubectl_complete-khan` on `PATH` must hold.
const KUBECTL: &str =
    "#!/bin/sh\n# kubectl asks this for completions of `kubectl khan`.\nexec khan __complete -- \"$@\"\n";

/// Prints a completion script.
pub(crate) fn run(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    let command = &mut Cli::command();
    match shell {
        Shell::Bash => clap_complete::generate(Known::Bash, command, "khan", &mut script),
        Shell::Zsh => clap_complete::generate(Known::Zsh, command, "khan", &mut script),
        Shell::Fish => clap_complete::generate(Known::Fish, command, "khan", &mut script),
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
    let candidates = clap_complete::engine::complete(&mut Cli::command(), line, last, None);
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
            let wrong = |error| Failure::usage(format_args!("--directory {}: {error}", directory.display()));
            std::fs::create_dir_all(directory).map_err(wrong)?;
            clap_mangen::generate_to(Cli::command(), directory).map_err(wrong)
        }
    }
}
