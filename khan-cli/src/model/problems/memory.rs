//! What earlier views said: how full tables were, what the kernels had dropped, and when a problem was first seen.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use khan_api::{Label, TableStats, Timestamp};

use super::problem::Problem;
use super::room::{ports_key, rooms};
use crate::model::view::View;

/// Views of a node's table that are remembered.
const KEPT: usize = 256;
/// Over which time a table's growth is measured, and for how long a drop counts as present.
const WINDOW: Duration = Duration::from_mins(5);

/// What earlier views said.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// By node.
    tables: HashMap<String, Tables>,
    /// How much is used of what has a limit.
    used: HashMap<u128, VecDeque<(Timestamp, u64)>>,
    /// When each problem was seen first, and last.
    seen: HashMap<u128, (Timestamp, Timestamp)>,
}

/// A node's tables since it booted.
#[derive(Clone, Debug, Default)]
struct Tables {
    boot: String,
    rings: HashMap<Label, VecDeque<Sample>>,
}

/// A table at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Timestamp,
    entries: u64,
    /// By the kernel, since boot.
    dropped: [u64; 2],
}

/// Counters of packets and entries that a full table costs.
const DROPS: [&str; 2] = ["drop", "early_drop"];

impl Memory {
    /// Takes what a view says of tables.
    pub fn push(&mut self, view: &View) {
        let names: HashSet<_> = view.nodes.iter().map(|node| node.node.as_str()).collect();
        self.tables.retain(|name, _| names.contains(name.as_str()));
        for node in &view.nodes {
            let Some(at) = node.taken.filter(|_| !node.tables.is_empty()) else { continue };
            let Tables { boot, rings } = self.tables.entry(node.node.clone()).or_default();
            if *boot != node.boot_id {
                rings.clear();
                boot.clone_from(&node.boot_id);
            }
            rings.retain(|name, _| node.tables.iter().any(|table| table.name == *name));
            let stat = node.table.as_ref().map(|table| &table.stat);
            let dropped = DROPS.map(|name| stat.and_then(|stat| stat.get(name)).copied().unwrap_or(0));
            for table in &node.tables {
                let ring = rings.entry(table.name.clone()).or_default();
                if ring.back().is_none_or(|last| last.at < at) {
                    ring.push_back(Sample { at, entries: table.entries, dropped });
                }
                if ring.len() > KEPT {
                    ring.pop_front();
                }
            }
        }
        if let Some(at) = view.newest {
            self.fill(view, at);
        }
    }

    /// Takes how full destinations and translated addresses are, those with more than half of what they can take.
    fn fill(&mut self, view: &View, at: Timestamp) {
        let mut used: HashMap<u128, u64> = HashMap::new();
        used.extend(
            rooms(view).into_iter().flatten().filter(|room| room.fill() > 0.5).map(|room| (room.key, room.used)),
        );
        for (node, snat) in view.snat() {
            let full = snat.largest.iter().filter(|ports| ports.used > snat.range / 2);
            let node = view.nodes.get(node as usize).map_or("", |node| &*node.node);
            used.extend(full.map(|ports| (ports_key(node, ports), u64::from(ports.used))));
        }
        self.used.retain(|key, _| used.contains_key(key));
        for (key, used) in used {
            let ring = self.used.entry(key).or_default();
            if ring.back().is_none_or(|last| last.0 < at) {
                ring.push_back((at, used));
            }
            if ring.len() > KEPT {
                ring.pop_front();
            }
        }
    }

    /// Takes views from before those that it knows; `all` are both, oldest first.
    pub fn backfill<'a>(&mut self, all: impl IntoIterator<Item = &'a Arc<View>>) {
        self.tables.clear();
        self.used.clear();
        all.into_iter().for_each(|view| self.push(view));
    }

    /// What it knew at `at`.
    #[must_use]
    pub fn until(&self, at: Timestamp) -> Self {
        let samples = |ring: &VecDeque<Sample>| ring.iter().filter(|sample| sample.at <= at).copied().collect();
        let tables = |Tables { boot, rings }: &Tables| Tables {
            boot: boot.clone(),
            rings: rings.iter().map(|(name, ring)| (name.clone(), samples(ring))).collect(),
        };
        let used = |ring: &VecDeque<(Timestamp, u64)>| ring.iter().filter(|sample| sample.0 <= at).copied().collect();
        let seen = self.seen.iter().filter(|(_, (first, _))| *first <= at);
        Self {
            tables: self.tables.iter().map(|(node, known)| (node.clone(), tables(known))).collect(),
            used: self.used.iter().map(|(key, ring)| (*key, used(ring))).collect(),
            seen: seen.map(|(key, (first, last))| (*key, (*first, (*last).min(at)))).collect(),
        }
    }

    /// Remembers when each problem was first seen, at `now`. One that is gone for five minutes is forgotten; until then it is
    /// the same one when it comes back, which a filter can do too.
    pub fn note(&mut self, problems: &[Problem], now: Timestamp) {
        for problem in problems {
            self.seen.entry(problem.key).or_insert((now, now)).1 = now;
        }
        self.seen.retain(|_, (_, last)| now.since(*last) <= WINDOW);
    }

    /// When a problem was first seen.
    pub(super) fn since(&self, key: u128) -> Option<Timestamp> {
        self.seen.get(&key).map(|(first, _)| *first)
    }

    /// The oldest and the newest sample of a table within five minutes.
    fn ends(&self, node: &str, table: &str) -> Option<(&Sample, &Sample)> {
        let ring = self.tables.get(node)?.rings.get(table)?;
        let newest = ring.back()?;
        let oldest = ring.iter().find(|sample| newest.at.since(sample.at) <= WINDOW)?;
        Some((oldest, newest))
    }

    /// Until what this key names is full, at the rate of the last five minutes; `None` when it does not grow.
    pub(super) fn time_to_limit(&self, key: u128, limit: u64) -> Option<Duration> {
        let ring = self.used.get(&key)?;
        let now = ring.back()?;
        let then = ring.iter().find(|sample| now.0.since(sample.0) <= WINDOW)?;
        time_to(limit, then.1, now.1, now.0.since(then.0))
    }

    /// Until a table of `node` is full, at the rate of the last five minutes; `None` when it does not grow.
    pub(super) fn time_to_full(&self, node: &str, table: &TableStats) -> Option<Duration> {
        let (then, now) = self.ends(node, &table.name)?;
        time_to(table.limit, then.entries, now.entries, now.at.since(then.at))
    }

    /// Packets dropped and entries given up by the kernel of `node` while it has this table, in the last five minutes, and how
    /// long that was; `None` while there is but one view.
    pub(super) fn dropped(&self, node: &str, table: &str) -> Option<([u64; 2], Duration)> {
        let (then, now) = self.ends(node, table)?;
        let over = now.at.since(then.at);
        let dropped = [0, 1].map(|of: usize| now.dropped[of].saturating_sub(then.dropped[of]));
        (!over.is_zero()).then_some((dropped, over))
    }
}

/// When something that grew from `then` to `now` reaches `limit`; `None` when it does not grow.
fn time_to(limit: u64, then: u64, now: u64, over: Duration) -> Option<Duration> {
    let grown = now.checked_sub(then)?;
    if grown == 0 || over.is_zero() {
        return None;
    }
    let seconds = limit.saturating_sub(now) as f64 * over.as_secs_f64() / grown as f64;
    Duration::try_from_secs_f64(seconds).ok()
}
