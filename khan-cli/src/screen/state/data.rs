//! What the source has said: the view on the screen, its past, and what went wrong.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use khan_api::Timestamp;

use crate::feed::{Link, News};
use crate::model::leak::LeakReport;
use crate::model::problems::{Memory, ProblemKind, Problems, Rules, Scene};
use crate::model::{History, LeakRule, Projection, Query, SourceKind, View, leaks, project};
use crate::screen::errors::ErrorLog;

use super::past::{Player, Present, Stride, Way, target};
use super::table_usage::TableUsage;

/// What the source has said so far, and whether it goes on.
#[derive(Debug)]
pub struct Data {
    clock: Timestamp,
    contexts: Vec<String>,
    view: Arc<View>,
    history: History,
    memory: Memory,
    table_usage: TableUsage,
    errors: ErrorLog,
    link: Link,
    ended: bool,
    /// Every round of a recording, oldest first; empty for a live source.
    tape: VecDeque<Arc<View>>,
    /// The present, while an earlier moment is shown.
    present: Option<Box<Present>>,
    player: Player,
}

impl Data {
    pub(super) fn new() -> Self {
        Self {
            clock: Timestamp::default(),
            contexts: Vec::new(),
            view: Arc::default(),
            history: History::default(),
            memory: Memory::default(),
            table_usage: TableUsage::default(),
            errors: ErrorLog::default(),
            link: Link::Up,
            ended: false,
            tape: VecDeque::new(),
            present: None,
            player: Player::default(),
        }
    }

    /// The wall clock at the latest tick.
    pub const fn clock(&self) -> Timestamp {
        self.clock
    }

    /// When what is on the screen was so: now, or when the round was put together that is looked back on.
    pub fn moment(&self) -> Timestamp {
        if self.is_past() || self.is_replay() { self.view.assembled } else { self.clock }
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

    /// Since when the screen shows what it did not let go.
    pub fn paused(&self) -> Option<Timestamp> {
        self.present.as_ref().filter(|present| !present.moved).map(|present| present.since)
    }

    /// Whether an earlier moment than the latest is shown, paused or gone back to.
    pub const fn is_past(&self) -> bool {
        self.present.is_some()
    }

    /// Whether a recording is shown.
    pub fn is_replay(&self) -> bool {
        self.view.source.kind == SourceKind::Replay
    }

    /// Which round is shown, from 1, and how many there are to go to.
    pub fn place(&self) -> (usize, usize) {
        let moments = self.moments();
        (self.place_in(moments) + 1, moments.len())
    }

    /// When the first and the last of the rounds were put together that there are to go to.
    pub fn reach(&self) -> Option<(Timestamp, Timestamp)> {
        let moments = self.moments();
        Some((moments.front()?.assembled, moments.back()?.assembled))
    }

    /// What plays the rounds.
    pub const fn player(&self) -> &Player {
        &self.player
    }

    /// The rounds to go to, oldest first: all of a recording, of a live source those that the history holds.
    fn moments(&self) -> &VecDeque<Arc<View>> {
        match &self.present {
            _ if !self.tape.is_empty() => &self.tape,
            Some(present) => present.history.views(),
            None => self.history.views(),
        }
    }

    /// The place of the view on the screen among `moments`, or of the last one before it.
    fn place_in(&self, moments: &VecDeque<Arc<View>>) -> usize {
        let shown = moments.iter().rposition(|view| Arc::ptr_eq(view, &self.view));
        let before = || moments.iter().rposition(|view| view.assembled <= self.view.assembled);
        shown.or_else(before).unwrap_or(0)
    }

    /// The period of the slowest agent; `None` where it is not known.
    pub fn period(&self) -> Option<Duration> {
        self.view.nodes.iter().map(|node| node.interval).max().filter(|period| !period.is_zero())
    }

    /// How old the newest data is, when that is much older than `interval` allows: the source hangs, or this computer
    /// slept. The past is not outdated: a pause, a recording, a source that has ended.
    pub fn outdated(&self, interval: Duration) -> Option<Duration> {
        let past = self.is_past() || self.ended || self.view.source.kind == SourceKind::Replay;
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

    /// Remembers samples for as long as anything looks back.
    pub(in crate::screen) fn remember(&mut self, reach: Duration) {
        self.history.remember(reach);
        if let Some(present) = &mut self.present {
            present.history.remember(reach);
        }
    }

    /// Takes a view. Says whether it is the one on the screen now.
    pub(in crate::screen) fn take_view(&mut self, view: Arc<View>) -> bool {
        self.clock = self.clock.max(view.assembled);
        if view.source.kind == SourceKind::Replay {
            self.tape.push_back(Arc::clone(&view));
        }
        if let Some(present) = &mut self.present {
            present.history.push(Arc::clone(&view));
            present.memory.push(&view);
            present.table_usage.push(&view);
            present.view = view;
            return false;
        }
        self.history.push(Arc::clone(&view));
        self.memory.push(&view);
        self.table_usage.push(&view);
        self.view = view;
        true
    }

    /// Takes news. Says whether the past has changed.
    pub(in crate::screen) fn take_news(&mut self, news: News) -> bool {
        match news {
            News::Error { at, node, message } => self.errors.begin(at, &node, &message),
            News::Recovered { at, node } => self.errors.end(at, &node),
            // Shown for a while, and kept nowhere.
            News::Note(_) => {}
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
                if views.iter().any(|view| view.source.kind == SourceKind::Replay) {
                    views.iter().rev().for_each(|view| self.tape.push_front(Arc::clone(view)));
                }
                if let Some(present) = &mut self.present {
                    present.history.backfill(views.clone());
                    present.memory.backfill(present.history.views());
                }
                if self.present.as_ref().is_none_or(|present| !present.moved) {
                    self.history.backfill(views);
                    self.memory.backfill(self.history.views());
                }
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
        self.leave();
    }

    /// Goes back to the present, with everything that came meanwhile.
    pub(in crate::screen) fn resume(&mut self) {
        self.player.stop();
        let Some(present) = self.present.take() else { return };
        (self.history, self.memory, self.view) = (present.history, present.memory, present.view);
        self.table_usage = present.table_usage;
    }

    /// Shows an earlier or a later round; the newest one is the present. `reach` is how far back anything that is shown looks.
    /// Says whether there was one.
    pub(in crate::screen) fn go(&mut self, way: Way, stride: Stride, reach: Duration) -> bool {
        self.player.stop();
        let moments = self.moments();
        let Some(to) = target(moments, self.place_in(moments), way, stride) else { return false };
        self.show(to, reach);
        true
    }

    /// Shows the last round before `at`, or the first one.
    pub(in crate::screen) fn go_to(&mut self, at: Timestamp, reach: Duration) {
        self.player.stop();
        let to = self.moments().iter().rposition(|view| view.assembled <= at).unwrap_or(0);
        self.show(to, reach);
    }

    /// Plays on from the round on the screen, from the first one where that is the last. Says whether there is anything to
    /// play.
    pub(in crate::screen) fn play(&mut self, now: Instant, reach: Duration) -> bool {
        let number = self.moments().len();
        if number < 2 || !self.is_past() && !self.is_replay() {
            return false;
        }
        if self.place_in(self.moments()) + 1 >= number {
            if !self.is_replay() {
                self.resume();
                return true;
            }
            self.show(0, reach);
        }
        self.player.start(now, self.gap());
        true
    }

    /// Stays at the round on the screen.
    pub(in crate::screen) fn stop(&mut self) {
        self.player.stop();
    }

    /// Plays faster or slower.
    pub(in crate::screen) fn pace(&mut self, by: isize) {
        self.player.pace(by);
    }

    /// Shows the rounds that are due. Says whether there were any.
    pub(in crate::screen) fn play_on(&mut self, now: Instant, reach: Duration) -> bool {
        let mut shown = false;
        while self.player.due().is_some_and(|due| due <= now) {
            let moments = self.moments();
            match target(moments, self.place_in(moments), Way::On, Stride::Round) {
                Some(to) if self.is_past() => self.show(to, reach),
                _ => self.resume(),
            }
            shown = true;
            if self.player.due().is_some() {
                self.player.go_on(now, self.gap());
            }
        }
        shown
    }

    /// From the round on the screen to the next one.
    fn gap(&self) -> Duration {
        let moments = self.moments();
        let next = moments.get(self.place_in(moments) + 1);
        next.map_or(Duration::ZERO, |next| next.assembled.since(self.view.assembled))
    }

    /// Shows a round by its number.
    fn show(&mut self, to: usize, reach: Duration) {
        let moments = self.moments();
        if to + 1 >= moments.len() {
            return self.resume();
        }
        let Some(view) = moments.get(to).cloned() else { return };
        let follows = self.present.as_ref().is_some_and(|present| present.moved) && self.place_in(moments) + 1 == to;
        if !follows {
            let until = |early: &&Arc<View>| view.assembled.since(early.assembled) <= reach;
            let before: Vec<_> = moments.iter().take(to).rev().take_while(until).cloned().collect();
            let (mut history, mut table_usage) = (self.history.emptied(), TableUsage::default());
            for earlier in before.into_iter().rev() {
                table_usage.push(&earlier);
                history.push(earlier);
            }
            self.leave();
            let memory = self.present.as_ref().map(|present| present.memory.until(view.assembled));
            (self.history, self.memory, self.table_usage) = (history, memory.unwrap_or_default(), table_usage);
        }
        self.memory.push(&view);
        self.table_usage.push(&view);
        self.history.push(Arc::clone(&view));
        self.view = view;
        if let Some(present) = &mut self.present {
            present.moved = true;
        }
    }

    /// Keeps the present for later.
    fn leave(&mut self) {
        if self.present.is_none() {
            let (history, memory, table_usage) = (self.history.clone(), self.memory.clone(), self.table_usage.clone());
            let (since, view) = (self.clock, Arc::clone(&self.view));
            self.present = Some(Box::new(Present { since, view, history, memory, table_usage, moved: false }));
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
        if let Some(present) = &mut self.present {
            present.history.set_baseline(view.clone());
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

    /// What is wrong among the rows of `query`; `leaks` is what keeps growing there.
    pub(super) fn problems(&mut self, query: &Query, leaks: &LeakReport, rules: &Rules) -> Problems {
        let (view, history) = (&*self.view, &self.history);
        let scene = Scene { view, query, history, memory: &self.memory, leaks, rules };
        let found = Problems::of(&scene, &ProblemKind::ALL);
        self.memory.note(&found.list, view.assembled);
        found
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
