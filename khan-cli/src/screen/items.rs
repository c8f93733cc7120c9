//! The items of the lists, one a line: rows in order, pinned ones first, expanded ones with parts, the rest as a sum.

use std::hash::{DefaultHasher, Hash, Hasher};

use khan_api::Kind;

use crate::model::group_end::Grain;
use crate::model::leak::Leak;
use crate::model::{GroupBy, GroupEnd, NodeStatus, Problem, Projection, Row, RowKey};

use super::format;

/// The line that sums up what is not listed.
pub(super) const OTHER: RowKey = RowKey(u128::MAX);

/// Cells by which the names of an expanded row's parts are indented.
pub(super) const INDENT: u16 = 2;

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
    /// A problem, by its place.
    Problem(usize),
    /// Kinds of problems that are not known from here, and why.
    Unknown(usize),
}

/// Rows of connections, pinned ones first, each followed by its parts where `children` has them, and the sum of the rest.
pub(super) fn rows(projection: &Projection, children: &[(RowKey, Projection)], pins: &[RowKey]) -> Vec<Item> {
    let mut items = Vec::with_capacity(projection.rows.len() + 1);
    let mut put = |at: usize, row: &Row| {
        items.push(Item { key: row.key, what: What::Row(at) });
        if let Some(parent) = children.iter().position(|(key, _)| *key == row.key) {
            let parts = &children[parent].1;
            let part =
                |(i, part): (usize, &Row)| Item { key: part_key(row.key, part.key), what: What::Child(parent, i) };
            items.extend(parts.rows.iter().enumerate().map(part));
            if parts.hidden_groups() > 0 {
                items.push(Item { key: part_key(row.key, OTHER), what: What::More(parent) });
            }
        }
    };
    let rows = || projection.rows.iter().enumerate();
    let pinned = |row: &Row| pins.contains(&row.key);
    if !pins.is_empty() {
        rows().filter(|(_, row)| pinned(row)).for_each(|(at, row)| put(at, row));
    }
    rows().filter(|(_, row)| !pinned(row)).for_each(|(at, row)| put(at, row));
    if is_summed(projection) {
        items.push(Item { key: OTHER, what: What::Other });
    }
    items
}

/// What the line says that sums up what is not listed, if there is one.
pub(super) fn other(projection: &Projection) -> Option<String> {
    let rest = projection.rest.unwrap_or_default();
    let groups = projection.hidden_groups() as u64;
    let more = if rest.rows > 0 { " and more" } else { "" };
    is_summed(projection).then(|| format!("(other: {}{more})", format::count(groups)))
}

/// Whether some of what was asked for is not listed.
fn is_summed(projection: &Projection) -> bool {
    projection.hidden_groups() > 0 || projection.rest.is_some()
}

/// Nodes in the order of their rows, pinned ones first, those without a row last.
pub(super) fn nodes(nodes: &[NodeStatus], projection: &Projection, pins: &[RowKey]) -> Vec<Item> {
    let mut items: Vec<_> = (0..nodes.len())
        .filter(|at| !nodes[*at].node.is_empty())
        .map(|at| Item { key: name_key(&nodes[at].node), what: What::Node(at) })
        .collect();
    let place = |item: &Item| match item.what {
        What::Node(at) => {
            let name = nodes[at].node.as_str();
            projection.rows.iter().position(|row| row.node.as_deref() == Some(name)).unwrap_or(usize::MAX)
        }
        _ => usize::MAX,
    };
    items.sort_by_cached_key(|item| (!pins.contains(&item.key), place(item)));
    items
}

/// Agents, those in trouble first.
pub(super) fn agents(nodes: &[NodeStatus]) -> Vec<Item> {
    let mut order: Vec<_> = (0..nodes.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(nodes[*at].state));
    order.into_iter().map(|at| Item { key: name_key(&nodes[at].agent), what: What::Agent(at) }).collect()
}

/// Suspects, pinned ones first, each followed by its reasons.
pub(super) fn leaks(leaks: &[Leak], pins: &[RowKey]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut order: Vec<_> = (0..leaks.len()).collect();
    order.sort_by_key(|at| !pins.contains(&leaks[*at].row.key));
    for at in order {
        let leak = &leaks[at];
        items.push(Item { key: leak.row.key, what: What::Leak(at) });
        for (i, _) in leak.reasons.iter().enumerate() {
            let reason = RowKey(i as u128 + 1);
            items.push(Item { key: part_key(leak.row.key, reason), what: What::Reason(at, i) });
        }
    }
    items
}

/// Problems, worst first, and then what is not known from here. Nothing where nothing is wrong.
pub(super) fn problems(problems: &[Problem], unknown: usize) -> Vec<Item> {
    if problems.is_empty() {
        return Vec::new();
    }
    let item = |(at, problem): (usize, &Problem)| Item { key: RowKey(problem.key), what: What::Problem(at) };
    let unknown = (0..unknown).map(|at| Item { key: RowKey(u128::MAX - 1 - at as u128), what: What::Unknown(at) });
    problems.iter().enumerate().map(item).chain(unknown).collect()
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
pub(super) fn is_bundle(row: &Row) -> bool {
    let many =
        |end: &Option<GroupEnd>| end.as_ref().is_some_and(|end| end.owner.kind == Kind::External && end.addresses > 1);
    row.fan || many(&row.src) || many(&row.dst)
}

/// How an expanded row is split: by its sources where there are several, else by its destinations.
pub(super) fn finer(row: &Row, by: GroupBy) -> GroupBy {
    let many = |end: &Option<GroupEnd>| end.as_ref().is_some_and(|end| end.addresses > 1);
    if many(&row.src) || !many(&row.dst) && row.src.is_some() {
        GroupBy { src: Some(Grain::Name), ..by }
    } else {
        GroupBy { dst: Some(Grain::Name), ..by }
    }
}
