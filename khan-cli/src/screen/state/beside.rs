//! What one row of the list consists of, for the details below the list.

use crate::model::{History, Projection, Query, Row, RowKey, Sort, View, project};

use super::drill::finer;

/// Rows that are looked up.
const PARTS: usize = 8;

/// What a row consists of: nothing until somebody has looked.
#[derive(Debug, Default)]
pub struct Beside {
    key: Option<RowKey>,
    name: &'static str,
    parts: Projection,
}

impl Beside {
    /// Looks into the row `key` of the list, which answers `query`. Its past is not kept: the rows that matter are few and
    /// change with every move of the cursor.
    pub(super) fn look(key: RowKey, query: &Query, row: &Row, view: &View, history: &History) -> Self {
        let query = Query { sort: Sort::default(), limit: PARTS, ..query.of_row(row) };
        let Some(grouping) = finer(&query, row, view).into_iter().next() else { return Self::nothing(key) };
        let parts = project(view, &query.within(row.key, grouping.by), history);
        Self { key: Some(key), name: grouping.name, parts }
    }

    /// There is nothing to see in the line `key`.
    pub(super) fn nothing(key: RowKey) -> Self {
        Self { key: Some(key), ..Self::default() }
    }

    /// The line of the list; `None` before somebody has looked.
    pub const fn key(&self) -> Option<RowKey> {
        self.key
    }

    /// What it is split by: `source pod`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The rows that it consists of, most connections first.
    pub const fn parts(&self) -> &Projection {
        &self.parts
    }
}
