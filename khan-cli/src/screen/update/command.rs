//! The command line behind `:`. Every action has its name here; [`COMMANDS`] take a value.

use std::time::Instant;

use crate::nearest::nearest;
use crate::screen::commands::{COMMANDS, Command, command};
use crate::screen::keys::{BINDINGS, Binding, Context};
use crate::screen::msg::{Effect, Exit};
use crate::screen::setting::{Setting, duration};
use crate::screen::state::App;

use super::actions::{go_to, look_over, perform, set, show_saved};
use super::export::write_to;
use super::save::save;

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
        "export" => Ok(write_to(app, value)),
        "save" => save(app, value).map(|effect| vec![effect]),
        "context" => context_named(app, value),
        "at" => go_to(app, value).map(|()| Vec::new()),
        "since" => duration(value).map(|range| look_over(app, range, now)),
        "view" => match app.settings.views().iter().position(|saved| saved.name == value) {
            Some(at) => Ok(show_saved(app, at, now)),
            None => view(app, value),
        },
        _ => Setting::parse(name, value).map(|setting| set(app, setting)),
    }
}

/// Shows one of the program's own views.
fn view(app: &mut App, name: &str) -> Result<Vec<Effect>, String> {
    let saved = app.settings.views().iter().map(|saved| saved.name.as_str());
    let setting = Setting::parse("view", name).map_err(|reason| match nearest(name, saved) {
        Some(near) => format!("no view is called {name:?}: did you mean {near}?"),
        None => reason,
    })?;
    Ok(set(app, setting))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_command_is_answered_with_the_nearest() {
        assert_eq!(unknown("colums"), "no command is called \"colums\": did you mean :columns? (:? lists them)");
        assert_eq!(unknown("xyzzy"), "no command is called \"xyzzy\": :? lists them");
    }
}
