//! Everything that the screen shows, in parts. Anybody may read them; the verbs that change them are for
//! [`update`](super::update) alone.

pub mod settings;
mod table_usage;
pub mod past;
pub(super) mod cursor;
pub mod drill;
mod data;
mod lists;
pub(super) mod names;
pub(super) mod diagnosis;
pub(super) mod question;
mod answers;
pub(super) mod beside;
mod drills;
pub(super) mod overlays;
pub(super) mod prompts;
pub(super) mod heads;

use std::time::{Duration, Instant};

use crate::feed::Link;
use crate::model::leak::Leak;
use crate::model::{LeakRule, Query, Row};

use super::columns::Column;
use super::items::{Item, What};
use super::keys::{Action, Context};
use super::layout::{Areas, Shown, layout};
use super::menu::{Entry, MenuKind, Subject};
use super::reader::{Line, Matter, Reader};
use super::tab::Tab;

use answers::Answers;
use beside::Beside;
use data::Data;
use diagnosis::Diagnosis;
use drills::Drills;
use lists::Lists;
use overlays::{Overlay, Overlays};
use prompts::Prompts;
use question::Question;
use settings::{Settings, Setup};

/// The state of the screen.
#[derive(Debug)]
pub struct App {
    /// How things are shown.
    pub settings: Settings,
    /// What the source has said.
    pub data: Data,
    /// Which view is shown, and how its list stands.
    pub lists: Lists,
    /// What is asked of the data.
    pub question: Question,
    /// The answers.
    pub answers: Answers,
    /// Opened rows.
    pub drills: Drills,
    /// What lies over the screen.
    pub overlays: Overlays,
    /// The line being typed.
    pub prompts: Prompts,
    /// Boxed: futures hold the state by value.
    beside: Box<Beside>,
    size: (u16, u16),
    dirty: bool,
    /// Whether the answers are still those to the question before.
    late: bool,
}

impl App {
    /// The state before the first view.
    pub fn new(setup: Setup, query: Query, rule: LeakRule) -> Self {
        Self {
            settings: Settings::new(setup),
            data: Data::new(),
            lists: Lists::new(&query),
            question: Question::new(query, rule),
            answers: Answers::default(),
            drills: Drills::default(),
            overlays: Overlays::default(),
            prompts: Prompts::default(),
            beside: Box::default(),
            size: (80, 24),
            dirty: true,
            late: false,
        }
        .prepared()
    }

    fn prepared(mut self) -> Self {
        self.prepare();
        self
    }

    /// Remembers as much of a source's data as is looked back on.
    pub(super) fn prepare(&mut self) {
        let reach = self.reach();
        self.data.remember(reach);
    }

    /// What the row consists of that the details below the list are about.
    pub fn beside(&self) -> &Beside {
        &self.beside
    }

    /// Columns and lines of the terminal.
    pub const fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Whether the screen no longer shows the state.
    pub const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Where the next key is pressed.
    pub const fn context(&self) -> Context {
        match (self.overlays.current(), self.drills.is_empty(), self.lists.tab()) {
            (Some(Overlay::Reader(_)), ..) => Context::Reader,
            (Some(Overlay::Menu(_)), ..) => Context::Menu,
            (None, false, _) => Context::Drill,
            (None, true, Tab::Problems) => Context::Problems,
            (None, true, Tab::Leaks) => Context::Leaks,
            (None, true, _) => Context::Table,
        }
    }

    /// The key that logs in again, while the API server refuses the credentials.
    pub fn login(&self) -> Option<String> {
        let key = self.settings.keymap().first(self.context(), Action::Open).map(|(key, _)| key.to_string());
        matches!(self.data.link(), Link::Credentials(_)).then(|| key.unwrap_or_else(|| ":open".into()))
    }

    /// How old the newest data is, when that is much older than it should be.
    pub fn outdated(&self) -> Option<Duration> {
        self.data.outdated(self.settings.interval())
    }

    /// How far back anything that is shown looks.
    pub fn reach(&self) -> Duration {
        let base = self.question.base();
        base.window.max(base.trend).max(self.question.rule().window)
    }

    /// Whether the keys that move through time come before others: an earlier moment is shown, or a recording.
    pub fn looks_back(&self) -> bool {
        let lists = matches!(self.context(), Context::Table | Context::Problems | Context::Leaks | Context::Drill);
        lists && (self.data.is_past() || self.data.is_replay())
    }

    /// What decides where the parts of the screen are.
    pub fn shown(&self) -> Shown {
        Shown {
            tab: self.lists.tab(),
            opened: !self.drills.is_empty(),
            diagnosis: self.diagnosis().is_some(),
            details: self.settings.details(),
            rows: self.answers.items().len(),
            tables: self.data.view().nodes.iter().filter(|node| !node.tables.is_empty()).count(),
        }
    }

    /// What is wrong, in one sentence, if anything is known to be. View 6 says it in its lists.
    pub fn diagnosis(&self) -> Option<&Diagnosis> {
        self.answers.diagnosis().filter(|_| self.lists.tab().numbered() != Tab::Problems)
    }

    /// Where the parts of the screen are.
    pub fn areas(&self) -> Areas {
        layout(self.size, self.shown())
    }

    /// Lines that the list has on the screen.
    pub fn body_height(&self) -> usize {
        usize::from(self.areas().body.height).saturating_sub(1)
    }

    /// What the view shown asks of the model.
    pub fn query(&self) -> Query {
        self.question.query(&self.lists)
    }

    /// The item under the cursor.
    pub fn current(&self) -> Option<&Item> {
        let key = self.lists.cursor().key?;
        self.answers.items().iter().find(|item| item.key == key)
    }

    /// The item under the cursor, else the first one.
    pub fn current_or_first(&self) -> Option<&Item> {
        self.current().or(self.answers.items().first())
    }

    /// The model's row of an item.
    pub fn row(&self, item: &Item) -> Option<&Row> {
        self.answers.row(self.data.view(), item)
    }

    /// An item's row, and the question that it is an answer to.
    pub fn subject(&self, item: &Item) -> Option<(Query, &Row)> {
        let row = self.row(item).or(self.leak(item).map(|leak| &leak.row))?;
        let query = match item.what {
            What::Child(parent, _) => {
                let (key, _) = self.answers.children().get(parent)?;
                self.question.parts_of(&self.lists, self.answers.projection().row(*key)?)
            }
            What::Leak(_) | What::Reason(..) => self.question.leak_query(),
            _ => self.query(),
        };
        Some((query, row))
    }

    /// The leak of an item.
    pub fn leak(&self, item: &Item) -> Option<&Leak> {
        self.answers.leak(item)
    }

    /// The entries of a menu over the present list.
    pub fn entries(&self, menu: MenuKind) -> Vec<Entry> {
        menu.entries(Subject {
            tab: self.lists.tab(),
            group_by: self.lists.group_by(),
            sort: self.lists.list().sort.by,
            columns: self.settings.columns(),
            views: self.settings.views(),
        })
    }

    /// What is kept of this context for the next time, if the user wants that: the view, its rows, their order, the columns.
    pub fn kept(&self) -> Vec<(&'static str, String)> {
        let list = self.lists.list();
        let columns = Column::all().filter(|column| self.settings.columns().shows(*column)).map(Column::name);
        vec![
            ("view", self.lists.tab().title().to_lowercase()),
            ("group-by", self.lists.group_by().to_string()),
            ("sort-by", list.sort.to_string()),
            ("columns", columns.collect::<Vec<_>>().join(",")),
        ]
    }

    /// What texts are written from.
    fn matter(&self) -> Matter<'_> {
        Matter {
            tab: self.lists.tab(),
            keymap: self.settings.keymap(),
            rule: self.question.rule(),
            errors: self.data.errors(),
            zone: self.settings.zone(),
        }
    }

    /// The title of a text that is open.
    pub fn title(&self, reader: &Reader) -> String {
        reader.text.title(self.matter())
    }

    /// The lines of a text that is open.
    pub fn lines(&self, reader: &Reader) -> Vec<Line> {
        reader.text.lines(self.matter(), usize::from(self.size.0).saturating_sub(4).max(8))
    }

    /// Lines of a text that the screen shows at once.
    pub fn page_height(&self) -> usize {
        usize::from(self.size.1).saturating_sub(4).max(1)
    }

    /// Looks into the row that the details below the list are about, if there are any and it is another one.
    pub(super) fn look_beside(&mut self) {
        if self.late {
            return;
        }
        let shown = self.areas().details.height > 0 && self.lists.tab().numbered() != Tab::Problems;
        let item = if shown { self.current_or_first().copied() } else { None };
        if item.map(|item| item.key) == self.beside.key() {
            return;
        }
        let beside = match item {
            None => Beside::default(),
            Some(item) => match self.subject(&item) {
                Some((query, row)) => Beside::look(item.key, &query, row, self.data.view(), self.data.history()),
                None => Beside::nothing(item.key),
            },
        };
        *self.beside = beside;
        self.dirty = true;
    }

    /// Takes the terminal's size. Says whether it is another one.
    pub(super) fn resize(&mut self, size: (u16, u16)) -> bool {
        std::mem::replace(&mut self.size, size) != size
    }

    /// The screen is to be drawn again.
    pub(super) fn touch(&mut self) {
        self.dirty = true;
    }

    /// Shows a message for a while.
    pub(super) fn say(&mut self, now: Instant, text: impl Into<String>) {
        self.overlays.say(now, text);
        self.dirty = true;
    }

    /// The screen shows the state.
    pub(super) fn drawn(&mut self) {
        self.dirty = false;
    }

    /// Answers the present questions again. Call after anything that changes an answer.
    pub(super) fn refresh(&mut self, new_data: bool) {
        self.late = false;
        self.answers.refresh(&mut self.data, &self.question, &self.lists, new_data);
        *self.beside = Beside::default();
        self.drills.refresh(&mut self.data, *self.question.rule());
        self.settle();
    }

    /// As [`refresh`](Self::refresh), but not before anybody looks: another key may change the question again, and each question
    /// costs a walk through the past, and the past of another.
    pub(super) fn refresh_late(&mut self) {
        (self.late, self.dirty) = (true, true);
    }

    /// Somebody looks: the answers are to the present questions from here on.
    pub(super) fn catch_up(&mut self) {
        if self.late {
            self.refresh(false);
        }
    }

    /// Binds cursors and scroll positions to the lines that there are now.
    pub(super) fn settle(&mut self) {
        let (keys, height) = (self.answers.keys(), self.body_height());
        self.lists.settle(&keys, height);
        self.drills.settle(self.size.1);
        self.dirty = true;
    }
}
