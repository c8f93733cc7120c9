//! How much of the help is printed. `-h` is for a glance, `--help` has what belongs to the command and its examples, and
//! `--help-all` every flag with its variable.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

use super::each_argument;

/// How much is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Glance,
    Page,
    All,
}

/// Flags of every command that are shown with those of a command, by their ids, since it is of no use without them.
fn frequent(command: &str) -> &'static [&'static str] {
    const SOURCES: [&str; 7] = ["namespace", "context", "source", "agent", "prometheus_url", "replay", "output"];
    match command {
        "top" => &[
            "namespace",
            "context",
            "source",
            "agent",
            "prometheus_url",
            "replay",
            "record",
            "interval",
            "output",
            "watch",
            "columns",
        ],
        "leaks" | "conns" | "diff" => {
            &["namespace", "context", "source", "agent", "prometheus_url", "replay", "output", "columns"]
        }
        "balance" => &["namespace", "context", "source", "agent", "controller", "output", "watch", "columns"],
        "agents" => &["context", "agent", "output", "watch", "columns"],
        "doctor" => &["context", "agent", "prometheus_url", "output"],
        "version" => &["output"],
        "replay" => &["output", "columns"],
        "config" => &["config"],
        "" | "completion" | "man" => &[],
        _ => &SOURCES,
    }
}

/// Those that are shown for a glance too.
const GLANCE: [&str; 4] = ["namespace", "source", "agent", "output"];

/// Prepares the command for the help that `words` ask for, and has them ask for it in clap's terms.
pub(super) fn prepare(mut command: Command, words: &mut [OsString]) -> Command {
    let asked = words.iter().enumerate().skip(1).find_map(|(at, word)| {
        let wanted = match word.to_str()? {
            "-h" => Wanted::Glance,
            "--help" => Wanted::Page,
            "--help-all" => Wanted::All,
            _ => return None,
        };
        Some((at, wanted))
    });
    let Some((at, wanted)) = asked else { return command };
    if wanted == Wanted::All {
        return command;
    }
    // One line a flag, as clap prints for -h.
    words[at] = "-h".into();
    let known = |word: &&OsString| word.to_str().is_some_and(|word| command.find_subcommand(word).is_some());
    let name = words[1..at].iter().find(known).and_then(|word| word.to_str()).unwrap_or_default().to_owned();
    let frequent = frequent(&name);
    let shared: Vec<_> = command.get_arguments().map(|arg| arg.get_id().to_string()).collect();
    let hides = |arg: &Arg| {
        let id = arg.get_id().as_str();
        let is_shared = shared.iter().any(|known| known == id);
        let is_shown = frequent.contains(&id) && (wanted == Wanted::Page || GLANCE.contains(&id));
        // The thresholds have defaults that hold; those of khan leaks and khan balance are their own.
        is_shared && !is_shown
            || matches!(&*name, "top" | "problems") && id.starts_with("leak_")
            || name == "problems" && id.starts_with("balance_")
    };
    command = each_argument(command, &|arg| {
        let hidden = arg.is_hide_set() || hides(&arg);
        arg.hide_env(true).hide(hidden)
    });
    if name.is_empty() {
        ending(command, "khan COMMAND", wanted)
    } else {
        command.mut_subcommand(&name, |sub| ending(sub, &format!("khan {name}"), wanted))
    }
}

/// What stands at the end: examples unless it is for a glance, and where to find more.
fn ending(command: Command, called: &str, wanted: Wanted) -> Command {
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let more = format!("{called} --help-all lists every flag, with its variable and default.");
    let text = match wanted {
        Wanted::Glance => format!("{called} --help has examples; --help-all lists every flag."),
        Wanted::Page | Wanted::All if examples.is_empty() => more,
        Wanted::Page | Wanted::All => format!("{examples}\n\n{more}"),
    };
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help);
    let help = help.help("Print this page (-h: shorter, --help-all: every flag)");
    command.disable_help_flag(true).arg(help).after_help(text)
}
