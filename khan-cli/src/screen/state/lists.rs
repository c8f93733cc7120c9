//! Which view is shown, and how the list of each stands: grouping, order, cursor, pinned and expanded rows.

use std::collections::HashSet;

use crate::model::filter::Filter;
use crate::model::{GroupBy, Query, RowKey, Sort, SortBy};
use crate::screen::columns::orders;
use crate::screen::state::cursor::Cursor;
use crate::screen::tab::{Grouping, Tab};

/// How one list stands.
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

/// Which view is shown, and how the list of each stands.
#[derive(Debug)]
pub struct Lists {
    tab: Tab,
    states: [ListState; 8],
    pins: Vec<RowKey>,
    expanded: HashSet<RowKey>,
}

impl Lists {
    /// The first view, grouped and ordered as `query` says.
    pub(super) fn new(query: &Query) -> Self {
        let list = |tab: Tab| {
            let own = (tab == Tab::Edges).then_some(query.group_by);
            let known = own.and_then(|by| tab.groupings().iter().position(|grouping| grouping.by == by));
            ListState {
                grouping: known.unwrap_or(0),
                own: if known.is_some() { None } else { own },
                sort: query.sort,
                cursor: Cursor::default(),
                shift: 0,
            }
        };
        Self { tab: Tab::Edges, states: Tab::ALL.map(list), pins: Vec::new(), expanded: HashSet::new() }
    }

    /// The view shown.
    pub const fn tab(&self) -> Tab {
        self.tab
    }

    /// How its list stands.
    pub const fn list(&self) -> &ListState {
        &self.states[self.tab.index()]
    }

    fn list_mut(&mut self) -> &mut ListState {
        &mut self.states[self.tab.index()]
    }

    /// The cursor of the list.
    pub const fn cursor(&self) -> Cursor {
        self.list().cursor
    }

    fn cursor_mut(&mut self) -> &mut Cursor {
        &mut self.list_mut().cursor
    }

    fn grouping(&self) -> &'static Grouping {
        &self.tab.groupings()[self.list().grouping]
    }

    /// What makes a row.
    pub fn group_by(&self) -> GroupBy {
        self.list().own.unwrap_or(self.grouping().by)
    }

    /// What the rows are called, in the plural.
    pub fn rows_are(&self) -> &'static str {
        if self.list().own.is_some() { "groups" } else { self.grouping().name }
    }

    /// The term that rows must pass besides the user's filter.
    pub(super) fn restriction(&self) -> Option<Filter> {
        if self.list().own.is_some() { None } else { self.grouping().restriction() }
    }

    /// What the list can be ordered by, in the order of its columns.
    pub fn orders(&self) -> impl Iterator<Item = SortBy> + use<> {
        orders(self.tab, self.group_by())
    }

    /// Rows that stay on top.
    pub fn pins(&self) -> &[RowKey] {
        &self.pins
    }

    /// Whether the parts of a row are listed below it.
    pub fn is_expanded(&self, key: RowKey) -> bool {
        self.expanded.contains(&key)
    }

    /// Shows another view. Says whether it is another one.
    pub(in crate::screen) fn turn_to(&mut self, tab: Tab) -> bool {
        std::mem::replace(&mut self.tab, tab) != tab
    }

    /// The next grouping of the view, or the one before. The order stays where the new rows have it.
    pub(in crate::screen) fn regroup(&mut self, by: isize) {
        let groupings = self.tab.groupings().len();
        let list = self.list_mut();
        list.grouping = match list.own.take() {
            Some(_) if by > 0 => 0,
            Some(_) => groupings - 1,
            None => (list.grouping + groupings).saturating_add_signed(by) % groupings,
        };
        list.cursor.release();
        list.shift = 0;
        let sort = list.sort;
        if self.orders().all(|order| order != sort.by) {
            self.sort_by(Sort::default());
        }
    }

    /// Groups as the user says.
    pub(in crate::screen) fn group(&mut self, by: GroupBy) {
        // One of the view's own comes with its restriction.
        let known = self.tab.groupings().iter().position(|grouping| grouping.by == by);
        let list = self.list_mut();
        match known {
            Some(at) => (list.grouping, list.own) = (at, None),
            None => list.own = Some(by),
        }
        list.cursor.release();
    }

    /// Orders the list.
    pub(in crate::screen) fn sort_by(&mut self, sort: Sort) {
        self.list_mut().sort = sort;
    }

    /// Scrolls this many columns away on the left.
    pub(in crate::screen) fn scroll_to(&mut self, shift: usize) {
        self.list_mut().shift = shift;
    }

    /// Moves the cursor by rows of a list of `height` lines.
    pub(in crate::screen) fn step(&mut self, by: isize, keys: &[RowKey], height: usize) {
        self.cursor_mut().step(by, keys, height);
    }

    /// Puts the cursor on a row.
    pub(in crate::screen) fn put(&mut self, at: usize, keys: &[RowKey], height: usize) {
        self.cursor_mut().put(at, keys, height);
    }

    /// Puts the cursor where it was.
    pub(in crate::screen) fn restore(&mut self, cursor: Cursor) {
        *self.cursor_mut() = cursor;
    }

    /// No cursor, at the top.
    pub(in crate::screen) fn release(&mut self) {
        self.cursor_mut().release();
    }

    /// Follows the cursor's row through a changed list.
    pub(super) fn settle(&mut self, keys: &[RowKey], height: usize) {
        self.cursor_mut().settle(keys, height);
    }

    /// Pins a row, or unpins it.
    pub(in crate::screen) fn pin(&mut self, key: RowKey) {
        match self.pins.iter().position(|pinned| *pinned == key) {
            Some(at) => drop(self.pins.remove(at)),
            None => self.pins.push(key),
        }
    }

    /// Unpins every row.
    pub(in crate::screen) fn unpin_all(&mut self) {
        self.pins.clear();
    }

    /// Lists the parts of a row below it or no longer, and puts the cursor on it. Says whether something changed.
    pub(in crate::screen) fn expand(&mut self, key: RowKey, open: bool) -> bool {
        let changed = if open { self.expanded.insert(key) } else { self.expanded.remove(&key) };
        if changed {
            self.cursor_mut().key = Some(key);
        }
        changed
    }

    /// Forgets the rows of a source that is left; views, groupings and orders stay.
    pub(in crate::screen) fn forget_rows(&mut self) {
        self.pins.clear();
        self.expanded.clear();
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_stays_only_where_the_new_rows_have_it() {
        let mut lists = Lists::new(&Query::default());
        let by = |by| Sort { by, reverse: true };
        lists.sort_by(by(SortBy::Source));
        lists.regroup(1);
        assert_eq!((lists.rows_are(), lists.list().sort), ("sources", by(SortBy::Source)));
        lists.regroup(1);
        assert_eq!((lists.rows_are(), lists.list().sort), ("destinations", Sort::default()));
    }

    #[test]
    fn a_grouping_of_the_users_own_gives_way_to_those_of_the_view() {
        let mut lists =
            Lists::new(&Query { group_by: GroupBy { node: true, port: true, ..GroupBy::NONE }, ..Query::default() });
        assert_eq!((lists.rows_are(), lists.restriction().is_none()), ("groups", true));
        lists.regroup(-1);
        assert_eq!(lists.rows_are(), "states");
        lists.regroup(1);
        assert_eq!(lists.rows_are(), "edges");
    }

    #[test]
    fn each_view_keeps_its_list_and_another_source_keeps_the_views() {
        let mut lists = Lists::new(&Query::default());
        let keys = [RowKey(1), RowKey(2)];
        lists.put(1, &keys, 9);
        lists.pin(keys[0]);
        assert!(lists.expand(keys[0], true) && !lists.expand(keys[0], true), "it is expanded already");
        assert_eq!(lists.cursor().key, Some(keys[0]), "the cursor goes to the row");
        assert!(lists.turn_to(Tab::Sources) && !lists.turn_to(Tab::Sources));
        assert_eq!(lists.cursor().key, None);
        lists.turn_to(Tab::Edges);
        lists.forget_rows();
        assert_eq!((lists.tab(), lists.cursor(), lists.pins()), (Tab::Edges, Cursor::default(), &[][..]));
        assert!(!lists.is_expanded(keys[0]));
    }
}
