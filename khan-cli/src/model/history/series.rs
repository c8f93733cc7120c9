//! The values of one query's rows, sample by sample, made comparable where nodes come and go.

use std::collections::VecDeque;

use khan_api::Timestamp;

use super::Limits;
use super::roster::Step;
use crate::model::groups::{Groups, group};
use crate::model::hash::MixMap;
use crate::model::query::Query;
use crate::model::view::View;

/// The rings of one query shape.
#[derive(Clone, Debug)]
pub struct Series {
    pub(super) shape: u128,
    pub(super) query: Query,
    pub(super) rings: MixMap<u128, Ring>,
    pub(super) total: Ring,
    pub(super) baseline: Option<Baseline>,
    /// Sequence number of its first sample.
    since: Option<u64>,
    /// Some rows are not followed, so "not seen before" is not certain.
    pub(super) truncated: bool,
}

/// What a baseline held.
#[derive(Clone, Debug)]
pub(super) struct Baseline {
    /// Connections of each row then, on the nodes that are known now.
    pub(super) then: MixMap<u128, u64>,
    /// The same of all rows.
    pub(super) total: u64,
    /// Rows that were really there.
    pub(super) seen: MixMap<u128, u64>,
}

/// Values of one row.
#[derive(Clone, Debug, Default)]
pub(super) struct Ring {
    /// Sequence number of the first value.
    pub(super) start: u64,
    /// Sequence number from which on "no value" means "no connections"; before it nothing is known.
    pub(super) known_from: u64,
    /// Sequence number of the first value that compares with the later ones: a node of the row booted then.
    pub(super) comparable_from: u64,
    pub(super) values: VecDeque<u32>,
}

/// In place of a value that is not known.
pub(super) const MISSING: u32 = u32::MAX;

impl Ring {
    fn push(&mut self, value: u64) {
        self.values.push_back(narrow(value.try_into().unwrap_or(i64::MAX)));
    }

    fn is_spent(&self) -> bool {
        self.values.iter().all(|value| *value == 0 || *value == MISSING)
    }

    /// The newest value.
    pub(super) fn newest(&self) -> Option<u64> {
        self.values.back().filter(|value| **value != MISSING).map(|value| u64::from(*value))
    }

    /// Adds to every value what newly seen nodes hold, or subtracts what given-up nodes held.
    fn shift(&mut self, by: i64) {
        if by == 0 {
            return;
        }
        for value in self.values.iter_mut().filter(|value| **value != MISSING) {
            *value = narrow(i64::from(*value) + by);
        }
        // Before the row was first seen, it is unknown whether these connections existed.
        self.known_from = self.known_from.max(self.start);
    }

    /// Spreads what changed while a node was away over the samples that lie between.
    fn spread(&mut self, by: i64, since: u64, share: impl Fn(u64) -> f64) {
        for (value, sequence) in self.values.iter_mut().zip(self.start..) {
            if sequence > since && *value != MISSING {
                #[expect(clippy::cast_possible_truncation, reason = "a share of a count")]
                let part = (by as f64 * share(sequence)).round() as i64;
                *value = narrow(i64::from(*value) + part);
            }
        }
    }
}

fn narrow(value: i64) -> u32 {
    u32::try_from(value.max(0)).unwrap_or(MISSING - 1).min(MISSING - 1)
}

impl Series {
    /// A series without samples.
    pub(super) fn new(query: &Query) -> Self {
        Self {
            shape: query.shape(),
            query: query.clone(),
            rings: MixMap::default(),
            total: Ring::default(),
            baseline: None,
            since: None,
            truncated: false,
        }
    }

    /// Takes a sample; `at` tells when the samples until this one were taken.
    pub(super) fn push(&mut self, step: &Step, sequence: u64, at: impl Fn(u64) -> Timestamp, limits: Limits) {
        let groups = group(&step.whole, &self.query);
        let began = self.since.is_some();
        let since = *self.since.get_or_insert(sequence);
        let before = step.before.as_ref().filter(|_| began).map(|view| self.values(view));
        if began {
            self.bridge(step, before.as_ref(), &groups, sequence, at);
        }
        let mut followed: Vec<_> = groups.all.iter().collect();
        if followed.len() > limits.keys {
            followed.select_nth_unstable_by_key(limits.keys, |group| std::cmp::Reverse(group.sum.connections));
            followed.truncate(limits.keys);
            self.truncated = true;
        }
        for group in followed {
            let value = group.sum.connections;
            let new = || {
                // A row that a node brings along, or that could not be told apart until now, is not known to be new.
                let brought = before.as_ref().is_some_and(|(rows, _)| rows.get(&group.key.0) != Some(&value));
                let unsure = self.truncated || step.deeper || brought;
                let known_from = if unsure { sequence } else { since };
                Ring { start: sequence, known_from, ..Ring::default() }
            };
            self.rings.entry(group.key.0).or_insert_with(new).push(value);
        }
        // Rows that take turns among the largest must not add up.
        if self.rings.len() > 2 * limits.keys {
            self.rings.retain(|_, ring| ring.start + ring.values.len() as u64 > sequence);
            self.truncated = true;
        }
        for ring in self.rings.values_mut() {
            while ring.start + (ring.values.len() as u64) <= sequence {
                ring.values.push_back(if self.truncated { MISSING } else { 0 });
            }
        }
        if self.total.values.is_empty() {
            (self.total.start, self.total.known_from) = (sequence, sequence);
        }
        self.total.push(groups.total.connections);
    }

    /// How many values are held.
    pub(super) fn held(&self) -> usize {
        self.rings.values().map(|ring| ring.values.len()).sum()
    }

    fn values(&self, view: &View) -> (MixMap<u128, u64>, u64) {
        values(&group(view, &self.query))
    }

    /// Makes the values before this sample comparable with it.
    fn bridge(
        &mut self,
        step: &Step,
        before: Option<&(MixMap<u128, u64>, u64)>,
        groups: &Groups,
        sequence: u64,
        at: impl Fn(u64) -> Timestamp,
    ) {
        if before.is_none() && step.caught_up.is_empty() && step.booted.is_empty() {
            return;
        }
        let (now, total) = values(groups);
        let of = |rows: &MixMap<u128, u64>, key: &u128| signed(rows.get(key).copied().unwrap_or(0));
        if let Some((rows, all)) = before {
            for (key, ring) in &mut self.rings {
                ring.shift(of(&now, key) - of(rows, key));
            }
            self.total.shift(signed(total) - signed(*all));
        }
        for (since, then) in &step.caught_up {
            let (rows, all) = self.values(then);
            let whole = at(sequence).since(at(*since)).as_secs_f64();
            let share = |sequence| if whole > 0.0 { at(sequence).since(at(*since)).as_secs_f64() / whole } else { 0.0 };
            for (key, ring) in &mut self.rings {
                let by = of(&now, key) - of(&rows, key);
                if by != 0 {
                    ring.spread(by, *since, share);
                }
            }
            self.total.spread(signed(total) - signed(all), *since, share);
        }
        if let [without, last] = &step.booted[..] {
            let (without, last) = (self.values(without), self.values(last));
            for (key, ring) in &mut self.rings {
                let other = of(&without.0, key);
                if of(&now, key) != other || of(&last.0, key) != other {
                    ring.comparable_from = sequence;
                }
            }
            self.total.comparable_from = sequence;
        }
    }

    /// Drops the values of sample `sequence`, and rows that were not there since.
    pub(super) fn forget(&mut self, sequence: u64) {
        let drop = |ring: &mut Ring| {
            if ring.start <= sequence && ring.values.pop_front().is_some() {
                ring.start += 1;
            }
        };
        drop(&mut self.total);
        self.rings.values_mut().for_each(drop);
        self.rings.retain(|_, ring| !ring.is_spent());
    }

    /// Compares with a baseline: as it was, and with the nodes that are known now.
    pub(super) fn rebase(&mut self, baseline: Option<(&View, &View)>) {
        self.baseline = baseline.map(|(seen, whole)| {
            let (then, total) = self.values(whole);
            Baseline { then, total, seen: self.values(seen).0 }
        });
    }
}

fn values(groups: &Groups) -> (MixMap<u128, u64>, u64) {
    let rows = groups.all.iter().map(|group| (group.key.0, group.sum.connections));
    (rows.collect(), groups.total.connections)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
