//! Everything that the screens show: one owner, changed only by [`super::update`].

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use khan_api::Timestamp;

use crate::feed::Link;
use crate::model::filter::Filter;
use crate::model::leak::{Leak, LeakReport};
use crate::model::{History, LeakRule, Projection, Query, Row, RowKey, SourceKind, Verdict, View};

use super::cursor::Cursor;
use super::drill::Drill;
use super::errors::ErrorLog;
use super::keys::Id;
use super::overlay::Overlay;
use super::prompt::Prompt;
use super::state::{Delta, ListState, Notice, Pause, Setup};
use super::styles::{Styles, Theme};
use super::tab::Tab;
use super::table::{Item, What};
use super::update::context;

/// The state of the program.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a state of its own")]
pub struct App {
    /// See there.
    pub setup: Setup,
    /// Colours.
    pub theme: Theme,
    /// Their styles on this terminal.
    pub styles: Styles,
    /// Columns and lines.
    pub size: (u16, u16),
    /// The wall clock at the latest tick.
    pub clock: Timestamp,
    /// The view on the screen.
    pub shown: Arc<View>,
    /// Set while the screen stands still.
    pub paused: Option<Box<Pause>>,
    /// The way to the source.
    pub link: Link,
    /// The kubeconfig's contexts; empty where none leads to the source.
    pub contexts: Vec<String>,
    /// The context that is to be connected to.
    pub wanted: Option<String>,
    /// The source has nothing more to tell.
    pub ended: bool,
    /// The past.
    pub history: History,
    /// How full the nodes' tables were.
    pub fill: super::table_usage::TableUsage,
    /// What went wrong.
    pub errors: ErrorLog,
    /// The view's number.
    pub page: Tab,
    /// How each view stands.
    pub lists: [ListState; 7],
    /// Scope, limit and windows for every view.
    pub base: Query,
    /// The user's filter.
    pub filter: Filter,
    /// As it was typed.
    pub filter_text: String,
    /// Which change is shown.
    pub delta: Delta,
    /// The list's rows as the model answers.
    pub projection: Projection,
    /// The list's lines in the order drawn: what navigation, drawing, copying and exporting read.
    pub items: Vec<Item>,
    /// Lines of expanded rows.
    pub children: Vec<(RowKey, Projection)>,
    /// What keeps growing.
    pub report: LeakReport,
    /// What counts as a leak.
    pub rule: LeakRule,
    /// A source's many destinations on one port are one row.
    pub fold: bool,
    /// Rows that stay on top.
    pub pins: Vec<RowKey>,
    /// Rows that are expanded.
    pub expanded: HashSet<RowKey>,
    /// Opened rows, outermost first.
    pub drills: Vec<Drill>,
    /// What lies over the screen.
    pub overlay: Option<Overlay>,
    /// The line being typed.
    pub prompt: Option<Prompt>,
    /// The list's cursor when a filter began to be typed: half a filter must not move it for good.
    pub held: Option<Cursor>,
    /// Why the line cannot be used.
    pub prompt_error: Option<String>,
    /// Filters typed before.
    pub recent_filters: Vec<String>,
    /// Commands typed before.
    pub recent_commands: Vec<String>,
    /// A passing message.
    pub notice: Option<Notice>,
    /// Columns that the user has hidden or shown, by name.
    pub columns: super::columns::Choice,
    /// Details of the row under the cursor are shown below the list.
    pub details: bool,
    /// Mouse events are reported.
    pub mouse: bool,
    /// How old data may be.
    pub interval: Duration,
    /// Numbers the samples that were asked for, so that late answers are known.
    pub asked: u64,
    /// The screen no longer shows the state.
    pub dirty: bool,
}

impl App {
    /// The state before the first view.
    pub fn new(setup: Setup, query: Query, rule: LeakRule, theme: Theme, interval: Duration) -> Self {
        let list = |page: Tab| {
            let own = (page == Tab::Edges).then_some(query.group_by);
            let known = own.and_then(|by| page.groupings().iter().position(|grouping| grouping.by == by));
            ListState {
                grouping: known.unwrap_or(0),
                own: if known.is_some() { None } else { own },
                sort: query.sort,
                cursor: Cursor::default(),
                shift: 0,
            }
        };
        let styles = Styles::new(theme, setup.depth);
        let filter = query.filter.clone();
        Self {
            setup,
            theme,
            styles,
            size: (80, 24),
            clock: Timestamp::default(),
            shown: Arc::default(),
            paused: None,
            link: Link::Up,
            contexts: Vec::new(),
            wanted: None,
            ended: false,
            history: History::default(),
            fill: super::table_usage::TableUsage::default(),
            errors: ErrorLog::default(),
            page: Tab::Edges,
            lists: Tab::ALL.map(list),
            base: query,
            filter_text: filter.to_string(),
            filter,
            delta: Delta::Window,
            projection: Projection::default(),
            items: Vec::new(),
            children: Vec::new(),
            report: LeakReport::default(),
            rule,
            fold: true,
            pins: Vec::new(),
            expanded: HashSet::new(),
            drills: Vec::new(),
            overlay: None,
            prompt: None,
            held: None,
            prompt_error: None,
            recent_filters: Vec::new(),
            recent_commands: Vec::new(),
            notice: None,
            columns: super::columns::Choice::default(),
            details: false,
            mouse: false,
            interval,
            asked: 0,
            dirty: true,
        }
    }

    /// Forgets all that the source has told, because another one follows. View, filter and order stay.
    pub fn forget_source(&mut self) {
        self.shown = Arc::default();
        self.paused = None;
        self.link = Link::Up;
        self.ended = false;
        self.history = History::default();
        self.fill = super::table_usage::TableUsage::default();
        self.errors = ErrorLog::default();
        if self.delta == Delta::Baseline {
            self.delta = Delta::Window;
        }
        self.pins.clear();
        self.expanded.clear();
        self.drills.clear();
        self.overlay = None;
        self.notice = None;
        self.list_mut().cursor.release();
        self.refresh(true);
    }

    /// The key that logs in again, while the API server refuses the credentials.
    pub fn login(&self) -> Option<String> {
        let key = self.setup.keymap.first(context(self), Id::Open).map(|(key, _)| key.to_string());
        matches!(self.link, Link::Credentials(_)).then(|| key.unwrap_or_else(|| ":open".into()))
    }

    /// How the present view stands.
    pub fn list(&self) -> &ListState {
        &self.lists[self.page.index()]
    }

    /// The same, to change it.
    pub fn list_mut(&mut self) -> &mut ListState {
        &mut self.lists[self.page.index()]
    }

    /// Keys of the lines, in order.
    pub fn keys(&self) -> Vec<RowKey> {
        self.items.iter().map(|item| item.key).collect()
    }

    /// Lines that the list has on the screen.
    pub fn body_height(&self) -> usize {
        usize::from(super::panels::frame::layout(self.size, self).body.height).saturating_sub(1)
    }

    /// Binds cursor and scroll position to the lines that there are now.
    pub fn settle(&mut self) {
        let (keys, height) = (self.keys(), self.body_height());
        let page = self.page.index();
        self.lists[page].cursor.settle(&keys, height);
        self.dirty = true;
    }

    /// The same for the innermost opened row.
    pub fn settle_drill(&mut self) {
        let size = self.size;
        if let Some(drill) = self.drills.last_mut() {
            drill.settle(size);
        }
    }

    /// The line under the cursor.
    pub fn current(&self) -> Option<&Item> {
        let key = self.list().cursor.key?;
        self.items.iter().find(|item| item.key == key)
    }

    /// The model's row of a line.
    pub fn row(&self, item: &Item) -> Option<&Row> {
        match item.what {
            What::Row(at) => self.projection.rows.get(at),
            What::Child(parent, at) => self.children.get(parent)?.1.rows.get(at),
            What::Leak(at) => self.report.leaks.get(at).map(|leak| &leak.row),
            What::Node(node) => self.node_row(node),
            What::Reason(..) | What::More(_) | What::Other | What::Agent(_) => None,
        }
    }

    /// The connections of a node, by its index in the view.
    pub fn node_row(&self, node: usize) -> Option<&Row> {
        let name = self.shown.nodes.get(node)?.node.as_str();
        self.projection.rows.iter().find(|row| row.node.as_deref() == Some(name))
    }

    /// The leak of a line.
    pub fn leak(&self, item: &Item) -> Option<&Leak> {
        match item.what {
            What::Leak(at) | What::Reason(at, _) => self.report.leaks.get(at),
            _ => None,
        }
    }

    /// The period of the slowest agent; `None` where it is not known.
    pub fn period(&self) -> Option<Duration> {
        self.shown.nodes.iter().map(|node| node.interval).max().filter(|period| !period.is_zero())
    }

    /// How old the newest data is, when that is much older than it should be: the source hangs, or this computer slept.
    /// The past is not outdated: a pause, a recording, a source that has ended.
    pub fn outdated(&self) -> Option<Duration> {
        let past = self.paused.is_some() || self.ended || self.shown.source.kind == SourceKind::Replay;
        let age = self.clock.since(self.shown.newest.filter(|_| !past)?);
        let usual = self.interval.max(self.period().unwrap_or_default()).max(Duration::from_secs(4));
        (age > usual * 3).then_some(age)
    }

    /// How many rows the rule finds likely, and how many it watches.
    pub fn suspects(&self) -> (usize, usize) {
        let count = |verdict| self.report.leaks.iter().filter(|leak| leak.verdict == verdict).count();
        (count(Verdict::Likely), count(Verdict::Watch))
    }

    /// Draws with another theme.
    pub fn wear(&mut self, theme: Theme) {
        self.theme = theme;
        self.styles = Styles::new(theme, self.setup.depth);
        self.dirty = true;
    }

    /// Shows a message for a while.
    pub fn say(&mut self, now: Instant, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), until: now + Duration::from_secs(6) });
        self.dirty = true;
    }
}
