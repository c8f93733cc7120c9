//! Which nodes samples speak of. A node that is away keeps what it held in its last answer, because its connections are
//! in its kernel and not in its agent: a gap in what we know is not a zero.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::merge::{NodeInput, merge};
use crate::model::node::NodeState;
use crate::model::table::NodeTable;
use crate::model::view::View;

/// Rows of nodes that are away which are kept; beyond it those that went first are given up.
const MOST_ROWS: usize = 200_000;
/// Nodes that came back after gaps of different lengths are treated as this many groups.
const GAPS: usize = 4;

/// Every node that has answered, with its latest rows: the same allocation that the latest view shares, so that only nodes
/// that are away cost memory here.
#[derive(Clone, Debug, Default)]
pub(super) struct Roster {
    known: BTreeMap<String, Known>,
    depth: u32,
}

#[derive(Clone, Debug)]
struct Known {
    /// What it said last, in a sample or since.
    input: NodeInput,
    here: bool,
    /// Sequence number of the first sample with the rows that the latest sample has of it.
    fresh: u64,
    /// Since then it was away, or did not answer.
    silent: bool,
    /// It has said something new since the latest sample.
    news: bool,
    /// What it held before it was silent or booted, until the next sample compares with that.
    before: Option<NodeInput>,
}

impl Known {
    fn new(input: NodeInput, fresh: u64) -> Self {
        Self { input, here: true, fresh, silent: false, news: false, before: None }
    }

    /// Takes what the node says now. Rows that no sample will be compared with are let go at once.
    fn take(&mut self, input: NodeInput) {
        let last = std::mem::replace(&mut self.input, input);
        if is_same(&last, &self.input) {
            return;
        }
        self.news = true;
        let silent = self.silent || self.input.status.state != NodeState::Ok;
        if self.before.is_none() && (silent || last.status.boot_id != self.input.status.boot_id) {
            self.before = Some(last);
        }
    }
}

/// A sample, and what compares it with those before.
#[derive(Debug)]
pub(super) struct Step {
    /// The view, completed by nodes that are away.
    pub(super) whole: Arc<View>,
    /// Where nodes are new or given up: the same moment, with the nodes of the samples before.
    pub(super) before: Option<View>,
    /// Nodes that came back: since which sample they were away, and this moment with what they held then.
    pub(super) caught_up: Vec<(u64, View)>,
    /// Where nodes booted: this moment without any connection of theirs, and with those from before.
    pub(super) booted: Vec<View>,
    /// Nodes whose earlier connections cannot be compared, with what they hold now; `None` for those given up.
    pub(super) changed: Vec<(String, Option<NodeInput>)>,
    /// The source tells rows apart that it did not before.
    pub(super) deeper: bool,
}

impl Step {
    /// A sample that compares with those before as it is.
    pub(super) fn plain(view: &Arc<View>) -> Self {
        Self {
            whole: Arc::clone(view),
            before: None,
            caught_up: Vec::new(),
            booted: Vec::new(),
            changed: Vec::new(),
            deeper: false,
        }
    }
}

impl Roster {
    /// Takes the rows of a view that is no sample, so that nothing holds the rows before them.
    pub(super) fn refresh(&mut self, view: &View) {
        for (name, input) in inputs(view) {
            if let Some(known) = self.known.get_mut(&name) {
                known.take(input);
            }
        }
    }

    /// Takes the view as sample `sequence`, where samples are remembered from `oldest` on. `None` when no node says
    /// anything new.
    pub(super) fn step(&mut self, view: &Arc<View>, sequence: u64, oldest: u64) -> Option<Step> {
        let heard = inputs(view);
        let is_old = |(name, input): (&String, &NodeInput)| {
            self.known.get(name).is_some_and(|known| known.here && !known.news && is_same(&known.input, input))
        };
        if heard.iter().all(is_old) {
            return None;
        }
        let mut step = Step::plain(view);
        step.deeper = view.depth > self.depth;
        self.depth = view.depth;
        let first = self.known.is_empty();
        let (mut returned, mut booted) = (BTreeMap::<u64, Vec<NodeInput>>::new(), Vec::new());
        let mut joined = Vec::new();
        for (name, known) in &mut self.known {
            let input = heard.get(name);
            known.here = input.is_some();
            known.silent |= input.is_none_or(|input| input.status.state != NodeState::Ok);
        }
        for (name, input) in heard {
            let Some(known) = self.known.get_mut(&name) else {
                joined.push(name.clone());
                step.changed.push((name.clone(), Some(input.clone())));
                self.known.insert(name, Known::new(input, sequence));
                continue;
            };
            known.take(input);
            if !std::mem::take(&mut known.news) {
                continue;
            }
            known.silent = false;
            if let Some(last) = known.before.take() {
                if last.status.boot_id == known.input.status.boot_id {
                    let longest = returned.keys().next().copied().filter(|_| returned.len() >= GAPS);
                    returned.entry(longest.unwrap_or(known.fresh)).or_default().push(last);
                } else {
                    step.changed.push((name, Some(known.input.clone())));
                    booted.push(last);
                }
            }
            known.fresh = sequence;
        }
        let lost = self.give_up(oldest);
        step.changed.extend(lost.iter().map(|input| (input.status.node.clone(), None)));
        if self.known.values().any(|known| !known.here) {
            step.whole = Arc::new(self.with(view, |_| true, &[]));
        }
        if !(first || joined.is_empty() && lost.is_empty()) {
            step.before = Some(self.with(view, |name| !joined.contains(name), &lost));
        }
        let caught_up = returned.into_iter().map(|(since, then)| (since, self.with(view, |_| true, &then)));
        step.caught_up = caught_up.collect();
        if !booted.is_empty() {
            let empty = |last: &NodeInput| NodeInput { table: Some(Arc::default()), ..last.clone() };
            let without: Vec<_> = booted.iter().map(empty).collect();
            step.booted = [without, booted].iter().map(|inputs| self.with(view, |_| true, inputs)).collect();
        }
        Some(step)
    }

    /// The nodes that are away, as they were.
    pub(super) fn away(&self) -> impl Iterator<Item = &NodeInput> {
        self.known.values().filter(|known| !known.here).map(|known| &known.input)
    }

    /// Forgets nodes that have been away for as long as samples are remembered, or too many.
    fn give_up(&mut self, oldest: u64) -> Vec<NodeInput> {
        let weight = |known: &Known| known.input.table.as_ref().map_or(0, |table| table.rows().len());
        let mut away: Vec<_> = self.known.iter().filter(|(_, known)| !known.here).collect();
        away.sort_by_key(|(name, known)| (std::cmp::Reverse(known.fresh), *name));
        let mut rows = 0;
        let mut lost = Vec::new();
        for (name, known) in away {
            rows += weight(known);
            if known.fresh < oldest || rows > MOST_ROWS {
                lost.push(name.clone());
            }
        }
        lost.iter().filter_map(|name| self.known.remove(name)).map(|known| known.input).collect()
    }

    /// Every node that passes, with its latest rows or those in `others`.
    fn with(&self, view: &View, pass: impl Fn(&String) -> bool, others: &[NodeInput]) -> View {
        let mut inputs: BTreeMap<_, _> =
            self.known.iter().filter(|(name, _)| pass(name)).map(|(name, known)| (name, &known.input)).collect();
        inputs.extend(others.iter().map(|input| (&input.status.node, input)));
        merge(view.source.clone(), inputs.into_values().cloned().collect(), view.assembled)
    }
}

/// What each counted node says.
fn inputs(view: &View) -> BTreeMap<String, NodeInput> {
    let input = |(node, table): (u32, &Arc<NodeTable>)| {
        let status = view.nodes[node as usize].clone();
        (status.node.clone(), NodeInput { status, table: Some(Arc::clone(table)) })
    };
    view.tables().map(input).collect()
}

fn is_same(a: &NodeInput, b: &NodeInput) -> bool {
    let snapshot = |input: &NodeInput| input.table.as_ref().map(|table| table.snapshot.clone());
    snapshot(a) == snapshot(b) && a.status.boot_id == b.status.boot_id
}

/// `view` with what other nodes hold, or without them.
pub(super) fn changed(view: &View, changes: &BTreeMap<String, Option<NodeInput>>) -> View {
    let mut inputs = inputs(view);
    for (name, input) in changes {
        match input {
            Some(input) => inputs.insert(name.clone(), input.clone()),
            None => inputs.remove(name),
        };
    }
    merge(view.source.clone(), inputs.into_values().collect(), view.assembled)
}
