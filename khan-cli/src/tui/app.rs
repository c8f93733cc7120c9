//! Everything that the screens show: one owner, changed only by [`super::update`].

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use khan_api::Timestamp;

use crate::feed::Link;
use crate::model::filter::Filter;
use crate::model::leak::{Leak, LeakReport};
use crate::model::{
    GroupBy, History, LeakRule, Projected, Projection, Query, RowKey, Sort, Verdict, View, leaks, project,
};

use super::drill::Drill;
use super::errors::ErrorLog;
use super::glyphs::Glyphs;
use super::keymap::Keymap;
use super::list::Cursor;
use super::overlay::Overlay;
use super::page::Page;
use super::prompt::Prompt;
use super::styles::{Depth, Styles, Theme};
use super::table::{Item, What, items};

/// What stays as it is while the program runs.
#[derive(Debug)]
pub struct Setup {
    /// Keys.
    pub keymap: Keymap,
    /// Characters.
    pub glyphs: &'static Glyphs,
    /// Colours that the terminal has.
    pub depth: Depth,
    /// Zone of the wall clock on the screen.
    pub zone: TimeZone,
    /// Where exports go.
    pub directory: std::path::PathBuf,
}

/// What the column after the connections shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delta {
    /// The change over the window.
    #[default]
    Window,
    /// The change since the baseline.
    Baseline,
    /// The change per minute.
    Rate,
}

/// How one view stands.
#[derive(Clone, Debug)]
pub struct ListState {
    /// Index into the view's groupings.
    pub grouping: usize,
    /// A grouping of the user's own instead.
    pub own: Option<GroupBy>,
    /// Order.
    pub sort: Sort,
    /// Cursor and scroll position.
    pub cursor: Cursor,
    /// Columns scrolled away on the left.
    pub shift: usize,
}

/// A line at the bottom that goes away by itself.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What it says.
    pub text: String,
    /// When it goes.
    pub until: Instant,
}

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
    /// Views that came while paused, oldest first.
    pub waiting: Vec<Arc<View>>,
    /// When pausing began.
    pub paused: Option<Timestamp>,
    /// The way to the source.
    pub link: Link,
    /// The source has nothing more to tell.
    pub ended: bool,
    /// The past.
    pub history: History,
    /// How full the nodes' tables were.
    pub fill: super::fill::Fill,
    /// What went wrong.
    pub errors: ErrorLog,
    /// The view's number.
    pub page: Page,
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
        let list = |page: Page| {
            let own = (page == Page::Edges).then_some(query.group_by);
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
            waiting: Vec::new(),
            paused: None,
            link: Link::Up,
            ended: false,
            history: History::default(),
            fill: super::fill::Fill::default(),
            errors: ErrorLog::default(),
            page: Page::Edges,
            lists: Page::ALL.map(list),
            base: query,
            filter_text: filter.to_string(),
            filter,
            delta: Delta::Window,
            projection: Projection::default(),
            items: Vec::new(),
            children: Vec::new(),
            report: LeakReport::default(),
            rule,
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

    /// How the present view stands.
    pub fn list(&self) -> &ListState {
        &self.lists[self.page.index()]
    }

    /// The same, to change it.
    pub fn list_mut(&mut self) -> &mut ListState {
        &mut self.lists[self.page.index()]
    }

    /// What the present view groups by.
    pub fn group_by(&self) -> GroupBy {
        let list = self.list();
        list.own.unwrap_or_else(|| self.page.groupings()[list.grouping].by)
    }

    /// What the present view's rows are called.
    pub fn rows_are(&self) -> &'static str {
        let list = self.list();
        if list.own.is_some() { "groups" } else { self.page.groupings()[list.grouping].name }
    }

    /// What the present view asks of the model.
    pub fn query(&self) -> Query {
        let list = self.list();
        let restriction = match list.own {
            None => self.page.groupings()[list.grouping].restriction(),
            Some(_) => None,
        };
        Query {
            group_by: self.group_by(),
            filter: match restriction {
                Some(restriction) => self.filter.clone().and(restriction),
                None => self.filter.clone(),
            },
            sort: list.sort,
            limit: if self.page == Page::Nodes { 0 } else { self.base.limit },
            since_baseline: self.delta == Delta::Baseline,
            ..self.base.clone()
        }
    }

    /// What the leaks view asks.
    pub fn leak_query(&self) -> Query {
        Query { group_by: GroupBy::EDGES, filter: self.filter.clone(), limit: 0, ..self.base.clone() }
    }

    /// Answers the present questions anew. Call after anything that changes an answer.
    pub fn refresh(&mut self, new_view: bool) {
        if new_view || self.page == Page::Leaks {
            let query = self.leak_query();
            self.history.track(&query);
            self.report = leaks(&self.shown, &query, &self.history, &self.rule);
        }
        if matches!(self.page, Page::Leaks | Page::Agents) {
            // The header's totals are those of the whole scope.
            let query = Query { group_by: GroupBy::NONE, ..self.leak_query() };
            self.history.track(&query);
            self.projection = project(&self.shown, &query, &self.history);
            self.children.clear();
        } else {
            let query = self.query();
            self.history.track(&query);
            self.projection = project(&self.shown, &query, &self.history);
            self.expand(&query);
        }
        self.items = items(self);
        self.settle();
        let (shown, history) = (Arc::clone(&self.shown), &mut self.history);
        for drill in &mut self.drills {
            drill.refresh(&shown, history);
        }
        self.settle_drill();
        self.dirty = true;
    }

    fn expand(&mut self, query: &Query) {
        self.children.clear();
        for row in &self.projection.rows {
            if self.expanded.contains(&row.key) {
                let finer = super::table::finer(row, &query.group_by);
                let within = Query { limit: 20, ..query.within(row.key, finer) };
                self.history.track(&within);
                self.children.push((row.key, project(&self.shown, &within, &self.history)));
            }
        }
    }

    /// Keys of the lines, in order.
    pub fn keys(&self) -> Vec<RowKey> {
        self.items.iter().map(|item| item.key).collect()
    }

    /// Lines that the list has on the screen.
    pub fn body_height(&self) -> usize {
        usize::from(super::view::frame::layout(self.size, self).body.height).saturating_sub(1)
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
    pub fn row(&self, item: &Item) -> Option<&Projected> {
        match item.what {
            What::Row(at) => self.projection.rows.get(at),
            What::Child(parent, at) => self.children.get(parent)?.1.rows.get(at),
            What::Leak(at) => self.report.leaks.get(at).map(|leak| &leak.row),
            What::Node(node) => self.node_row(node),
            What::Reason(..) | What::Other | What::Agent(_) => None,
        }
    }

    /// The connections of a node, by its index in the view.
    pub fn node_row(&self, node: usize) -> Option<&Projected> {
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

    /// How many rows the rule finds likely, and how many it watches.
    pub fn suspects(&self) -> (usize, usize) {
        let count = |verdict| self.report.leaks.iter().filter(|leak| leak.verdict == verdict).count();
        (count(Verdict::Likely), count(Verdict::Watch))
    }

    /// Shows a message for a while.
    pub fn say(&mut self, now: Instant, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), until: now + Duration::from_secs(6) });
        self.dirty = true;
    }
}
