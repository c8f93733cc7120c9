//! How fresh the data is and how much of it is there.

use ratatui::style::Style;

use crate::feed::Link;
use crate::model::NodeState;
use crate::screen::format;
use crate::screen::state::App;

/// Whether data flows: `LIVE`, `PAUSED 14:17:03`, ... and how it looks.
pub(super) fn flow(app: &App) -> (String, Style) {
    let styles = app.settings.styles();
    if let Some(moment) = past(app) {
        return (moment, styles.selected);
    }
    if let Some(since) = app.data.paused() {
        let behind = app.data.clock().since(since);
        let late = if behind.as_secs() >= 600 { format!(" {} behind", format::age(behind)) } else { String::new() };
        return (format!("PAUSED {}{late}", format::clock(since, app.settings.zone())), styles.warn);
    }
    match app.data.link() {
        Link::Retrying { attempt, next, .. } => {
            let wait = next.since(app.data.clock()).as_secs();
            (format!("RECONNECTING in {wait}s (attempt {attempt})"), styles.bad)
        }
        Link::Credentials(_) => ("WAITING FOR CREDENTIALS".into(), styles.warn),
        // Its last view can come before those that precede it.
        Link::Up if app.data.is_replay() && !app.data.ended() => ("LOADING".into(), styles.warn),
        Link::Up if app.data.is_replay() => (format!("ENDED {}", moment(app)), styles.warn),
        Link::Up if app.data.ended() => ("ENDED".into(), styles.warn),
        // Nothing has been heard yet, or nobody is there to be heard.
        Link::Up if app.data.view().newest.is_none() && !app.data.view().settled => ("CONNECTING".into(), styles.warn),
        Link::Up if app.data.view().counted_nodes() == 0 => ("NO DATA".into(), styles.bad),
        // The source hangs, or this computer slept: the data on the screen is old.
        Link::Up => match app.outdated() {
            Some(age) => (format!("STALE {}", format::age(age)), styles.warn),
            None => ("LIVE".into(), styles.good),
        },
    }
}

/// An earlier moment than the latest, and how it is shown; `None` while the latest is.
fn past(app: &App) -> Option<String> {
    if !app.data.is_past() || app.data.paused().is_some() {
        return None;
    }
    let (moment, player) = (moment(app), app.data.player());
    let words = match (player.due().is_some(), app.data.is_replay()) {
        (true, _) => format!(" PLAYING x{} {moment} ", player.speed()),
        (false, true) => format!(" REPLAY {moment} "),
        (false, false) => {
            let ago = format::age(app.data.clock().since(app.data.view().assembled));
            format!(" PAST {moment}, {ago} ago ")
        }
    };
    Some(words)
}

/// When the view on the screen was put together.
fn moment(app: &App) -> String {
    format::clock(app.data.view().assembled, app.settings.zone())
}

/// Nodes that answered, all nodes, stale nodes and failed nodes.
pub(super) fn coverage(app: &App) -> (usize, usize, usize, usize) {
    let view = app.data.view();
    let failed = view.count(NodeState::Failed);
    (view.count(NodeState::Ok), view.nodes.len(), view.count(NodeState::Stale), failed)
}

pub(super) fn snapshot_age(app: &App) -> Option<String> {
    app.data.view().newest.map(|newest| format::age(app.data.clock().since(newest)))
}

/// The style of the age: a warning once the data is older than three periods.
pub(super) fn age_style(app: &App) -> Style {
    let Some((newest, period)) = app.data.view().newest.zip(app.data.period()) else {
        return app.settings.styles().text;
    };
    if app.data.clock().since(newest) > period * 3 { app.settings.styles().warn } else { app.settings.styles().text }
}
