//! The third step: what order and filter need to know about a group beyond its numbers: how it changed, and its flags.

use std::time::Duration;

use khan_api::Timestamp;

use super::group::{Group, Groups};
use super::past::{Change, Past};
use crate::model::filter::{Filter, Flag, GroupTerm, Measure};
use crate::model::group_end::GroupEnd;
use crate::model::growth::Growth;
use crate::model::query::{Query, SortBy};

/// How long a row is called new, and how long it must have been watched for in vain before it came: what was not there in the
/// first minute after a start may come and go all the time.
const NEW: Duration = Duration::from_mins(5);

/// Measures the groups of one answer.
pub(super) struct Gauge<'a, P: Past> {
    pub(super) query: &'a Query,
    pub(super) past: &'a P,
    pub(super) groups: &'a Groups,
    series: Option<&'a P::Series>,
    /// Those of fan-outs.
    fans: Option<&'a P::Series>,
}

/// A group with what its order and the filter need to know; the rest is worked out for rows that are shown.
pub(super) struct Measured<'a> {
    pub(super) group: &'a Group,
    pub(super) change: Option<Change>,
    flags: u8,
}

impl<'a, P: Past> Gauge<'a, P> {
    pub(super) fn new(query: &'a Query, past: &'a P, groups: &'a Groups) -> Self {
        let fans = query.fans().and_then(|fans| past.series(&fans));
        Self { query, past, groups, series: past.series(query), fans }
    }

    pub(super) fn measure<'g>(&self, group: &'g Group) -> Measured<'g> {
        let asks = |wanted: fn(&GroupTerm) -> bool| self.query.filter.group_terms().any(wanted);
        let changes = matches!(self.query.sort.by, SortBy::Delta | SortBy::Rate)
            || asks(|term| matches!(term, GroupTerm::Number(Measure::Delta | Measure::Rate, ..)));
        let flags = asks(|term| matches!(term, GroupTerm::Is(_)));
        Measured {
            group,
            change: if changes { self.change(group) } else { None },
            flags: if flags { self.flags(group, &self.growth(group)) } else { 0 },
        }
    }

    pub(super) fn series(&self, group: &Group) -> Option<&'a P::Series> {
        if group.fan.is_some() { self.fans } else { self.series }
    }

    pub(super) fn change(&self, group: &Group) -> Option<Change> {
        self.past.change(self.series(group)?, group.key, &group.sum, self.query)
    }

    pub(super) fn first_seen(&self, group: &Group) -> Option<Timestamp> {
        self.past.first_seen(self.series(group)?, group.key)
    }

    pub(super) fn growth(&self, group: &Group) -> Growth {
        let samples = |series| self.past.samples(series, group.key, self.query.rule.window);
        self.series(group).map_or_else(Growth::default, |series| Growth::of(&samples(series)))
    }

    pub(super) fn flags(&self, group: &Group, growth: &Growth) -> u8 {
        let unknown = |ends: &[GroupEnd], at: u32| ends.get(at as usize).is_some_and(GroupEnd::is_unknown);
        let first_seen = self.first_seen(group);
        let series = self.series(group);
        let since_baseline = series.is_some_and(|series| self.past.is_since_baseline(series, group.key, self.query));
        let now = self.past.newest().unwrap_or_default();
        let missed = |seen: Timestamp| self.past.oldest().is_some_and(|oldest| seen.since(oldest) >= NEW);
        Flag::ALL.into_iter().fold(0, |flags, flag| {
            let set = match flag {
                Flag::Rising => growth.rises(&self.query.rule),
                Flag::New => since_baseline || first_seen.is_some_and(|seen| now.since(seen) < NEW && missed(seen)),
                Flag::Unknown => {
                    unknown(&self.groups.sources, group.src)
                        || unknown(&self.groups.destinations, group.dst)
                        || unknown(&self.groups.backends, group.behind)
                }
                Flag::Stale => group.sum.stale > 0,
                Flag::Previous => group.sum.previous > 0,
            };
            flags | u8::from(set) << flag as u8
        })
    }
}

impl Measured<'_> {
    /// The number, when it is known.
    fn number(&self, measure: Measure) -> Option<f64> {
        let sum = &self.group.sum;
        match measure {
            Measure::Connections => Some(sum.connections as f64),
            Measure::Delta => self.change.map(|change| change.delta as f64),
            Measure::Rate => self.change.map(Change::per_minute),
            Measure::Established => sum.states.established_percent().map(f64::from),
            Measure::Idle => Some(sum.idle_connections as f64),
            Measure::HalfClosed => Some(sum.half_closed() as f64),
        }
    }

    /// Whether the group carries the flag.
    fn is(&self, flag: Flag) -> bool {
        self.flags & 1 << flag as u8 != 0
    }
}

impl Filter {
    /// Whether a group passes the group terms. A number that is not known satisfies no comparison.
    pub(super) fn passes_group(&self, group: &Measured<'_>, inverted: bool) -> bool {
        if self.groups.is_empty() {
            return true;
        }
        let holds = |term: &GroupTerm| match term {
            GroupTerm::Is(flag) => group.is(*flag),
            GroupTerm::Number(measure, compare, thousandths) => {
                group.number(*measure).is_some_and(|number| compare.holds(number, *thousandths as f64 / 1000.0))
            }
        };
        self.groups.iter().all(|clause| clause.holds(&holds)) != inverted
    }
}
