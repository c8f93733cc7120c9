//! Rows summed by endpoints and tails, before folding. What is printed is summed once more by the numbers of its fragments,
//! which are equal exactly when the texts are.

use std::collections::HashMap;

use khan_api::KnownState;
use khan_api::snapshot::Side;

use super::labels::{self, End, Fragments};
use super::{Destination, ExtraLabel, Settings};
use crate::identities::Endpoint;
use crate::snapshot::{Row, Snapshot};

/// One line's worth: the numbers of its fragments, and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Series {
    pub(super) src: u32,
    pub(super) dst: u32,
    pub(super) tail: u32,
    pub(super) count: u32,
    /// Of those, idle ones.
    pub(super) idle: u32,
    /// Of those, stalled ones.
    pub(super) stalled: u32,
    /// Of those, unanswered ones.
    pub(super) unanswered: u32,
    /// Of those, to a dead backend.
    pub(super) dead: u32,
}

impl Series {
    const fn key(&self) -> (u32, u32, u32) {
        (self.src, self.dst, self.tail)
    }

    const fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.idle += other.idle;
        self.stalled += other.stalled;
        self.unanswered += other.unanswered;
        self.dead += other.dead;
    }
}

/// Sums series with the same labels; leaves them sorted.
pub(super) fn merge(series: &mut Vec<Series>) {
    if !series.is_sorted_by_key(Series::key) {
        series.sort_unstable_by_key(Series::key);
    }
    series.dedup_by(|next, kept| {
        let same = next.key() == kept.key();
        if same {
            kept.add(next);
        }
        same
    });
}

/// All series of a snapshot, before folding.
#[derive(Debug)]
pub(super) struct Summed {
    /// `src` and `dst` are endpoints here, `tail` a fragment.
    pub(super) series: Vec<Series>,
    pub(super) tails: Tails,
}

/// Sums a snapshot's rows.
pub(super) fn sum(snapshot: &Snapshot, settings: &Settings) -> Summed {
    let mut tails = Tails::new(settings);
    let mut series: Vec<Series> = Vec::with_capacity(snapshot.rows.len());
    for row in &snapshot.rows {
        let dst = match settings.destination {
            Destination::Service => row.dst,
            Destination::Backend => row.backend,
        };
        let of = |noted: bool| if noted { row.count } else { 0 };
        let next = Series {
            src: row.src,
            dst,
            tail: tails.of(snapshot, row),
            count: row.count,
            idle: of(row.class.idle()),
            stalled: of(row.class.stalled()),
            unanswered: of(row.class.unanswered()),
            dead: of(snapshot.endpoints[row.backend as usize].dead.is_some()),
        };
        match series.last_mut() {
            Some(last) if last.key() == next.key() => last.add(&next),
            _ => series.push(next),
        }
    }
    merge(&mut series);
    Summed { series, tails }
}

/// Fragments of `side` and the extra labels.
#[derive(Debug)]
pub(super) struct Tails {
    pub(super) fragments: Fragments,
    extras: Vec<ExtraLabel>,
    backend: bool,
    by_key: HashMap<TailKey, u32>,
}

/// What a tail can depend on; parts that it does not depend on are zero.
type TailKey = (Side, u16, u16, u8, Option<KnownState>, u32, u32);

impl Tails {
    fn new(settings: &Settings) -> Self {
        let extras: Vec<_> =
            settings.extra_labels.iter().copied().filter(|extra| *extra != ExtraLabel::Workload).collect();
        Self {
            fragments: Fragments::default(),
            extras,
            backend: settings.destination == Destination::Backend,
            by_key: HashMap::new(),
        }
    }

    fn of(&mut self, snapshot: &Snapshot, row: &Row) -> u32 {
        let side = snapshot.side(row.src);
        let mut key: TailKey = (side, 0, 0, 0, None, 0, 0);
        for extra in &self.extras {
            match extra {
                ExtraLabel::DstPort => key.1 = if self.backend { row.backend_port } else { row.port },
                ExtraLabel::Zone => key.2 = row.zone,
                ExtraLabel::Transport => key.3 = row.class.protocol() as u8,
                ExtraLabel::State => key.4 = Some(row.class.state()),
                ExtraLabel::Service => key.5 = row.dst,
                ExtraLabel::Backend => key.6 = row.backend,
                ExtraLabel::Workload => {}
            }
        }
        if let Some(known) = self.by_key.get(&key) {
            return *known;
        }
        let number = self.text(side, Some((row, &snapshot.endpoints)));
        self.by_key.insert(key, number);
        number
    }

    /// The tail of a folded series: its extra labels are empty.
    pub(super) fn folded(&mut self, side: Side) -> u32 {
        self.text(side, None)
    }

    /// The side that the tail says.
    pub(super) fn side(&self, tail: u32) -> Side {
        let says = |side: &Side| {
            let value = self.fragments.get(tail).strip_prefix("side=\"");
            value.and_then(|value| value.strip_prefix(side.as_str())).is_some_and(|rest| rest.starts_with('"'))
        };
        Side::ALL.into_iter().find(says).unwrap_or(Side::Unknown)
    }

    fn text(&mut self, side: Side, row: Option<(&Row, &[Endpoint])>) -> u32 {
        let Self { fragments, extras, backend, .. } = self;
        fragments.add(|text| labels::tail(text, side, extras, row, *backend))
    }

    /// The fragments alone.
    pub(super) fn finish(self) -> Fragments {
        self.fragments
    }
}

/// Fragments of one end, made when an endpoint first needs one. Endpoints that print alike share one.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) fragments: Fragments,
    end: End,
    workload: bool,
    of: Vec<u32>,
}

impl Ends {
    pub(super) fn new(end: End, settings: &Settings, endpoints: usize) -> Self {
        let workload = settings.extra_labels.contains(&ExtraLabel::Workload);
        Self { fragments: Fragments::default(), end, workload, of: vec![u32::MAX; endpoints] }
    }

    pub(super) fn of(&mut self, number: u32, endpoint: &Endpoint) -> u32 {
        let known = &mut self.of[number as usize];
        if *known == u32::MAX {
            *known = self.fragments.add(|text| labels::endpoint(text, self.end, endpoint, self.workload));
        }
        *known
    }
}
