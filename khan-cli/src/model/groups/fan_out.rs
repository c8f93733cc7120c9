//! Fan-outs: where a source reaches many destinations on one port and none stands out, their groups become one,
//! `mon/prometheus -> * (311 pods):9100`.
//!
//! A folded group is exactly the row of the same question asked without the destination. So it has a key, a past and a
//! drill-down of its own, however its destinations come and go.

use std::collections::{HashMap, HashSet};

use khan_api::Kind;

use super::group::{Fan, Group, Groups, group};
use super::keyer::Keyer;
use super::select::select;
use crate::model::endpoint::Owner;
use crate::model::group_by::GroupBy;
use crate::model::group_end::{Grain, GroupEnd};
use crate::model::query::Query;
use crate::model::view::View;

/// Groups from which on a fan-out is folded.
const MANY: u64 = 12;
/// A destination with more than this part of the connections stands out: one in four.
const PART: u64 = 4;

impl Query {
    /// The question whose rows the folded fan-outs of this one are; `None` when it folds none.
    #[must_use]
    pub fn fans(&self) -> Option<Self> {
        let by = self.group_by;
        let folds = self.fold && by.src.is_some() && by.dst == Some(Grain::App) && by.behind.is_none() && by.port;
        folds.then(|| Self { group_by: GroupBy { dst: None, ..by }, fold: false, keep: Vec::new(), ..self.clone() })
    }
}

#[derive(Default)]
struct Tally {
    groups: u64,
    connections: u64,
    largest: u64,
    kept: bool,
}

/// Replaces the groups of each fan-out by one. A fan-out with a group that the query keeps stays as it is.
pub(crate) fn fold(view: &View, query: &Query, groups: &mut Groups) {
    let Some(outer) = query.fans() else { return };
    let place = |group: &Group| (group.src, group.port, group.node, group.protocol, group.state);
    let mut fans: HashMap<_, Tally> = HashMap::new();
    for group in &groups.all {
        let fan = fans.entry(place(group)).or_default();
        fan.groups += 1;
        fan.connections += group.sum.connections;
        fan.largest = fan.largest.max(group.sum.connections);
        fan.kept |= query.keep.contains(&group.key);
    }
    fans.retain(|_, fan| fan.groups >= MANY && fan.largest * PART <= fan.connections && !fan.kept);
    if fans.is_empty() {
        return;
    }
    groups.all.retain(|group| !fans.contains_key(&place(group)));
    // Ends are numbered alike: both questions look at the same sources.
    let mut folded = group(view, &outer).all;
    folded.retain(|group| fans.contains_key(&place(group)));
    let index: HashMap<_, _> = folded.iter().enumerate().map(|(at, group)| (group.key, at)).collect();
    let keyer = Keyer::new(view, outer.group_by);
    let mut seen = HashSet::new();
    select(view, &outer, |row, state, _| {
        let Some(at) = index.get(&keyer.key(row, state)) else { return };
        if seen.insert((*at, row.dst)) {
            let kind = view.endpoints[row.dst as usize].owner.kind;
            let fan = folded[*at].fan.get_or_insert(Fan { ends: 0, kind: Some(kind) });
            fan.ends += 1;
            fan.kind = fan.kind.filter(|known| *known == kind);
        }
    });
    groups.all.append(&mut folded);
}

impl Fan {
    /// The many ends in place of one.
    pub(crate) fn end(self) -> GroupEnd {
        let what = match self.kind {
            Some(Kind::Pod) => "pods",
            Some(Kind::Service) => "services",
            Some(Kind::Node) => "nodes",
            _ => "addrs",
        };
        GroupEnd {
            owner: Owner { kind: self.kind.unwrap_or(Kind::Unknown), ..Owner::default() },
            ip: None,
            text: format!("* ({} {what})", self.ends).into(),
            addresses: self.ends,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::{Agent, view};
    use crate::model::{History, project};

    /// Prometheus scrapes `targets` pods of as many apps; one more app is asked `heavy` times as often.
    fn scraping(seconds: i64, targets: u64, each: u64, heavy: u64) -> Agent {
        let agent = Agent::new("n1", seconds).row("mon/prometheus@n1", "shop/web@n1", 80, 3);
        let agent = (0..targets)
            .fold(agent, |agent, i| agent.row("mon/prometheus@n1", &format!("apps/target-{i}@n1"), 9100, each));
        if heavy > 0 { agent.row("mon/prometheus@n1", "apps/heavy@n1", 9100, heavy) } else { agent }
    }

    fn lines(view: &View, query: &Query) -> Vec<String> {
        let rows = project(view, query, &History::default()).rows;
        rows.iter().map(|row| format!("{} {} {}", row.source(), row.destination(), row.sum.connections)).collect()
    }

    fn folding() -> Query {
        Query { fold: true, ..Query::default() }
    }

    #[test]
    fn many_alike_are_one_row_and_few_or_one_that_stands_out_are_not() {
        let folded = ["mon/prometheus * (20 pods) 40", "mon/prometheus shop/web 3"];
        assert_eq!(lines(&view(&[scraping(0, 20, 2, 0)]), &folding()), folded);
        assert_eq!(lines(&view(&[scraping(0, 20, 2, 0)]), &Query::default()).len(), 21);
        assert_eq!(lines(&view(&[scraping(0, 11, 2, 0)]), &folding()).len(), 12);
        assert_eq!(lines(&view(&[scraping(0, 20, 2, 14)]), &folding()).len(), 22);
        assert_eq!(lines(&view(&[scraping(0, 20, 2, 10)]), &folding()).len(), 2);
    }

    #[test]
    fn a_kept_row_stays_a_row() {
        let view = view(&[scraping(0, 20, 2, 0)]);
        let row = project(&view, &Query::default(), &History::default()).rows[4].key;
        let query = Query { keep: vec![row], ..folding() };
        assert_eq!(lines(&view, &query).len(), 21);
        let fan = project(&view, &folding(), &History::default()).rows[0].key;
        assert_eq!(lines(&view, &Query { keep: vec![fan], ..folding() }).len(), 2);
    }

    #[test]
    fn a_folded_row_has_a_past_and_opens_into_what_it_stands_for() {
        let (query, mut history) = (folding(), History::default());
        history.track(&query);
        history.track(&query.fans().unwrap());
        // The targets change, the fan-out stays.
        for (seconds, targets) in [(0, 20), (30, 25)] {
            history.push(view(&[scraping(seconds, targets, 2, 0)]));
        }
        let view = view(&[scraping(30, 25, 2, 0)]);
        let row = project(&view, &query, &history).rows.swap_remove(0);
        assert!(row.fan && row.dst.as_ref().is_some_and(|party| party.addresses == 25));
        assert_eq!(row.change.map(|change| change.delta), Some(10));
        let inner = query.fans().unwrap().within(row.key, GroupBy::EDGES);
        let rows = project(&view, &inner, &history);
        assert_eq!((rows.rows.len(), rows.total.connections), (25, 50));
    }

    #[test]
    fn folding_changes_no_total() {
        let view = view(&[scraping(0, 40, 1, 0), Agent::new("n2", 0).row("a/b@n2", "c/d@n2", 1, 5)]);
        let (plain, folded) = (Query::default(), folding());
        let total = |query| project(&view, query, &History::default()).total;
        assert_eq!(total(&plain), total(&folded));
    }
}
