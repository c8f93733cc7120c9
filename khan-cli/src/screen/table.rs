//! The lines of the lists: rows in their order, pinned ones first, expanded ones with their parts, the rest as a sum.

use std::hash::{DefaultHasher, Hash, Hasher};

use khan_api::Kind;

use crate::model::group_end::Grain;
use crate::model::{GroupBy, GroupEnd, Row, RowKey};

use super::app::App;
use super::tab::Tab;

/// The line that sums up what is not listed.
pub const OTHER: RowKey = RowKey(u128::MAX);

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Names it in every list.
    pub key: RowKey,
    /// What it shows.
    pub what: What,
}

/// What a line shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A row of the projection.
    Row(usize),
    /// A part of an expanded row: index of the expansion, and of the row in it.
    Child(usize, usize),
    /// The sum of the parts of an expanded row that are not listed: index of the expansion.
    More(usize),
    /// The sum of the rows beyond the limit and of what agents left out.
    Other,
    /// A node, by its index in the view.
    Node(usize),
    /// An agent, likewise.
    Agent(usize),
    /// A suspect of the leak report.
    Leak(usize),
    /// One of its reasons.
    Reason(usize, usize),
}

/// The lines of the present view.
pub fn items(app: &App) -> Vec<Item> {
    match app.page {
        Tab::Leaks => leak_items(app),
        Tab::Agents => {
            let mut order: Vec<_> = (0..app.shown.nodes.len()).collect();
            order.sort_by_key(|at| std::cmp::Reverse(app.shown.nodes[*at].state));
            order
                .into_iter()
                .map(|at| Item { key: name_key(&app.shown.nodes[at].agent), what: What::Agent(at) })
                .collect()
        }
        Tab::Nodes => node_items(app),
        Tab::Edges | Tab::Sources | Tab::Dests | Tab::External => row_items(app),
    }
}

fn row_items(app: &App) -> Vec<Item> {
    let rows = &app.projection.rows;
    let mut items = Vec::with_capacity(rows.len() + 1);
    let mut put = |at: usize, row: &Row| {
        items.push(Item { key: row.key, what: What::Row(at) });
        if let Some(parent) = app.children.iter().position(|(key, _)| *key == row.key) {
            let parts = &app.children[parent].1;
            let part =
                |(i, part): (usize, &Row)| Item { key: part_key(row.key, part.key), what: What::Child(parent, i) };
            items.extend(parts.rows.iter().enumerate().map(part));
            if parts.hidden_groups() > 0 {
                items.push(Item { key: part_key(row.key, OTHER), what: What::More(parent) });
            }
        }
    };
    let pinned = |row: &Row| app.pins.contains(&row.key);
    if !app.pins.is_empty() {
        rows.iter().enumerate().filter(|(_, row)| pinned(row)).for_each(|(at, row)| put(at, row));
    }
    rows.iter().enumerate().filter(|(_, row)| !pinned(row)).for_each(|(at, row)| put(at, row));
    if app.projection.hidden_groups() > 0 || app.projection.rest.is_some() {
        items.push(Item { key: OTHER, what: What::Other });
    }
    items
}

fn node_items(app: &App) -> Vec<Item> {
    let mut items: Vec<_> = (0..app.shown.nodes.len())
        .filter(|at| !app.shown.nodes[*at].node.is_empty())
        .map(|at| Item { key: name_key(&app.shown.nodes[at].node), what: What::Node(at) })
        .collect();
    let place = |item: &Item| match item.what {
        What::Node(at) => {
            let name = app.shown.nodes[at].node.as_str();
            app.projection.rows.iter().position(|row| row.node.as_deref() == Some(name)).unwrap_or(usize::MAX)
        }
        _ => usize::MAX,
    };
    items.sort_by_cached_key(|item| (!app.pins.contains(&item.key), place(item)));
    items
}

fn leak_items(app: &App) -> Vec<Item> {
    let mut items = Vec::new();
    let mut order: Vec<_> = (0..app.report.leaks.len()).collect();
    order.sort_by_key(|at| !app.pins.contains(&app.report.leaks[*at].row.key));
    for at in order {
        let leak = &app.report.leaks[at];
        items.push(Item { key: leak.row.key, what: What::Leak(at) });
        for (i, _) in leak.reasons.iter().enumerate() {
            let reason = RowKey(i as u128 + 1);
            items.push(Item { key: part_key(leak.row.key, reason), what: What::Reason(at, i) });
        }
    }
    items
}

/// Names a part of a row.
fn part_key(row: RowKey, part: RowKey) -> RowKey {
    RowKey(row.0.rotate_left(17) ^ part.0)
}

/// Names a node or an agent.
fn name_key(name: &str) -> RowKey {
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        (seed, name).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    RowKey(half(1) << 64 | half(2))
}

/// Whether a row stands for many: addresses of the outside, or destinations that are folded. `+` says so.
pub fn is_bundle(row: &Row) -> bool {
    let many = |party: &Option<GroupEnd>| party.as_ref().is_some_and(|p| p.kind == Kind::External && p.addresses > 1);
    row.fan || many(&row.src) || many(&row.dst)
}

/// What an expanded row is told apart by: its sources where there are several, else its destinations.
pub fn finer(row: &Row, by: &GroupBy) -> GroupBy {
    let many = |party: &Option<GroupEnd>| party.as_ref().is_some_and(|p| p.addresses > 1);
    if many(&row.src) || !many(&row.dst) && row.src.is_some() {
        GroupBy { src: Some(Grain::Name), ..*by }
    } else {
        GroupBy { dst: Some(Grain::Name), ..*by }
    }
}
