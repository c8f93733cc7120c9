//! How full each table is, and when it would be at the present rate.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use khan_api::{Label, TableStats, Timestamp};

use crate::model::View;

const KEPT: usize = 256;

/// Entries of each node's tables over time.
#[derive(Clone, Debug, Default)]
pub struct TableUsage {
    nodes: HashMap<String, HashMap<Label, VecDeque<(Timestamp, u64)>>>,
}

impl TableUsage {
    /// Takes the entries of each node's tables from a view.
    pub fn push(&mut self, view: &View) {
        self.nodes.retain(|name, _| view.nodes.iter().any(|node| node.node == *name));
        for node in &view.nodes {
            let Some(taken) = node.taken.filter(|_| !node.tables.is_empty()) else { continue };
            let rings = self.nodes.entry(node.node.clone()).or_default();
            rings.retain(|name, _| node.tables.iter().any(|table| table.name == *name));
            for table in &node.tables {
                let ring = rings.entry(table.name.clone()).or_default();
                if ring.back().is_none_or(|(at, _)| *at < taken) {
                    ring.push_back((taken, table.entries));
                }
                if ring.len() > KEPT {
                    ring.pop_front();
                }
            }
        }
    }

    /// Until a table of `node` is full, at the rate of the last `window`; `None` when it does not grow.
    pub fn time_to_full(&self, node: &str, table: &TableStats, window: Duration) -> Option<Duration> {
        let ring = self.nodes.get(node)?.get(&table.name)?;
        let (now, entries) = *ring.back()?;
        let (then, before) = *ring.iter().find(|(at, _)| now.since(*at) <= window)?;
        let (grown, over) = (entries.checked_sub(before)?, now.since(then));
        if grown == 0 || over.is_zero() {
            return None;
        }
        let seconds = table.limit.saturating_sub(entries) as f64 * over.as_secs_f64() / grown as f64;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::{Agent, view};

    #[test]
    fn a_growing_table_fills_in_time() {
        let mut usage = TableUsage::default();
        for step in 0..4 {
            let mut agent = Agent::new("n1", 60 * step);
            agent.snapshot.table.entries = 1000 + 100 * u64::try_from(step).unwrap();
            agent.snapshot.table.limit = 2000;
            usage.push(&view(&[agent]));
        }
        let left = |node: &str, name: &str, limit| {
            let table = TableStats { name: name.into(), limit, ..TableStats::default() };
            usage.time_to_full(node, &table, Duration::from_mins(15))
        };
        assert_eq!(left("n1", "nf_conntrack", 2000), Some(Duration::from_mins(7)));
        assert_eq!(left("n1", "nf_conntrack", 1300), Some(Duration::ZERO));
        assert_eq!([left("n1", "cilium_ct4_global", 2000), left("n2", "nf_conntrack", 2000)], [None, None]);
    }
}
