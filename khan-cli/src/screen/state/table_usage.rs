//! How full each node's table is, and when it would be at the present rate.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use khan_api::Timestamp;

use crate::model::View;

const KEPT: usize = 256;

/// Entries of each node's table over time.
#[derive(Clone, Debug, Default)]
pub struct TableUsage {
    nodes: HashMap<String, VecDeque<(Timestamp, u64)>>,
}

impl TableUsage {
    /// Takes the entries of each node's table from a view.
    pub fn push(&mut self, view: &View) {
        self.nodes.retain(|name, _| view.nodes.iter().any(|node| node.node == *name));
        for node in &view.nodes {
            if let (Some(table), Some(taken)) = (&node.table, node.taken) {
                let ring = self.nodes.entry(node.node.clone()).or_default();
                if ring.back().is_none_or(|(at, _)| *at < taken) {
                    ring.push_back((taken, table.entries));
                }
                if ring.len() > KEPT {
                    ring.pop_front();
                }
            }
        }
    }

    /// Until the table of `node` is full, at the rate of the last `window`; `None` when it does not grow.
    pub fn time_to_full(&self, node: &str, limit: u64, window: Duration) -> Option<Duration> {
        let ring = self.nodes.get(node)?;
        let (now, entries) = *ring.back()?;
        let (then, before) = *ring.iter().find(|(at, _)| now.since(*at) <= window)?;
        let (grown, over) = (entries.checked_sub(before)?, now.since(then));
        if grown == 0 || over.is_zero() {
            return None;
        }
        let seconds = limit.saturating_sub(entries) as f64 * over.as_secs_f64() / grown as f64;
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
        assert_eq!(usage.time_to_full("n1", 2000, Duration::from_mins(15)), Some(Duration::from_mins(7)));
        assert_eq!(usage.time_to_full("n1", 1300, Duration::from_mins(15)), Some(Duration::ZERO));
        assert_eq!(usage.time_to_full("n2", 2000, Duration::from_mins(15)), None);
    }
}
