//! The command line behind `:`. Every action has its name here; [`COMMANDS`] take a value.

use std::fmt::Display;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::model::{GroupBy, LeakRule, Sort};
use crate::nearest::nearest;
use crate::screen::columns::Choice;
use crate::screen::commands::{COMMANDS, Command, command};
use crate::screen::keys::{BINDINGS, Binding, Context};
use crate::screen::msg::{Effect, Exit};
use crate::screen::state::App;
use crate::screen::styles::Theme;
use crate::screen::tab::Tab;

use super::actions::{go_to, judge, look_over, perform, sort_by};
use super::export::write_to;
use super::filter::set_filter;

/// Runs a line.
pub(super) fn run(app: &mut App, line: &str, now: Instant) -> Vec<Effect> {
    let (name, value) = line.split_once(' ').unwrap_or((line, ""));
    let value = value.trim();
    if name.is_empty() {
        return Vec::new();
    }
    let known = command(name);
    if let Some(command) = known.filter(|command| command.bare || !value.is_empty()) {
        return with_value(app, command.name, value, now).unwrap_or_else(|reason| {
            app.say(now, reason);
            Vec::new()
        });
    }
    let here = app.context();
    let past = app.looks_back();
    let works =
        |binding: &Binding| binding.contexts.contains(&here) || past && binding.contexts.contains(&Context::Past);
    let named = |binding: &&Binding| binding.name == name || (name == "q" && binding.name == "quit");
    let action = BINDINGS.iter().filter(named).max_by_key(|binding| works(binding));
    let reason = match (action, known) {
        (Some(binding), _) if !value.is_empty() => format!(":{} takes no value", binding.name),
        (Some(binding), _) if works(binding) => return perform(app, binding.action, now),
        (_, Some(Command { name, example, .. })) => format!(":{name} needs a value, for example :{name} {example}"),
        (Some(binding), None) => format!(":{} does nothing here", binding.name),
        (None, None) => unknown(name),
    };
    app.say(now, reason);
    Vec::new()
}

/// No command is called so; another one may be meant.
fn unknown(name: &str) -> String {
    let names = COMMANDS.iter().flat_map(|command| std::iter::once(command.name).chain(command.short.iter().copied()));
    match nearest(name, names.chain(BINDINGS.iter().map(|binding| binding.name))) {
        Some(known) => format!("no command is called {name:?}: did you mean :{known}? (:? lists them)"),
        None => format!("no command is called {name:?}: :? lists them"),
    }
}

/// Runs the command of this name, not of a shorter one.
fn with_value(app: &mut App, name: &str, value: &str, now: Instant) -> Result<Vec<Effect>, String> {
    match name {
        "filter" => {
            set_filter(app, value).map_err(|error| error.to_string())?;
        }
        "namespace" => {
            let all = matches!(value, "" | "*" | "all");
            let names = value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
            app.question.set_namespaces(if all { Vec::new() } else { names.collect() });
            app.refresh(true);
        }
        "export" => return Ok(write_to(app, value)),
        "context" => return context_named(app, value),
        "group-by" => {
            let by: GroupBy = parse(value)?;
            app.lists.group(by);
            app.refresh(false);
        }
        "sort-by" => {
            let sort: Sort = parse(value)?;
            sort_by(app, sort);
        }
        "limit" => {
            app.question.set_limit(value.parse().map_err(|_| format!("{value:?} is not a number of rows"))?);
            app.refresh(false);
        }
        "window" => {
            let window = duration(value)?;
            // As --window: of khan leaks it is that of the rule.
            if app.lists.tab() == Tab::Leaks {
                judge(app, LeakRule { window, ..*app.question.rule() });
            } else {
                app.question.set_window(window);
                app.refresh(false);
            }
        }
        "interval" => {
            let interval = duration(value)?;
            app.settings.set_interval(interval);
            return Ok(vec![Effect::Interval(interval)]);
        }
        "at" => go_to(app, value)?,
        "since" => return Ok(look_over(app, duration(value)?, now)),
        "theme" => {
            let names = || Theme::ALL.map(Theme::as_str).join(", ");
            let theme = Theme::from_name(value);
            app.settings.wear(theme.ok_or_else(|| format!("no theme is called {value:?}: {}", names()))?);
        }
        _ => {
            let names: Vec<_> = value.split(',').map(|name| name.trim().to_owned()).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_command_is_answered_with_the_nearest() {
        assert_eq!(unknown("colums"), "no command is called \"colums\": did you mean :columns? (:? lists them)");
        assert_eq!(unknown("xyzzy"), "no command is called \"xyzzy\": :? lists them");
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
