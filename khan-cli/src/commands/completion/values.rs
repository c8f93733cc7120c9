//! What the values of flags complete to: words that are known, contexts of the kubeconfig, and, within a moment, what the
//! cluster has now.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use khan_api::Protocol;

use crate::model::query::SortBy;
use crate::model::{GroupBy, ProblemKind, State};
use crate::output;
use crate::report;
use crate::sources::cluster;

use super::live::{self, Wanted};

/// A value and what it means.
type Value = (String, String);

/// The command with what its values complete to.
pub(super) fn of(command: Command) -> Command {
    command.mut_args(argument).mut_subcommands(of)
}

fn argument(arg: Arg) -> Arg {
    let complete: fn(&OsStr) -> Vec<CompletionCandidate> = match arg.get_id().as_str() {
        "sort_by" => |current| signed(current, || SortBy::NAMES.iter().map(|(_, name)| plain(name))),
        "group_by" => |current| listed(current, || GroupBy::WORDS.iter().map(|(word, meaning)| value(word, meaning))),
        "columns" => |current| listed(current, || report::heads().map(|head| plain(head.name))),
        "kinds" => |current| listed(current, || ProblemKind::ALL.into_iter().map(|kind| plain(kind.as_str()))),
        "output" => |current| one(current, output::names().map(plain)),
        "state" => |current| {
            let parts = ["open", "opening", "closed"].into_iter().map(plain);
            listed(current, || {
                parts.clone().chain(State::all_known().map(|state| plain(&state.as_str().to_ascii_lowercase())))
            })
        },
        "proto" => |current| listed(current, || Protocol::ALL.into_iter().map(|protocol| plain(protocol.as_str()))),
        "context" => |current| {
            one(current, cluster::contexts(live::kubeconfig().as_deref()).into_iter().map(|name| plain(&name)))
        },
        "namespace" | "khan_namespace" => {
            |current| listed(current, || live::names(Wanted::Namespaces).into_iter().map(|name| plain(&name)))
        }
        "node" => |current| listed(current, || live::names(Wanted::Nodes).into_iter().map(|name| plain(&name))),
        "selectors" | "from" | "to" | "either" | "subject" => selector,
        _ => return arg,
    };
    arg.add(ArgValueCompleter::new(complete))
}

fn value(value: &str, meaning: &str) -> Value {
    (value.to_owned(), meaning.to_owned())
}

fn plain(text: &str) -> Value {
    value(text, "")
}

/// Those that go on from what is typed, in their order.
fn one(current: &OsStr, values: impl Iterator<Item = Value>) -> Vec<CompletionCandidate> {
    following("", &current.to_string_lossy(), values)
}

/// Values with commas between them: the last one is completed, and none is offered twice.
fn listed<V: Iterator<Item = Value>>(current: &OsStr, values: impl FnOnce() -> V) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let (before, last) = current.rsplit_once(',').map_or(("", &*current), |(before, last)| (before, last));
    let known: Vec<&str> = before.split(',').collect();
    let before = if current.contains(',') { format!("{before},") } else { String::new() };
    following(&before, last, values().filter(|(value, _)| !known.contains(&value.as_str())))
}

/// A value that a minus may stand before.
fn signed<V: Iterator<Item = Value>>(current: &OsStr, values: impl FnOnce() -> V) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    match current.strip_prefix('-') {
        Some(rest) => following("-", rest, values()),
        None => following("", &current, values()),
    }
}

/// `TYPE/NAME`: the type, then the names that there are.
fn selector(current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let Some((kind, name)) = current.split_once('/') else {
        let kinds = ["app/", "pod/", "svc/", "ns/", "node/", "ip/", "workload/"];
        return following("", &current, kinds.into_iter().map(plain));
    };
    let wanted = match kind {
        "ns" | "namespace" => Wanted::Namespaces,
        "node" | "no" => Wanted::Nodes,
        "app" => Wanted::Apps,
        "pod" | "po" => Wanted::Pods,
        _ => return Vec::new(),
    };
    following(&format!("{kind}/"), name, live::names(wanted).into_iter().map(|name| plain(&name)))
}

fn following(before: &str, typed: &str, values: impl Iterator<Item = Value>) -> Vec<CompletionCandidate> {
    let fitting = values.filter(|(value, _)| value.starts_with(typed)).enumerate();
    let candidate = |(order, (value, meaning)): (usize, Value)| {
        let help = (!meaning.is_empty()).then(|| meaning.into());
        CompletionCandidate::new(OsString::from(format!("{before}{value}"))).help(help).display_order(Some(order))
    };
    fitting.map(candidate).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    fn complete(words: &[&str]) -> Vec<String> {
        let words: Vec<_> = std::iter::once("khan").chain(words.iter().copied()).map(OsString::from).collect();
        let last = words.len() - 1;
        let found = clap_complete::engine::complete(&mut of(Cli::command()), words, last, None).unwrap();
        found.iter().map(|candidate| candidate.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn values_of_flags_are_known() {
        assert_eq!(complete(&["top", "--sort-by", "de"]), ["delta", "destination"]);
        assert_eq!(complete(&["top", "--sort-by=-ra"]), ["--sort-by=-rate"]);
        assert_eq!(complete(&["top", "--group-by", "src,dst-n"]), ["src,dst-ns", "src,dst-node"]);
        assert_eq!(complete(&["leaks", "-o", "js"]), ["json"]);
        assert_eq!(complete(&["top", "--columns", "source,tre"]), ["source,trend"]);
        assert_eq!(complete(&["top", "--state", "time_"]), ["time_wait"]);
        assert_eq!(complete(&["problems", "--kind", "leak,st"]), ["leak,stalled"]);
        assert_eq!(complete(&["who", "po"]), ["pod/"]);
        assert!(complete(&["top", "--fil"]).contains(&"--filter".to_owned()));
    }
}
