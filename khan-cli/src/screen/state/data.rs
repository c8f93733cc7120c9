//! What the source has said: the view on the screen, its past, and what went wrong.

use std::sync::Arc;
use std::time::Duration;

use khan_api::Timestamp;

use crate::feed::{Link, News};
use crate::model::leak::LeakReport;
use crate::model::{History, LeakRule, Projection, Query, SourceKind, View, leaks, project};
use crate::screen::errors::ErrorLog;

use super::table_usage::TableUsage;

/// What the source has said so far, and whether it goes on.
#[derive(Debug)]
pub struct Data {
    clock: Timestamp,
    contexts: Vec<String>,
    view: Arc<View>,
    history: History,
    table_usage: TableUsage,
    errors: ErrorLog,
    link: Link,
    ended: bool,
    paused: Option<Box<Pause>>,
}

/// The present, while the screen shows an earlier moment.
///
/// The history goes on with numbers, so that a long pause takes no more memory than watching does, plus the rows of the
/// moment shown.
#[derive(Debug)]
struct Pause {
    since: Timestamp,
    /// The latest view; `None` before one has come.
    view: Option<Arc<View>>,
    history: History,
    table_usage: TableUsage,
}

impl Data {
    pub(super) fn new() -> Self {
        Self {
            clock: Timestamp::default(),
            contexts: Vec::new(),
            view: Arc::default(),
            history: History::default(),
            table_usage: TableUsage::default(),
            errors: ErrorLog::default(),
            link: Link::Up,
            ended: false,
            paused: None,
        }
    }

    /// The wall clock at the latest tick.
    pub const fn clock(&self) -> Timestamp {
        self.clock
    }

    /// The kubeconfig's contexts; empty where none leads to the source.
    pub fn contexts(&self) -> &[String] {
        &self.contexts
    }

    /// The view on the screen.
    pub const fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// The past of what is on the screen.
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// How full the nodes' tables were.
    pub const fn table_usage(&self) -> &TableUsage {
        &self.table_usage
    }

    /// What went wrong.
    pub const fn errors(&self) -> &ErrorLog {
        &self.errors
    }

    /// The way to the source.
    pub const fn link(&self) -> &Link {
        &self.link
    }

    /// Whether the source has nothing more to say.
    pub const fn ended(&self) -> bool {
        self.ended
    }

    /// Since when the screen stands still.
    pub fn paused(&self) -> Option<Timestamp> {
        self.paused.as_ref().map(|pause| pause.since)
    }

    /// The period of the slowest agent; `None` where it is not known.
    pub fn period(&self) -> Option<Duration> {
        self.view.nodes.iter().map(|node| node.interval).max().filter(|period| !period.is_zero())
    }

    /// How old the newest data is, when that is much older than `interval` allows: the source hangs, or this computer
    /// slept. The past is not outdated: a pause, a recording, a source that has ended.
    pub fn outdated(&self, interval: Duration) -> Option<Duration> {
        let past = self.paused.is_some() || self.ended || self.view.source.kind == SourceKind::Replay;
        let age = self.clock.since(self.view.newest.filter(|_| !past)?);
        let usual = interval.max(self.period().unwrap_or_default()).max(Duration::from_secs(4));
        (age > usual * 3).then_some(age)
    }

    /// Another source follows: forgets what the one before has said.
    pub(in crate::screen) fn connect(&mut self, contexts: Vec<String>) {
        *self = Self { clock: self.clock, contexts, ..Self::new() };
    }

    /// A second has passed.
    pub(in crate::screen) fn tick(&mut self, clock: Timestamp) {
        self.clock = clock;
    }

    /// Takes a view. Says whether it is the one on the screen now.
    pub(in crate::screen) fn take_view(&mut self, view: Arc<View>) -> bool {
        self.clock = self.clock.max(view.assembled);
        if let Some(pause) = &mut self.paused {
            pause.history.push(Arc::clone(&view));
            pause.table_usage.push(&view);
            pause.view = Some(view);
            return false;
        }
        self.history.push(Arc::clone(&view));
        self.table_usage.push(&view);
        self.view = view;
        true
    }

    /// Takes news. Says whether the past has changed.
    pub(in crate::screen) fn take_news(&mut self, news: News) -> bool {
        match news {
            News::Error { at, node, message } => self.errors.begin(at, &node, &message),
            News::Recovered { at, node } => self.errors.end(at, &node),
            News::Link(link) => {
                match &link {
                    Link::Retrying { reason, .. } | Link::Credentials(reason) => {
                        self.errors.begin(self.clock, "", reason);
                    }
                    Link::Up => self.errors.end(self.clock, ""),
                }
                self.link = link;
            }
            News::Past(views) if views.is_empty() => {}
            News::Past(views) => {
                if let Some(pause) = &mut self.paused {
                    pause.history.backfill(views.clone());
                }
                self.history.backfill(views);
                return true;
            }
            News::End => self.ended = true,
        }
        false
    }

    /// The source's task is gone.
    pub(in crate::screen) fn lose_source(&mut self) {
        if !self.ended {
            self.errors.begin(self.clock, "", "the source has ended; what is shown stays as it is");
        }
        self.ended = true;
    }

    /// Freezes what is shown. The history goes on behind it.
    pub(in crate::screen) fn pause(&mut self) {
        let (history, table_usage) = (self.history.clone(), self.table_usage.clone());
        self.paused = Some(Box::new(Pause { since: self.clock, view: None, history, table_usage }));
    }

    /// Goes on after a pause with everything that came meanwhile.
    pub(in crate::screen) fn resume(&mut self) {
        let Some(pause) = self.paused.take() else { return };
        (self.history, self.table_usage) = (pause.history, pause.table_usage);
        if let Some(view) = pause.view {
            self.view = view;
        }
    }

    /// Counts changes from what is shown.
    pub(in crate::screen) fn set_baseline(&mut self) {
        self.baseline(Some(Arc::clone(&self.view)));
    }

    /// Counts changes from the window's start again.
    pub(in crate::screen) fn clear_baseline(&mut self) {
        self.baseline(None);
    }

    fn baseline(&mut self, view: Option<Arc<View>>) {
        if let Some(pause) = &mut self.paused {
            pause.history.set_baseline(view.clone());
        }
        self.history.set_baseline(view);
    }

    /// The answer to `query`, whose past is kept from now on.
    pub(super) fn ask(&mut self, query: &Query) -> Projection {
        self.history.track(query);
        project(&self.view, query, &self.history)
    }

    /// What keeps growing among the rows of `query`, whose past is kept from now on.
    pub(super) fn judge(&mut self, query: &Query, rule: &LeakRule) -> LeakReport {
        self.history.track(query);
        leaks(&self.view, query, &self.history, rule)
    }

    /// Keeps the past of the answer to `query` from now on.
    pub(super) fn track(&mut self, query: &Query) {
        self.history.track(query);
    }

    /// For answers that are made elsewhere.
    pub(super) fn view_and_past(&mut self) -> (&View, &mut History) {
        (&self.view, &mut self.history)
    }
}
