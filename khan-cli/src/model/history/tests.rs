use proptest::prelude::*;

use super::*;
use crate::model::fixture::{Agent, Heard, view};
use crate::model::groups::past::{Change, Point};
use crate::model::{GroupBy, Row, project};

const STEP: i64 = 30;

/// One view every 30 s, with these connections from `shop/web` on n1 and 5 from `shop/cart` on n2.
fn views(values: &[u64]) -> Vec<Arc<View>> {
    let one = |(step, value): (usize, &u64)| {
        let at = STEP * i64::try_from(step).unwrap();
        let n1 = Agent::new("n1", at);
        let n1 = if *value > 0 { n1.row("shop/web@n1", "data/db@n3", 5432, *value) } else { n1 };
        view(&[n1, Agent::new("n2", at).row("shop/cart@n2", "data/db@n3", 5432, 5)])
    };
    values.iter().enumerate().map(one).collect()
}

fn fed(views: &[Arc<View>], query: &Query) -> History {
    let mut history = History::default();
    history.track(query);
    for view in views {
        history.push(Arc::clone(view));
    }
    history
}

fn web(view: &View, query: &Query, history: &History) -> Row {
    let rows = project(view, query, history).rows;
    rows.into_iter().find(|row| row.source() == "shop/web").unwrap()
}

#[test]
fn changes_are_over_the_window() {
    let query = Query { window: Duration::from_mins(1), ..Query::default() };
    let views = views(&[10, 10, 20, 40, 50]);
    let history = fed(&views, &query);
    let row = web(&views[4], &query, &history);
    assert_eq!(row.change, Some(Change { delta: 30, over: Duration::from_mins(1) }));
    assert!((row.change.unwrap().per_minute() - 30.0).abs() < 1e-9);
    assert_eq!(row.trend.points.len(), 5);
    assert_eq!(project(&views[4], &query, &history).change.unwrap().delta, 30);
}

#[test]
fn one_view_is_one_sample() {
    let query = Query::default();
    let views = views(&[10]);
    let mut history = fed(&views, &query);
    assert!(!history.push(Arc::clone(&views[0])));
    assert_eq!(web(&views[0], &query, &history).change, None);
    assert_eq!(history.len(), 1);
}

#[test]
fn a_shape_tracked_late_gets_the_kept_past() {
    let early = Query::default();
    let views = views(&[10, 20, 30]);
    let mut history = fed(&views, &early);
    let late = Query { group_by: crate::model::GroupBy::SOURCES, ..early.clone() };
    assert_eq!(web(&views[2], &late, &history).change, None);
    history.track(&late);
    assert_eq!(web(&views[2], &late, &history).change.unwrap().delta, 20);
}

/// Rows take most of the memory, and for those of a large cluster there is room only once.
#[test]
fn replaced_rows_are_not_held_whether_they_were_sampled_or_not() {
    let mut history = History::with_limits(Limits { view_rows: 0, ..Limits::default() });
    history.track(&Query::default());
    let mut latest: Option<Arc<View>> = None;
    for (at, sampled) in [(0, true), (2, false), (6, true), (7, false), (8, false), (12, true)] {
        let n1 = Agent::new("n1", at).row("shop/web@n1", "data/db@n3", 5432, 10);
        let view = view(&[n1, Agent::new("n2", at).row("shop/cart@n2", "data/db@n3", 5432, 5)]);
        assert_eq!(history.push(Arc::clone(&view)), sampled, "at {at} s");
        let replaced = latest.replace(view);
        let tables: Vec<_> =
            replaced.iter().flat_map(|view| view.tables().map(|(_, table)| Arc::downgrade(table))).collect();
        drop(replaced);
        assert!(tables.iter().all(|table| table.strong_count() == 0), "at {at} s");
    }
    // With no view kept, a question that is asked only now has the present for its past.
    let late = Query { group_by: crate::model::GroupBy::SOURCES, ..Query::default() };
    history.track(&late);
    let row = web(&latest.unwrap(), &late, &history);
    assert_eq!(row.trend.points, [Point::Missing, Point::Missing, Point::Value(10)]);
}

#[test]
fn a_new_row_is_new_and_an_old_one_is_not() {
    let query = Query::default();
    let views = views(&[0, 0, 8]);
    let history = fed(&views, &query);
    let row = web(&views[2], &query, &history);
    assert_eq!(row.change.unwrap().delta, 8);
    assert_eq!(row.first_seen, views[2].newest);
    assert_eq!(row.trend.points, [Point::Before, Point::Before, Point::Value(8)]);
    let is_new = |row: &Row| row.has(crate::model::filter::Flag::New);
    assert!(!is_new(&row), "what comes in the first minutes may come and go all the time");
    let cart = project(&views[2], &query, &history).rows.remove(1);
    assert_eq!((cart.source(), cart.first_seen), ("shop/cart", None));
    let later = self::views(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8]);
    let row = web(&later[10], &query, &fed(&later, &query));
    assert!(is_new(&row) && row.first_seen == later[10].newest, "it was watched for, for five minutes");
}

#[test]
fn a_boot_is_no_fall_of_a_hundred_percent() {
    let query = Query::default();
    let mut agents: Vec<_> = [(0, 100), (30, 100), (60, 2), (90, 4)]
        .map(|(at, n)| Agent::new("n1", at).row("shop/web@n1", "data/db@n3", 5432, n))
        .into();
    for agent in &mut agents[2..] {
        agent.snapshot.boot_id = "later".into();
    }
    let views: Vec<_> = agents.into_iter().map(|agent| view(&[agent])).collect();
    let history = fed(&views[..3], &query);
    assert_eq!(web(&views[2], &query, &history).change, None);
    let history = fed(&views, &query);
    assert_eq!(web(&views[3], &query, &history).change, Some(Change { delta: 2, over: Duration::from_secs(30) }));
}

#[test]
fn a_node_that_joins_brings_no_news() {
    let query = Query::default();
    let n2 = |at| Agent::new("n2", at).row("shop/cart@n2", "data/db@n3", 5432, 5);
    let both = view(&[n2(30), Agent::new("n1", 30).row("shop/web@n1", "data/db@n3", 5432, 9)]);
    let history = fed(&[view(&[n2(0)]), Arc::clone(&both)], &query);
    let row = web(&both, &query, &history);
    assert_eq!((row.change, row.first_seen), (None, None));
}

#[test]
fn a_window_fits_into_what_is_remembered() {
    let spacing = |interval, window| Limits::spaced(Duration::from_secs(interval), Duration::from_secs(window)).spacing;
    assert_eq!(spacing(5, 900), Duration::from_secs(4));
    assert_eq!(spacing(1, 300), Duration::from_millis(800));
    // A day of snapshots every five seconds.
    let samples = 86_400 / spacing(5, 86_400).as_secs();
    assert!((500..=720).contains(&samples), "{samples}");
}

#[test]
fn no_change_is_taken_over_a_gap_in_time() {
    let query = Query { window: Duration::from_hours(2), ..Query::default() };
    let at = |seconds, n| view(&[Agent::new("n1", seconds).row("shop/web@n1", "data/db@n3", 5432, n)]);
    let change = |views: &[Arc<View>]| {
        let history = fed(views, &query);
        web(views.last().unwrap(), &query, &history).change.map(|change| change.delta)
    };
    let slept = [at(0, 10), at(30, 20), at(3600, 500), at(3630, 510)];
    assert_eq!(change(&slept[..2]), Some(10));
    assert_eq!(change(&slept[..3]), None);
    assert_eq!(change(&slept), Some(10));
    let set_back = [at(600, 10), at(630, 20), at(0, 30), at(30, 45)];
    assert_eq!(change(&set_back[..3]), None);
    assert_eq!(change(&set_back), Some(15));
    assert_eq!(change(&[at(0, 10), at(30, 20), at(100, 30)]), Some(20), "a missed round is no gap");
}

#[test]
fn a_baseline_outlives_the_window() {
    let query = Query { window: Duration::from_secs(30), since_baseline: true, ..Query::default() };
    let views = views(&[10, 20, 30, 40]);
    let mut history = fed(&views[..1], &query);
    history.set_baseline(Some(Arc::clone(&views[0])));
    for view in &views[1..] {
        history.push(Arc::clone(view));
    }
    assert_eq!(web(&views[3], &query, &history).change.unwrap().delta, 30);
    history.set_baseline(None);
    assert_eq!(web(&views[3], &query, &history).change.unwrap().delta, 10);
}

#[test]
fn a_talker_that_is_not_in_the_baseline_is_new() {
    let query = Query { since_baseline: true, ..Query::default() };
    // Its node joins later, so that it is not known to be new otherwise.
    let cart = |at| Agent::new("n2", at).row("shop/cart@n2", "data/db@n3", 5432, 5);
    let both = view(&[cart(30), Agent::new("n1", 30).row("shop/web@n1", "data/db@n3", 5432, 9)]);
    let mut history = fed(&[view(&[cart(0)]), Arc::clone(&both)], &query);
    let is_new = |history: &History| web(&both, &query, history).has(crate::model::filter::Flag::New);
    assert!(!is_new(&history));
    history.set_baseline(Some(view(&[cart(0)])));
    assert!(is_new(&history));
    history.set_baseline(Some(Arc::clone(&both)));
    assert!(!is_new(&history));
}

#[test]
fn memory_is_bounded_and_old_samples_go() {
    let limits = Limits { samples: 3, keys: 1, view_rows: 4, shapes: 1, ..Limits::default() };
    let query = Query::default();
    let mut history = History::with_limits(limits);
    history.track(&query);
    let views = views(&[10, 20, 30, 40, 50]);
    for view in &views {
        history.push(Arc::clone(view));
    }
    assert_eq!((history.len(), history.views.len(), history.shapes[0].rings.len()), (3, 2, 1));
    let row = web(&views[4], &query, &history);
    assert_eq!(row.change.unwrap().delta, 20);
}

#[test]
fn rows_that_take_turns_among_the_largest_do_not_add_up() {
    let query = Query::default();
    let mut history = History::with_limits(Limits { keys: 2, ..Limits::default() });
    history.track(&query);
    for step in 0..20 {
        let agent = Agent::new("n1", STEP * step);
        let rows = (0..2).fold(agent, |agent, n| agent.row(&format!("shop/job-{step}-{n}@n1"), "data/db@n3", 5432, 9));
        history.push(view(&[rows]));
        assert!(history.shapes[0].rings.len() <= 4, "{}", history.shapes[0].rings.len());
    }
    assert!(history.shapes[0].truncated, "so a row that comes back is not called new");
}

#[test]
fn groupings_asked_for_longest_ago_make_room() {
    let views = views(&[10, 20, 30, 40]);
    let grouped = |group_by| Query { group_by, window: Duration::from_mins(1), ..Query::default() };
    let queries = [GroupBy::DESTINATIONS, GroupBy::SOURCES, GroupBy::EDGES].map(grouped);
    let mut history = History::with_limits(Limits { values: 12, ..Limits::default() });
    for query in &queries {
        history.track(query);
    }
    for view in &views {
        history.push(Arc::clone(view));
    }
    let left: Vec<_> = history.tracked().map(Query::shape).collect();
    assert!(left.len() < queries.len(), "two rows of four samples each are eight values");
    assert_eq!(left.last(), queries.last().map(Query::shape).as_ref());
    assert_eq!(web(&views[3], &queries[2], &history).change.unwrap().delta, 20);
}

#[test]
fn the_past_goes_before_the_present() {
    let query = Query::default();
    let views = views(&[10, 20, 30]);
    let mut history = fed(&views[2..], &query);
    history.backfill(views[..2].to_vec());
    assert_eq!(web(&views[2], &query, &history).change.unwrap().delta, 20);
}

/// A snapshot of each agent every 30 s: n1 with a client that leaks one connection a step and n2 with five steady ones, of
/// one app; and one client on n2 of a server on n1.
fn step(step: i64, without: &[&str]) -> Arc<View> {
    let leaked = u64::try_from(100 + step).unwrap();
    let across = |agent: Agent| agent.row("shop/cart@n2", "data/db@n1", 5432, 7);
    let mut agents = [
        across(Agent::new("n1", STEP * step).row("shop/web-1:web@n1", "data/db@n3", 5432, leaked)),
        across(Agent::new("n2", STEP * step).row("shop/web-2:web@n2", "data/db@n3", 5432, 5)),
    ];
    for agent in &mut agents {
        if without.contains(&&*agent.snapshot.node) {
            agent.heard = Heard::Never;
        }
    }
    view(&agents)
}

fn values(row: &Row) -> Vec<u64> {
    let value = |point: &Point| if let Point::Value(value) = point { *value } else { panic!("{point:?}") };
    row.trend.points.iter().map(value).collect()
}

#[test]
fn a_node_that_stops_answering_changes_nothing_on_the_others() {
    let query = Query::default();
    let views: Vec<_> = (0..8).map(|at| step(at, if at < 4 { &[] } else { &["n2"] })).collect();
    let history = fed(&views, &query);
    let row = web(&views[7], &query, &history);
    assert_eq!(row.sum.connections, 107, "what is on the screen is what is heard");
    assert_eq!(row.change, Some(Change { delta: 7, over: Duration::from_secs(210) }));
    assert_eq!(values(&row), [100, 101, 102, 103, 104, 105, 106, 107]);
    // The server's node counts the connections of a client whose node is away; they are no new ones.
    let all = project(&views[7], &query, &history);
    let cart = all.rows.iter().find(|row| row.source() == "shop/cart").unwrap();
    assert_eq!((cart.sum.connections, cart.change.unwrap().delta, cart.first_seen), (7, 0, None));
    assert_eq!(all.change.unwrap().delta, 7);
}

#[test]
fn nothing_heard_is_no_zero() {
    let query = Query::default();
    // Khan is taken away and installed again.
    let nothing = |at: i64| {
        Arc::new(View { id: at.unsigned_abs(), settled: true, assembled: step(at, &[]).assembled, ..View::default() })
    };
    let mut views: Vec<_> = (0..5).map(|at| step(at, &[])).collect();
    views.extend((5..15).map(nothing));
    views.push(step(15, &["n2"]));
    views.extend((16..20).map(|at| step(at, &[])));
    let history = fed(&views, &query);
    assert_eq!(history.len(), 10);
    let row = web(&views[19], &query, &history);
    assert_eq!(values(&row), [105, 106, 107, 108, 109, 120, 121, 122, 123, 124]);
    let long = Query { window: Duration::from_mins(15), ..query.clone() };
    assert_eq!(web(&views[19], &long, &history).change.unwrap().delta, 19);
    assert!(!row.has(crate::model::filter::Flag::New));
}

#[test]
fn agents_that_are_rolled_out_bring_no_news() {
    let query = Query::default();
    let views: Vec<_> = (0..8).map(|at| step(at, if at < 4 { &["n2"] } else { &[] })).collect();
    let history = fed(&views, &query);
    let row = web(&views[7], &query, &history);
    assert_eq!(values(&row), [105, 106, 107, 108, 109, 110, 111, 112]);
    assert_eq!((row.change.unwrap().delta, row.first_seen), (7, None));
    let late = Query { group_by: crate::model::GroupBy::NODES, ..query.clone() };
    let mut history = history;
    history.track(&late);
    let nodes = project(&views[7], &late, &history).rows;
    assert_eq!(nodes.iter().map(|row| row.change.map(|change| change.delta)).collect::<Vec<_>>(), [Some(7), Some(0)]);
}

#[test]
fn what_changed_while_a_node_was_away_is_spread_over_its_absence() {
    let query = Query::default();
    let views: Vec<_> = (0..8).map(|at| step(at, if (2..5).contains(&at) { &["n1"] } else { &[] })).collect();
    let history = fed(&views, &query);
    assert_eq!(values(&web(&views[7], &query, &history)), [105, 106, 107, 108, 109, 110, 111, 112]);
}

#[test]
fn a_boot_breaks_the_rows_of_its_node_only() {
    let query = Query::default();
    let rebooted = |at: i64| {
        let mut n2 = Agent::new("n2", STEP * at).row("shop/other@n2", "data/db@n3", 5432, 5);
        n2.snapshot.boot_id = if at < 4 { "a" } else { "b" }.into();
        view(&[Agent::new("n1", STEP * at).row("shop/web@n1", "data/db@n2", 5432, u64::try_from(at).unwrap() + 1), n2])
    };
    let views: Vec<_> = (0..8).map(rebooted).collect();
    let history = fed(&views, &query);
    let rows = project(&views[7], &query, &history).rows;
    let over = |source: &str| {
        rows.iter().find(|row| row.source() == source).unwrap().change.map(|change| change.over.as_secs())
    };
    assert_eq!((over("shop/web"), over("shop/other")), (Some(210), Some(90)));
}

#[test]
fn a_baseline_compares_the_nodes_that_both_have() {
    let query = Query { since_baseline: true, ..Query::default() };
    for (away_before, away_after) in [(false, true), (true, false)] {
        let views: Vec<_> = (0..6)
            .map(|at| step(at, if if at < 3 { away_before } else { away_after } { &["n2"] } else { &[] }))
            .collect();
        let mut history = fed(&views[..3], &query);
        history.set_baseline(Some(Arc::clone(&views[2])));
        for view in &views[3..] {
            history.push(Arc::clone(view));
        }
        assert_eq!(web(&views[5], &query, &history).change.unwrap().delta, 3, "{away_before} {away_after}");
        assert_eq!(project(&views[5], &query, &history).change.unwrap().delta, 3);
    }
}

#[test]
fn a_node_that_is_gone_for_good_is_forgotten() {
    let limits = Limits { samples: 6, ..Limits::default() };
    let query = Query::default();
    let mut history = History::with_limits(limits);
    history.track(&query);
    let views: Vec<_> = (0..16).map(|at| step(at, if at < 2 { &[] } else { &["n2"] })).collect();
    for view in &views {
        history.push(Arc::clone(view));
    }
    assert_eq!(history.roster.away().count(), 0);
    let row = web(&views[15], &query, &history);
    assert_eq!((row.change.unwrap().delta, values(&row)[0]), (5, 110));
}

proptest! {
    /// Whichever nodes are away in between, the change between two moments at which all answer is exact.
    #[test]
    fn changes_are_exact_whoever_was_away(
        counts in proptest::collection::vec((1_u64..50, 1_u64..50, 1_u64..50), 3..10),
        here in proptest::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 10),
    ) {
        let query = Query { window: Duration::from_hours(1), ..Query::default() };
        let last = counts.len() - 1;
        // Every other view comes too soon after the one before to be a sample.
        let views: Vec<_> = counts.iter().zip(&here).enumerate().map(|(at, ((a, b, c), (x, y, z)))| {
            let soon = if at == last { STEP } else { 2 };
            let seconds = STEP * i64::try_from(at / 2).unwrap() + if at % 2 == 1 { soon } else { 0 };
            let mut agents = [
                Agent::new("n1", seconds).row("shop/web@n1", "data/db@n2", 5432, *a),
                // The server's side of the same, and a client of its own.
                Agent::new("n2", seconds).row("shop/web@n1", "data/db@n2", 5432, *a).row("shop/web@n2", "data/db@n2", 5432, *b),
                Agent::new("n3", seconds).row("shop/web@n3", "data/db@n2", 5432, *c),
            ];
            for (agent, here) in agents.iter_mut().zip([x, y, z]) {
                agent.heard = if *here || at == 0 || at == last { Heard::Now } else { Heard::Never };
            }
            view(&agents)
        }).collect();
        let history = fed(&views, &query);
        let sum = |(a, b, c): &(u64, u64, u64)| i64::try_from(a + b + c).unwrap();
        let change = web(&views[last], &query, &history).change.unwrap();
        prop_assert_eq!(change.delta, sum(&counts[last]) - sum(&counts[0]));
    }
}
