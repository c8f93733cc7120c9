//! Rows summed by exactly the labels that are exported.

use std::collections::HashMap;

use khan_api::snapshot::Side;

use super::labels::{self, End, Fragments};
use super::{Destination, ExtraLabel, Settings};
use crate::identities::Endpoint;
use crate::snapshot::{OTHER, Row, Snapshot};

/// One line's worth: the numbers of its fragments, and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Series {
    pub(super) src: u32,
    pub(super) dst: u32,
    pub(super) tail: u32,
    pub(super) count: u32,
    /// Of those, idle ones.
    pub(super) idle: u32,
}

impl Series {
    const fn key(&self) -> (u32, u32, u32) {
        (self.src, self.dst, self.tail)
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
            kept.count += next.count;
            kept.idle += next.idle;
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
    let same = equals(&snapshot.endpoints);
    let one = |endpoint: u32| if same.is_empty() { endpoint } else { same.get(&endpoint).copied().unwrap_or(endpoint) };
    let mut series: Vec<Series> = Vec::with_capacity(snapshot.rows.len());
    for row in &snapshot.rows {
        let dst = match settings.destination {
            Destination::Service => row.dst,
            Destination::Backend => row.backend,
        };
        let next = Series {
            src: one(row.src),
            dst: one(dst),
            tail: tails.of(snapshot, row),
            count: row.count,
            idle: if row.class.idle() { row.count } else { 0 },
        };
        match series.last_mut() {
            Some(last) if last.key() == next.key() => {
                last.count += next.count;
                last.idle += next.idle;
            }
            _ => series.push(next),
        }
    }
    merge(&mut series);
    Summed { series, tails }
}

/// Endpoints that a page cannot tell from another one of the same address: a previous owner with the names of the present
/// one, as a `StatefulSet`'s pods have. And the sums of many clients, whose homes are not on the page.
fn equals(endpoints: &[Endpoint]) -> HashMap<u32, u32> {
    let sum = |endpoint: &Endpoint| endpoint.ip.is_none() && endpoint.owner.app == OTHER;
    let mut sums = (0u32..).zip(endpoints).filter(|(_, endpoint)| sum(endpoint)).map(|(n, _)| n);
    let first = sums.next().unwrap_or_default();
    let mut same: HashMap<u32, u32> = sums.map(|n| (n, first)).collect();
    if !endpoints.iter().any(|endpoint| endpoint.owner.gone) {
        return same;
    }
    let present: HashMap<_, _> = (0u32..)
        .zip(endpoints)
        .filter(|(_, endpoint)| !endpoint.owner.gone)
        .map(|(n, endpoint)| (endpoint.ip, n))
        .collect();
    for (number, endpoint) in (0u32..).zip(endpoints).filter(|(_, endpoint)| endpoint.owner.gone) {
        if let Some(other) = present.get(&endpoint.ip)
            && labels_of(endpoint) == labels_of(&endpoints[*other as usize])
        {
            same.insert(number, *other);
        }
    }
    same
}

fn labels_of(endpoint: &Endpoint) -> (khan_api::Kind, &str, &str, &str, &str, &str) {
    let owner = &endpoint.owner;
    (owner.kind, &owner.ns, &owner.app, &owner.name, &owner.workload, &owner.node)
}

/// Fragments of `side` and the extra labels.
#[derive(Debug)]
pub(super) struct Tails {
    pub(super) fragments: Fragments,
    extras: Vec<ExtraLabel>,
    backend: bool,
    known: HashMap<String, u32>,
    by_key: HashMap<TailKey, u32>,
}

/// What a tail can depend on; parts that it does not depend on are zero.
type TailKey = (bool, u16, u16, u8, &'static str, u32, u32);

impl Tails {
    fn new(settings: &Settings) -> Self {
        let extras: Vec<_> =
            settings.extra_labels.iter().copied().filter(|extra| *extra != ExtraLabel::Workload).collect();
        Self {
            fragments: Fragments::default(),
            extras,
            backend: settings.destination == Destination::Backend,
            known: HashMap::new(),
            by_key: HashMap::new(),
        }
    }

    fn of(&mut self, snapshot: &Snapshot, row: &Row) -> u32 {
        let side = snapshot.side(row.src);
        let mut key: TailKey = (side == Side::Server, 0, 0, 0, "", 0, 0);
        for extra in &self.extras {
            match extra {
                ExtraLabel::DstPort => key.1 = if self.backend { row.backend_port } else { row.port },
                ExtraLabel::Zone => key.2 = row.zone,
                ExtraLabel::Transport => key.3 = row.class.protocol() as u8,
                ExtraLabel::State => key.4 = row.class.state().as_str(),
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

    /// Whether the tail says `side="server"`.
    pub(super) fn side(&self, tail: u32) -> Side {
        if self.fragments.get(tail).starts_with("side=\"server\"") { Side::Server } else { Side::Client }
    }

    fn text(&mut self, side: Side, row: Option<(&Row, &[Endpoint])>) -> u32 {
        let mut text = String::new();
        labels::tail(&mut text, side, &self.extras, row, self.backend);
        if let Some(known) = self.known.get(&text) {
            return *known;
        }
        let number = self.fragments.add(|all| all.push_str(&text));
        self.known.insert(text, number);
        number
    }

    /// The fragments alone.
    pub(super) fn finish(self) -> Fragments {
        self.fragments
    }
}

/// Fragments of one end, made when an endpoint first needs one.
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
