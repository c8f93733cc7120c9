//! Keeps the number of rows bounded, their sum exact, and the largest of them.
//!
//! When there are too many rows, the smallest are given up: summed by whichever end many of them share, else by where the
//! client lives. That is the algorithm of Misra and Gries ("Finding repeated elements", 1982) with many counters taken
//! down at once: each time, what the smallest quarter has is counted as lost to every row, and a row is given up when it has
//! had no more than what was lost since it began. So no order of entries hides a pair: with `lost` as the sum of what was
//! taken, every pair of more connections has a row, and a row lacks no more than that. In a flood of pairs with one
//! connection each, `lost` is the number of times that the rows filled up. At worst, when sums fill the rows as well and a
//! quarter of them is kept for the pairs below, 3/16 of the rows pay each time with connections that were counted
//! twice: 32/3 of the connections per row that there is room for.
//!
//! What the largest pairs of the latest scan were is known before the next begins. Their rows are not given up, so that
//! their counts are exact.

use std::collections::HashSet;
use std::sync::Arc;

use super::cells::{Cell, Cells, Word};
use crate::flows::Address;

/// The most rows of both address families together. Rows, owners and labels of so many fit into the agent's 64 MiB
/// (docs/sizing.md), and a page shows less than a third of them.
pub(super) const MOST: usize = 1 << 16;

/// An end that this many rows share, of those that are given up together, stays in their sum.
const SHARED: u16 = 64;

type ByAddress = dyn Fn(Address, bool) -> u32 + Send + Sync;

/// Where clients live, as far as it is known before the dump: clients of one home may be summed, because one agent
/// counts them all. Homes are numbers here; whoever names them knows what they mean.
#[derive(Clone)]
pub struct Homes(Arc<ByAddress>);

impl Homes {
    /// `of` tells the home of an address, or, when asked so, of the address's previous owner.
    pub fn new(of: impl Fn(Address, bool) -> u32 + Send + Sync + 'static) -> Self {
        Self(Arc::new(of))
    }
}

impl Default for Homes {
    /// One home for all.
    fn default() -> Self {
        Self::new(|_, _| 0)
    }
}

impl std::fmt::Debug for Homes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Homes")
    }
}

/// The largest pairs of the latest scan, by hash.
#[derive(Debug, Default)]
pub(super) struct Known(HashSet<u64>);

impl Known {
    /// At most `most` of the pairs in these rows, the largest; none when all rows fit anyway.
    pub(super) fn largest(v4: &Cells<u32>, v6: &Cells<u128>, most: usize) -> Self {
        fn pairs<A: Word>(cells: &Cells<A>) -> impl Iterator<Item = (u64, u32)> {
            let rows = cells.as_slice().iter().filter(|row| !row.class.is_sum());
            rows.map(|row| (row.pair(&cells.seeds), row.count))
        }
        if v4.len() + v6.len() <= most {
            return Self::default();
        }
        let mut pairs: Vec<(u64, u32)> = pairs(v4).chain(pairs(v6)).collect();
        pairs.sort_unstable();
        pairs.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        // A flood's pairs have one connection each, and are others the next time.
        pairs.retain(|pair| pair.1 > 1);
        if pairs.len() > most {
            pairs.select_nth_unstable_by_key(most, |pair| std::cmp::Reverse(pair.1));
            pairs.truncate(most);
        }
        Self(pairs.into_iter().map(|pair| pair.0).collect())
    }
}

/// Gives up the smallest rows. Tells where each row is now.
pub(super) fn shrink<A: Word>(
    cells: &mut Cells<A>,
    known: &Known,
    homes: &Homes,
    address: impl Fn(A) -> Address,
) -> Vec<u32> {
    const STAYS: u32 = u32::MAX;
    let seeds = cells.seeds;
    let everything = |row: &Cell<A>| row.class.many() == [true; 2];
    let largest = |row: &Cell<A>| !known.0.is_empty() && known.0.contains(&row.pair(&seeds));
    let mut margins: Vec<u32> = cells.margins().collect();
    let mut others = Vec::with_capacity(margins.len());
    for (margin, row) in margins.iter_mut().zip(cells.as_slice()) {
        if everything(row) || largest(row) {
            *margin = STAYS;
        } else {
            others.push(*margin);
        }
    }
    if others.len() < cells.len() / 2 {
        // Pairs in all too many states leave no room for any other.
        margins =
            cells.margins().zip(cells.as_slice()).map(|(n, row)| if everything(row) { STAYS } else { n }).collect();
        others.clone_from(&margins);
    }
    let quarter = others.len() / 4;
    let margin = if others.is_empty() { 0 } else { *others.select_nth_unstable(quarter).1 };
    drop(others);
    let given_up = |n: usize| margins[n] <= margin;

    let mut shared = Shared::default();
    for (_, row) in cells.as_slice().iter().enumerate().filter(|(n, row)| given_up(*n) && !row.class.is_sum()) {
        shared.count(Shared::client(row, &seeds));
        shared.count(Shared::server(row, &seeds));
    }
    cells.give_up(margin, given_up, |row| {
        let [client, service, backend] = row.class.gone();
        let clients = shared.by(Shared::client(row, &seeds));
        let servers = shared.by(Shared::server(row, &seeds));
        let whole = !row.class.is_sum();
        if whole && clients >= SHARED && clients >= servers {
            let class = row.class.sum(false, true);
            return Cell { service: A::NONE, backend: A::NONE, port: 0, backend_port: 0, class, ..*row };
        }
        let home = match row.class.many() {
            [true, _] => row.client,
            [false, _] => homes.0(address(row.client), client).into(),
        };
        if whole && servers >= SHARED && !service && !backend {
            return Cell { client: home, oldest: 0, class: row.class.sum(true, false), ..*row };
        }
        Cell {
            client: home,
            service: A::NONE,
            backend: A::NONE,
            port: 0,
            backend_port: 0,
            zone: 0,
            oldest: 0,
            class: row.class.sum(true, true),
            count: row.count,
        }
    })
}

/// How many of the rows that are given up share an end, about: ends of one number are counted together.
struct Shared(Vec<u16>);

impl Default for Shared {
    fn default() -> Self {
        Self(vec![0; 1 << 15])
    }
}

impl Shared {
    fn client<A: Word>(row: &Cell<A>, seeds: &super::Seeds) -> u64 {
        A::hash(seeds, [row.client, A::NONE, A::NONE], 0)
    }

    fn server<A: Word>(row: &Cell<A>, seeds: &super::Seeds) -> u64 {
        A::hash(seeds, [A::NONE, row.service, row.backend], u64::from(row.port) << 16 | u64::from(row.backend_port))
    }

    fn place(&self, end: u64) -> usize {
        (end >> 20) as usize % self.0.len()
    }

    fn count(&mut self, end: u64) {
        let place = self.place(end);
        self.0[place] = self.0[place].saturating_add(1);
    }

    fn by(&self, end: u64) -> u16 {
        self.0[self.place(end)]
    }
}
