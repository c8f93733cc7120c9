//! The command line behind `:`. Every action has its name here; some commands take an argument.

use std::time::{Duration, Instant};

use crate::model::{GroupBy, Sort};

use super::actions::{perform, sort_by};
use super::app::App;
use super::columns::Choice;
use super::keys::ACTIONS;
use super::msg::{Effect, Exit};
use super::prompt::Prompt;
use super::styles::Theme;
use super::update::{context, set_filter};

/// Commands with an argument, and an example of it.
pub const COMMANDS: [(&str, &str); 10] = [
    ("filter", "src:shop/* port:5432"),
    ("ns", "shop,data"),
    ("ctx", "prod"),
    ("group", "src,dst,port"),
    ("sort", "-conns"),
    ("limit", "500"),
    ("span", "5m"),
    ("interval", "10s"),
    ("theme", "cvd"),
    ("columns", "source,conns,idle"),
];

/// Runs a line.
pub fn run(app: &mut App, line: &str, now: Instant) -> Vec<Effect> {
    let (name, argument) = line.split_once(' ').unwrap_or((line, ""));
    let argument = argument.trim();
    if name.is_empty() {
        return Vec::new();
    }
    if COMMANDS.iter().any(|(known, _)| *known == name)
        && (!argument.is_empty() || matches!(name, "filter" | "ns" | "ctx"))
    {
        match with_argument(app, name, argument) {
            Ok(effects) => return effects,
            Err(reason) => app.say(now, reason),
        }
        return Vec::new();
    }
    let here = context(app);
    let named = |action: &&super::keys::Action| action.name == name || (name == "q" && action.name == "quit");
    match ACTIONS.iter().filter(named).max_by_key(|action| action.contexts.contains(&here)) {
        Some(action) if action.contexts.contains(&here) => perform(app, action.id, now),
        Some(action) => {
            app.say(now, format!(":{} does nothing here", action.name));
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

fn with_argument(app: &mut App, name: &str, argument: &str) -> Result<Vec<Effect>, String> {
    match name {
        "filter" => {
            set_filter(app, argument);
            return app.prompt_error.take().map_or(Ok(Vec::new()), Err);
        }
        "ns" => {
            let all = matches!(argument, "" | "*" | "all");
            let names = argument.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
            app.base.namespaces = if all { Vec::new() } else { names.collect() };
            app.refresh(true);
        }
        "ctx" => return context_named(app, argument),
        "group" => {
            let by: GroupBy =
                argument.parse().map_err(|error: crate::model::group_by::GroupByError| error.to_string())?;
            app.list_mut().own = Some(by);
            app.list_mut().cursor.release();
            app.refresh(false);
        }
        "sort" => {
            let sort: Sort = argument.parse().map_err(|error: crate::model::query::SortError| error.to_string())?;
            sort_by(app, sort);
        }
        "limit" => {
            app.base.limit = argument.parse().map_err(|_| format!("{argument:?} is not a number of rows"))?;
            app.refresh(false);
        }
        "span" => {
            app.base.window = duration(argument)?;
            app.refresh(false);
        }
        "interval" => {
            app.interval = duration(argument)?;
            return Ok(vec![Effect::Interval(app.interval)]);
        }
        "theme" => {
            let names = Theme::ALL.map(Theme::as_str).join(", ");
            app.wear(Theme::from_name(argument).ok_or_else(|| format!("no theme is called {argument:?}: {names}"))?);
        }
        _ => {
            let names: Vec<_> = argument.split(',').map(|name| name.trim().to_owned()).collect();
            app.columns = Choice::only(&names).map_err(|error| error.to_string())?;
        }
    }
    Ok(Vec::new())
}

/// Leaves for another context; what cannot be left for is said together with the contexts that there are.
fn context_named(app: &mut App, name: &str) -> Result<Vec<Effect>, String> {
    let names = app.contexts.join(", ");
    if names.is_empty() {
        return Err("no context of a kubeconfig leads to this source".into());
    }
    if name.is_empty() {
        return Err(format!("context {}, of {names}", app.shown.source.context));
    }
    if !app.contexts.iter().any(|context| context == name) {
        return Err(format!("no context is called {name:?}: {names}"));
    }
    app.wanted = Some(name.to_owned());
    Ok(vec![Effect::Quit(Exit::Reconnect)])
}

/// As flags take it, or a bare number of seconds: `90`, `90s`, `5m`, `1h30m`.
fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()));
    let duration = seconds.map_or_else(|| khan_api::duration::parse_positive(text).ok(), Some);
    let allowed = Duration::from_secs(1)..=Duration::from_secs(u32::MAX.into());
    let duration = duration.filter(|duration| allowed.contains(duration));
    duration.ok_or_else(|| format!("{text:?} is no time; write for example 30s, 5m, 1h30m"))
}

/// Completes a command's name as far as it is certain.
pub fn complete(prompt: &mut Prompt) {
    let head = prompt.text().to_owned();
    if head.contains(' ') {
        return;
    }
    let names = COMMANDS.iter().map(|(name, _)| *name).chain(ACTIONS.iter().map(|action| action.name));
    let mut fitting: Vec<_> = names.filter(|name| name.starts_with(&head)).collect();
    fitting.sort_unstable();
    fitting.dedup();
    let Some(first) = fitting.first() else { return };
    let common = (0..=first.len()).rev().find(|end| fitting.iter().all(|name| name.starts_with(&first[..*end])));
    let mut completed = first[..common.unwrap_or(0)].to_owned();
    let known = |name: &str| ACTIONS.iter().any(|action| action.name == name);
    if fitting.len() == 1 && COMMANDS.iter().any(|(name, _)| *name == completed) && !known(&completed) {
        completed.push(' ');
    }
    prompt.set(completed);
}

#[cfg(test)]
mod tests {
    use super::super::prompt::Purpose;
    use super::*;

    #[test]
    fn names_complete_as_far_as_they_are_certain() {
        let completed = |text: &str| {
            let mut prompt = Prompt::new(Purpose::Command, text);
            complete(&mut prompt);
            prompt.text().to_owned()
        };
        assert_eq!(completed("colu"), "columns");
        assert_eq!(completed("fil"), "filter");
        assert_eq!(completed("interv"), "interval ");
        assert_eq!(completed("bas"), "baseline");
        assert_eq!(completed("zz"), "zz");
        assert_eq!(completed("filter s"), "filter s");
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
