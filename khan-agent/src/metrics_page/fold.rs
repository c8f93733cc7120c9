//! Keeps the number of series bounded and their sum exact.
//!
//! The largest series keep their labels. The rest is summed by app (type, namespace, app), and what is still too much
//! becomes one series per side. A series that was kept before stays until it is clearly smaller than those that want its
//! place, so that nothing flaps at the edge from scan to scan.

use std::collections::{HashMap, HashSet};

use khan_api::snapshot::Side;
use khan_api::{Kind, Label, Owner};

use super::series::{Series, Tails, merge};
use crate::identities::Endpoint;
use crate::snapshot::OTHER;

/// How much larger, in eighths, a series counts that was kept the last time.
const STAYING: u64 = 10;

/// Remembers which series were kept.
#[derive(Debug, Default)]
pub struct Folder {
    kept: HashSet<u64>,
}

/// What folding did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Series that lost labels.
    pub series: u64,
    /// Of those, how many became part of `__other__`.
    pub other: u64,
}

impl Folder {
    /// Folds to at most `most` series (never fewer than three, one for each side). `endpoints` grows by the sums' ends.
    pub(super) fn fold(
        &mut self,
        series: &mut Vec<Series>,
        endpoints: &mut Vec<Endpoint>,
        tails: &mut Tails,
        most: usize,
        identity: impl Fn(&[Endpoint], &Tails, &Series) -> u64,
    ) -> Folded {
        if series.len() <= most {
            self.kept.clear();
            return Folded::default();
        }
        let others = Side::ALL.map(|side| tails.folded(side));
        // A quarter of the lines tells the apps of what does not fit.
        let keep = (most - most / 4).saturating_sub(others.len());
        let weight =
            |kept: &HashSet<u64>, id: u64, count: u32| u64::from(count) * if kept.contains(&id) { STAYING } else { 8 };
        let ids: Vec<u64> = series.iter().map(|one| identity(endpoints, tails, one)).collect();
        let mut order: Vec<u32> = (0..).take(series.len()).collect();
        order.sort_unstable_by_key(|n| {
            let n = *n as usize;
            (std::cmp::Reverse(weight(&self.kept, ids[n], series[n].count)), ids[n])
        });
        self.kept = order[..keep].iter().map(|n| ids[*n as usize]).collect();
        let mut result: Vec<Series> = order[..keep].iter().map(|n| series[*n as usize]).collect();
        let mut folded = Folded { series: (series.len() - keep) as u64, other: 0 };

        let mut apps = Apps::default();
        let mut sums: Vec<Series> = order[keep..]
            .iter()
            .map(|n| {
                let one = series[*n as usize];
                let side = tails.side(one.tail);
                Series {
                    src: apps.of(endpoints, one.src),
                    dst: apps.of(endpoints, one.dst),
                    tail: others[side as usize],
                    ..one
                }
            })
            .collect();
        merge(&mut sums);
        let room = most.saturating_sub(keep + others.len());
        if sums.len() > room {
            sums.sort_unstable_by_key(|one| (std::cmp::Reverse(one.count), one.src, one.dst, one.tail));
            #[expect(clippy::cast_possible_truncation, reason = "as many as series have endpoints")]
            let other = endpoints.len() as u32;
            endpoints.push(Endpoint::many(Owner { app: OTHER.into(), name: OTHER.into(), ..Owner::default() }));
            folded.other = (sums.len() - room) as u64;
            for one in &mut sums[room..] {
                (one.src, one.dst) = (other, other);
            }
            merge(&mut sums);
        }
        result.extend(sums);
        merge(&mut result);
        *series = result;
        folded
    }
}

/// The endpoint that stands for an app.
#[derive(Debug, Default)]
struct Apps {
    by_endpoint: HashMap<u32, u32>,
    by_app: HashMap<(Kind, Label, Label), u32>,
}

impl Apps {
    fn of(&mut self, endpoints: &mut Vec<Endpoint>, endpoint: u32) -> u32 {
        if let Some(known) = self.by_endpoint.get(&endpoint) {
            return *known;
        }
        let one = &endpoints[endpoint as usize].owner;
        let key = (one.kind, one.ns.clone(), one.app.clone());
        let app = *self.by_app.entry(key).or_insert_with_key(|(kind, ns, app)| {
            #[expect(clippy::cast_possible_truncation, reason = "as many as series have endpoints")]
            let number = endpoints.len() as u32;
            endpoints.push(Endpoint::many(Owner { kind: *kind, ns: ns.clone(), app: app.clone(), ..Owner::default() }));
            number
        });
        self.by_endpoint.insert(endpoint, app);
        app
    }
}
