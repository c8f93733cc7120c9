//! What is shown, into a file: its name is asked for, and nothing is overwritten unless that was asked too.

use std::path::Path;
use std::time::Instant;

use crate::model::Projection;
use crate::output::{self, Format, Layout};
use crate::report::{Report, connections, leaks, nodes, problems};
use crate::screen::items::{Item, What};
use crate::screen::msg::{Effect, NotWritten};
use crate::screen::prompt::{Fault, Purpose};
use crate::screen::state::App;
use crate::screen::tab::Tab;

use super::line::begin;

/// Endings of file names that say which form is meant.
const ENDINGS: [&str; 9] = ["csv", "tsv", "json", "ndjson", "jsonl", "yaml", "yml", "md", "txt"];

/// A name for the file that what is shown is written into, in a form that is called by its ending.
pub(super) fn file_name(app: &App, ending: &str) -> String {
    let shown = if app.drills.is_empty() { app.lists.tab().title().to_lowercase() } else { "details".to_owned() };
    let stamp: String = app.data.clock().to_string().chars().filter(char::is_ascii_alphanumeric).take(15).collect();
    format!("khan-{shown}-{stamp}.{ending}")
}

/// What is shown, as the commands print it, in the form that the name of the file asks for.
fn contents(app: &App, name: &str) -> Result<String, String> {
    let ending = Path::new(name).extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    let known = ending.as_deref().filter(|ending| ENDINGS.contains(ending));
    let format = match known {
        Some("txt") => Format::Table,
        Some(ending) => ending.parse().map_err(|error: output::FormatError| error.to_string())?,
        None => {
            let endings = ENDINGS.map(|ending| format!(".{ending}")).join(", ");
            return Err(format!("the ending decides the form: {endings}"));
        }
    };
    let mut text = Vec::new();
    // Writing into memory does not fail, and reports are UTF-8.
    output::write(&report(app), &Layout { format, ..Layout::default() }, &mut text)
        .map_err(|error| error.to_string())?;
    String::from_utf8(text).map_err(|error| error.to_string())
}

/// What is shown as a report: the list of the innermost opened row, else the view's.
fn report(app: &App) -> Report {
    let view = app.data.view();
    if let Some(drill) = app.drills.last() {
        let pane = drill.pane.min(drill.panes.len().saturating_sub(1));
        return match drill.panes.get(pane) {
            Some((_, rows)) => connections::report(view, &drill.pane_query(pane), rows),
            None => connections::report(view, &drill.query, &drill.whole),
        };
    }
    let (question, answers) = (&app.question, &app.answers);
    match app.lists.tab() {
        Tab::Leaks => leaks::report(answers.report(), &question.leak_query(), question.rule(), view.gaps()),
        Tab::Problems => {
            let (query, rules) = (question.leak_query(), question.rules());
            problems::report(answers.problems(), &query, &rules, view.gaps(), app.data.moment())
        }
        Tab::Agents => nodes::report(view, app.data.clock()),
        Tab::Nodes => connections::report(view, &app.query(), answers.projection()),
        _ => {
            let row = |item: &Item| if let What::Child(..) = item.what { None } else { app.row(item).cloned() };
            let rows = answers.items().iter().filter_map(row).collect();
            connections::report(view, &app.query(), &Projection { rows, ..answers.projection().clone() })
        }
    }
}

/// Writes what is shown into the file of this name, or asks again.
pub(super) fn write_to(app: &mut App, name: &str) -> Vec<Effect> {
    let overwrite = app.prompts.may_overwrite(name);
    match contents(app, name) {
        Ok(text) => vec![Effect::Write { name: name.to_owned(), overwrite, text }],
        Err(reason) => {
            ask_again(app, name, reason);
            Vec::new()
        }
    }
}

fn ask_again(app: &mut App, name: &str, reason: String) {
    begin(app, Purpose::Export, name);
    app.prompts.set_fault(Some(Fault::whole(reason)));
}

/// A file was not written. Who types something else by now is not interrupted.
pub(super) fn not_written(app: &mut App, name: &str, reason: NotWritten, now: Instant) {
    let reason = match reason {
        NotWritten::Exists => {
            app.prompts.ask_about(name);
            format!("{name} is there already: Enter overwrites it; or give another name")
        }
        NotWritten::Failed(reason) => reason,
    };
    if app.prompts.current().is_some() {
        app.say(now, format!("not written: {reason}"));
    } else {
        ask_again(app, name, reason);
        app.touch();
    }
}
