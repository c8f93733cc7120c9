//! Opened rows, outermost first.

use crate::feed::{SampleRequest, Samples};
use crate::model::filter::Flag;
use crate::model::{LeakRule, Query, Row};
use crate::screen::state::drill::{Drill, Sample};

use super::data::Data;

/// Opened rows; the last one is on the screen.
#[derive(Debug, Default)]
pub struct Drills {
    stack: Vec<Drill>,
    /// Numbers the samples that were asked for, so that late answers are known.
    asked: u64,
}

impl Drills {
    /// The one on the screen.
    pub fn last(&self) -> Option<&Drill> {
        self.stack.last()
    }

    /// The one that was opened from the list.
    pub fn first(&self) -> Option<&Drill> {
        self.stack.first()
    }

    /// Whether none is open.
    pub const fn is_empty(&self) -> bool {
        self.stack.is_empty()
    }

    /// How many are open.
    pub const fn len(&self) -> usize {
        self.stack.len()
    }

    /// The number of the latest question for single connections.
    pub const fn asked(&self) -> u64 {
        self.asked
    }

    /// Opens a row of the answer to `query`, `suspected` if it is said to leak. What is returned asks for its single
    /// connections.
    pub(in crate::screen) fn open(
        &mut self,
        query: &Query,
        row: &Row,
        data: &mut Data,
        suspected: bool,
    ) -> (u64, SampleRequest) {
        self.asked += 1;
        let hunts = suspected || row.has(Flag::Rising) || self.last().is_some_and(|outer| outer.hunts);
        let mut drill = Drill::open(query, row, data.view(), self.asked, hunts);
        if let Some(outer) = self.last() {
            drill.title = format!("{} > {}", outer.title, drill.title);
        }
        refresh(&mut drill, data);
        let request = drill.request(data.view());
        self.stack.push(drill);
        (self.asked, request)
    }

    /// Closes the one on the screen. Says whether its single connections were still on their way; `None` where none is open.
    pub(in crate::screen) fn close(&mut self) -> Option<bool> {
        self.stack.pop().map(|closed| closed.is_waiting())
    }

    /// Closes all. Says whether single connections were still on their way.
    pub(in crate::screen) fn close_all(&mut self) -> bool {
        let waiting = self.stack.iter().any(Drill::is_waiting);
        self.stack.clear();
        waiting
    }

    /// Takes single connections, or why there are none. Says whether anybody waited for them.
    pub(in crate::screen) fn answer(&mut self, asked: u64, answer: Result<Samples, String>) -> bool {
        let Some(drill) = self.stack.iter_mut().find(|drill| drill.asked == asked) else { return false };
        drill.sample = match answer {
            Ok(answers) => Sample::Ready(answers),
            Err(reason) => Sample::Failed(reason),
        };
        true
    }

    /// Moves on to the next list of the one on the screen.
    pub(in crate::screen) fn next_pane(&mut self) {
        if let Some(drill) = self.stack.last_mut() {
            drill.pane = (drill.pane + 1) % (drill.panes.len() + 1);
        }
    }

    /// Puts the cursor of the one on the screen on a line of a list, or of the sample after the last list.
    pub(in crate::screen) fn put(&mut self, pane: usize, at: usize, screen: u16) {
        if let Some(drill) = self.stack.last_mut() {
            drill.put(pane, at, screen);
        }
    }

    /// Moves the cursor of the one on the screen, of `screen` lines.
    pub(in crate::screen) fn step(&mut self, by: isize, screen: u16) {
        if let Some(drill) = self.stack.last_mut() {
            drill.step(by, screen);
        }
    }

    /// No cursor, at the top.
    pub(in crate::screen) fn release(&mut self) {
        if let Some(drill) = self.stack.last_mut() {
            drill.cursors[drill.pane].release();
        }
    }

    /// Binds the cursors of the one on the screen to the rows that there are now.
    pub(super) fn settle(&mut self, screen: u16) {
        if let Some(drill) = self.stack.last_mut() {
            drill.settle(screen);
        }
    }

    /// Asks again, for all that are open.
    pub(super) fn refresh(&mut self, data: &mut Data, rule: LeakRule) {
        for drill in &mut self.stack {
            drill.query.rule = rule;
            refresh(drill, data);
        }
    }
}

fn refresh(drill: &mut Drill, data: &mut Data) {
    let (view, history) = data.view_and_past();
    drill.refresh(view, history);
}
