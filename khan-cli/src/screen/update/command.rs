//! The command line behind `:`. Every action has its name here; some commands take an argument.

use std::fmt::Display;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::model::{GroupBy, Sort};
use crate::screen::columns::Choice;
use crate::screen::keys::{BINDINGS, Binding, Context};
use crate::screen::msg::{Effect, Exit};
use crate::screen::state::App;
use crate::screen::styles::Theme;

use super::actions::{go_to, look_over, perform, sort_by};
use super::filter::set_filter;

/// Commands with an argument, and an example of it.
const COMMANDS: [(&str, &str); 12] = [
    ("filter", "src:shop/* port:5432"),
    ("ns", "shop,data"),
    ("ctx", "prod"),
    ("group", "src,dst,port"),
    ("sort", "-conns"),
    ("limit", "500"),
    ("span", "5m"),
    ("interval", "10s"),
    ("at", "14:05"),
    ("since", "6h"),
    ("theme", "cvd"),
    ("columns", "source,conns,idle"),
];

/// Runs a line.
pub(super) fn run(app: &mut App, line: &str, now: Instant) -> Vec<Effect> {
    let (name, argument) = line.split_once(' ').unwrap_or((line, ""));
    let argument = argument.trim();
    if name.is_empty() {
        return Vec::new();
    }
    if COMMANDS.iter().any(|(known, _)| *known == name)
        && (!argument.is_empty() || matches!(name, "filter" | "ns" | "ctx"))
    {
        match with_argument(app, name, argument, now) {
            Ok(effects) => return effects,
            Err(reason) => app.say(now, reason),
        }
        return Vec::new();
    }
    let here = app.context();
    let past = app.looks_back();
    let works =
        |binding: &Binding| binding.contexts.contains(&here) || past && binding.contexts.contains(&Context::Past);
    let named = |binding: &&Binding| binding.name == name || (name == "q" && binding.name == "quit");
    match BINDINGS.iter().filter(named).max_by_key(|binding| works(binding)) {
        Some(binding) if works(binding) => perform(app, binding.action, now),
        Some(binding) => {
            app.say(now, format!(":{} does nothing here", binding.name));
            Vec::new()
        }
        None => {
            let example = COMMANDS.iter().find(|(known, _)| *known == name);
            app.say(
                now,
                match example {
                    Some((known, example)) => format!(":{known} needs a value, for example :{known} {example}"),
                    None => format!("no command is called {name:?}; Tab completes"),
                },
            );
            Vec::new()
        }
    }
}

fn with_argument(app: &mut App, name: &str, argument: &str, now: Instant) -> Result<Vec<Effect>, String> {
    match name {
        "filter" => {
            set_filter(app, argument);
            return app.prompts.take_error().map_or(Ok(Vec::new()), Err);
        }
        "ns" => {
            let all = matches!(argument, "" | "*" | "all");
            let names = argument.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
            app.question.set_namespaces(if all { Vec::new() } else { names.collect() });
            app.refresh(true);
        }
        "ctx" => return context_named(app, argument),
        "group" => {
            let by: GroupBy = parse(argument)?;
            app.lists.group(by);
            app.refresh(false);
        }
        "sort" => {
            let sort: Sort = parse(argument)?;
            sort_by(app, sort);
        }
        "limit" => {
            app.question.set_limit(argument.parse().map_err(|_| format!("{argument:?} is not a number of rows"))?);
            app.refresh(false);
        }
        "span" => {
            app.question.set_window(duration(argument)?);
            app.refresh(false);
        }
        "interval" => {
            let interval = duration(argument)?;
            app.settings.set_interval(interval);
            return Ok(vec![Effect::Interval(interval)]);
        }
        "at" => go_to(app, argument)?,
        "since" => return Ok(look_over(app, duration(argument)?, now)),
        "theme" => {
            let names = || Theme::ALL.map(Theme::as_str).join(", ");
            let theme = Theme::from_name(argument);
            app.settings.wear(theme.ok_or_else(|| format!("no theme is called {argument:?}: {}", names()))?);
        }
        _ => {
            let names: Vec<_> = argument.split(',').map(|name| name.trim().to_owned()).collect();
            app.settings.choose_columns(Choice::only(&names).map_err(|error| error.to_string())?);
        }
    }
    Ok(Vec::new())
}

fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// Leaves for another context; what cannot be left for is said together with the contexts that there are.
fn context_named(app: &App, name: &str) -> Result<Vec<Effect>, String> {
    let contexts = app.data.contexts();
    let names = contexts.join(", ");
    if names.is_empty() {
        return Err("no context of a kubeconfig leads to this source".into());
    }
    if name.is_empty() {
        return Err(format!("context {}, of {names}", app.data.view().source.context));
    }
    if !contexts.iter().any(|context| context == name) {
        return Err(format!("no context is called {name:?}: {names}"));
    }
    Ok(vec![Effect::Quit(Exit::Reconnect(Some(name.to_owned())))])
}

/// As flags take it, or a bare number of seconds: `90`, `90s`, `5m`, `1h30m`.
fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()));
    let duration = seconds.map_or_else(|| khan_api::duration::parse_positive(text).ok(), Some);
    let allowed = Duration::from_secs(1)..=Duration::from_secs(u32::MAX.into());
    let duration = duration.filter(|duration| allowed.contains(duration));
    duration.ok_or_else(|| format!("{text:?} is no time; write for example 30s, 5m, 1h30m"))
}

/// A command's name, completed as far as it is certain; `None` where there is nothing to complete.
pub(super) fn complete(head: &str) -> Option<String> {
    if head.contains(' ') {
        return None;
    }
    let names = COMMANDS.iter().map(|(name, _)| *name).chain(BINDINGS.iter().map(|binding| binding.name));
    let mut fitting: Vec<_> = names.filter(|name| name.starts_with(head)).collect();
    fitting.sort_unstable();
    fitting.dedup();
    let first = fitting.first()?;
    let common = (0..=first.len()).rev().find(|end| fitting.iter().all(|name| name.starts_with(&first[..*end])));
    let mut completed = first[..common.unwrap_or(0)].to_owned();
    let known = |name: &str| BINDINGS.iter().any(|binding| binding.name == name);
    if fitting.len() == 1 && COMMANDS.iter().any(|(name, _)| *name == completed) && !known(&completed) {
        completed.push(' ');
    }
    Some(completed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_complete_as_far_as_they_are_certain() {
        assert_eq!(complete("colu").as_deref(), Some("columns"));
        assert_eq!(complete("fil").as_deref(), Some("filter"));
        assert_eq!(complete("interv").as_deref(), Some("interval "));
        assert_eq!(complete("bas").as_deref(), Some("baseline"));
        assert_eq!(complete("zz"), None);
        assert_eq!(complete("filter s"), None);
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        for bad in ["", "0s", "m", "5 days", "99999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
