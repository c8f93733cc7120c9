use std::sync::Arc;

use super::*;
use crate::model::fixture::{Agent, Heard, view};
use crate::model::{GroupBy, Sort};

fn n1(seconds: i64) -> Agent {
    Agent::new("n1", seconds)
}

/// What `khan diff` asks unless told otherwise.
fn by_change() -> Query {
    Query { sort: Sort { by: SortBy::Delta, reverse: false }, ..Query::default() }
}

/// Rows as `kind source -> destination before>after`.
fn compared(before: &View, after: &View, query: &Query) -> (Vec<String>, Diff) {
    let diff = diff(before, after, query, &BTreeSet::new());
    let row = |one: &Difference| {
        let (source, destination) = (one.row.source(), one.row.destination());
        format!("{} {source} -> {destination} {}>{}", one.kind.as_str(), one.before, one.after)
    };
    (diff.rows.iter().map(row).collect(), diff)
}

fn shop() -> [Arc<View>; 2] {
    let before = n1(0)
        .row("shop/web@n1", "data/db@n2", 5432, 10)
        .row("shop/cart@n1", "data/db@n2", 5432, 5)
        .row("shop/old@n1", "data/db@n2", 5432, 3)
        .row("shop/web@n1", "data/redis@n2", 6379, 4);
    let after = n1(3_600)
        .row("shop/web@n1", "data/db@n2", 5432, 30)
        .row("shop/cart@n1", "data/db@n2", 5432, 4)
        .row("shop/job@n1", "data/db@n2", 5432, 7)
        .row("shop/web@n1", "data/redis@n2", 6379, 4);
    [view(&[before]), view(&[after])]
}

#[test]
fn rows_are_new_gone_grown_and_shrunk_the_largest_change_first() {
    let [before, after] = shop();
    let (rows, diff) = compared(&before, &after, &by_change());
    let expected = [
        "grown shop/web -> data/db 10>30",
        "new shop/job -> data/db 0>7",
        "gone shop/old -> data/db 3>0",
        "shrunk shop/cart -> data/db 5>4",
    ];
    assert_eq!(rows, expected);
    assert_eq!((diff.unchanged, diff.undecided, diff.before, diff.after), (1, 0, 22, 45));
    assert!(diff.missing.is_empty());
    let by_source = Query { sort: Sort { by: SortBy::Source, reverse: false }, ..by_change() };
    assert!(compared(&before, &after, &by_source).0[0].starts_with("shrunk shop/cart"));
}

#[test]
fn grouping_and_filters_are_those_of_the_query() {
    let [before, after] = shop();
    let rows = |query: Query| compared(&before, &after, &query).0;
    let to_db = Query { filter: "dst:db".parse().unwrap(), group_by: GroupBy::SOURCES, ..by_change() };
    assert_eq!(rows(to_db).len(), 4);
    let total = Query { group_by: GroupBy::NONE, ..by_change() };
    assert_eq!(rows(total), ["grown  ->  22>45"]);
    // Terms about rows hold on either side, and a change is the same seen from both.
    let large = Query { filter: "conns>=5".parse().unwrap(), ..by_change() };
    assert_eq!(rows(large).len(), 3);
    let fallen = Query { filter: "delta<0".parse().unwrap(), ..by_change() };
    assert_eq!(rows(fallen), ["gone shop/old -> data/db 3>0", "shrunk shop/cart -> data/db 5>4"]);
    let new = Query { filter: "is:new".parse().unwrap(), ..by_change() };
    assert_eq!(rows(new), ["new shop/job -> data/db 0>7"]);
}

#[test]
fn what_a_silent_node_holds_is_neither_gone_nor_new() {
    let node = |name: &str, seconds, n| {
        let client = format!("shop/{name}@{name}");
        Agent::new(name, seconds).row(&client, "svc:data/db", 5432, n).row("shop/web@n1", "data/redis@n2", 6379, 9)
    };
    let both = view(&[node("n1", 0, 5), node("n2", 0, 3)]);
    let mut silent = node("n2", 60, 3);
    silent.heard = Heard::Never;
    let one = view(&[node("n1", 60, 5), silent]);
    for (before, after, when) in [(&both, &one, "after"), (&one, &both, "before")] {
        let (rows, diff) = compared(before, after, &by_change());
        assert!(rows.is_empty(), "{rows:?}");
        assert_eq!(diff.missing, [format!("node n2 is not compared: nothing is known of it {when}")]);
    }
    // The node that answers counts what it sees of the silent one's clients, on both sides.
    let mut silent = node("n1", 60, 5);
    silent.heard = Heard::Never;
    let other = view(&[silent, node("n2", 60, 3)]);
    assert!(compared(&both, &other, &by_change()).0.is_empty());
    // One that is no longer listed is gone, and what it held with it.
    let without = view(&[node("n1", 60, 5)]);
    assert_eq!(compared(&both, &without, &by_change()).0, ["gone shop/n2 -> data/db 3>0"]);
    let unsure = BTreeSet::from(["n2".to_owned()]);
    assert!(diff(&both, &without, &by_change(), &unsure).rows.is_empty());
}

#[test]
fn a_row_that_the_other_side_may_have_left_out_is_undecided() {
    let [before, after] = shop();
    let mut short = n1(3_600).row("shop/web@n1", "data/db@n2", 5432, 30);
    short.snapshot.rest = Some(khan_api::snapshot::Rest { rows: 3, client: 12, server: 0, unknown: 0 });
    let (rows, diff) = compared(&before, &view(&[short.clone()]), &by_change());
    assert_eq!((rows, diff.undecided), (vec!["grown shop/web -> data/db 10>30".to_owned()], 3));
    short.snapshot.id = "n1-0".into();
    let (rows, diff) = compared(&view(&[short]), &after, &by_change());
    assert_eq!((rows.len(), diff.undecided), (0, 3));
}
