//! What was recorded is as wrong as it was.

use std::path::Path;

use khan_api::snapshot::{Limit, Row, Snat, SnatPorts};
use khan_api::{Protocol, Timestamp};
use serde_json::Value;

use super::*;
use crate::feed::channel;
use crate::model::balance::tests::services;
use crate::model::balance::{BalanceRule, balances};
use crate::model::fixture::{Agent, Heard, START, view};
use crate::sources::nodes::NodeChoice;
use crate::sources::recording::{Bounds, Recording, read, record};

/// Of the six minutes and a half that are looked at, one every half.
const STEPS: i64 = 13;

fn in_state(row: &mut Row, state: &str, n: u64) {
    (row.connections, row.states) = (n, [(state.into(), n)].into());
}

/// Something of every kind: a leak that grows, a client that comes in the end, and what is there all the time.
fn scene(step: i64) -> Arc<View> {
    let mut agent = Agent::new("n1", 30 * step)
        .row("shop/checkout-0:checkout@n1", "data/postgres@n2", 5432, 100 + 10 * step.unsigned_abs())
        .row("shop/web@n1", "data/ledger@n2", 5432, 60)
        .row("shop/uploader@n1", "data/files@n2", 9000, 40)
        .but(|row| row.stalled = 3)
        .row("shop/mailer@n1", "data/mail@n2", 25, 0)
        .but(|row| (in_state(row, "SYN_SENT", 9), row.unanswered = 9).1)
        .row("shop/sync@n1", "data/prices@n2", 80, 0)
        .but(|row| (in_state(row, "TIME_WAIT", 900), row.ended = 900).1)
        .row("shop/crawler@n1", "203.0.113.9", 443, 10)
        .row("shop/catalog@n1", "svc:data/api", 80, 21)
        .row("shop/catalog@n1", "svc:data/api", 80, 1)
        .row("shop/cart@n1", "svc:data/sessions", 11211, 5)
        .row("shop/cart@n1", "data/redis-0:redis@n2", 6379, 90);
    if step == STEPS {
        agent = agent.row("batch/report@n1", "data/ledger@n2", 5432, 70);
    }
    let mut place = |text: &str| {
        let mut with = agent.clone().row("shop/cart@n1", text, 1, 1);
        let place = with.snapshot.rows.pop().expect("just added").dst;
        agent.snapshot.endpoints = with.snapshot.endpoints;
        place
    };
    let (old, new, dead) =
        (place("data/api-x:api@n2"), place("data/api-y:api@n2"), place("data/sessions-0:sessions@n2"));
    let redis = place("data/redis-0:redis@n2");
    let snapshot = &mut agent.snapshot;
    let crawled = snapshot.rows[5].dst;
    let gone = &mut snapshot.endpoints[dead as usize];
    (gone.dead, gone.previous) = (Some(Timestamp::from_seconds(START - 600)), true);
    for (row, backend) in [(6, old), (7, new), (8, dead)] {
        snapshot.rows[row].backend = backend;
    }
    snapshot.since = Some(Timestamp::from_seconds(START + 30 * step - 10));
    snapshot.names.controller = "http://controller:14719".into();
    snapshot.limits = Some(vec![Limit { endpoint: redis, connections: 100.try_into().expect("some") }]);
    (snapshot.table.limit, snapshot.table.entries) = (1_000, 900);
    snapshot.table.stat = [("early_drop".into(), step.unsigned_abs())].into();
    let dst = snapshot.endpoints[crawled as usize].ip.expect("an address");
    let ports = SnatPorts { src: [10, 0, 0, 1].into(), dst, port: 443, protocol: Protocol::Tcp, used: 10 };
    snapshot.snat = Some(Snat { range: 12, largest: vec![ports] });
    let mut away = Agent::new("n2", 30 * step);
    away.heard = Heard::Never;
    let listed = services(&agent, &[("api-x", 200), ("api-y", 180), ("api-z", 120)]);
    let mut view = View::clone(&view(&[agent, away]));
    view.services = Arc::new(listed);
    Arc::new(view)
}

/// What `khan problems -o json` and `khan balance` say in the end, without times.
fn said(views: &[Arc<View>]) -> (Vec<Value>, Vec<String>, String) {
    let (query, rules) = (Query { limit: 0, ..Query::default() }, Rules::default());
    let mut finder = Finder { query: query.clone(), rules, history: History::default(), memory: Memory::default() };
    finder.history.track(&query);
    let mut found = Problems::default();
    for view in views {
        finder.take(view);
        found = finder.find(view);
    }
    let last = views.last().expect("a view");
    let report = report(&found, &finder.query, &finder.rules, last.gaps(), last.assembled);
    let without_times = |mut item: Value| {
        for time in ["since", "ageSeconds"] {
            item.as_object_mut().expect("an object").remove(time);
        }
        item
    };
    let items = report.rows.into_iter().map(|row| without_times(row.item)).collect();
    (items, found.not_known(), format!("{:?}", balances(last, &query, &BalanceRule::default())))
}

async fn recorded(views: &[Arc<View>], path: &Path) -> Vec<Arc<View>> {
    let (feeder, feed) = channel(View::default());
    let bounds = Bounds { span: None, bytes: u64::MAX };
    let mut seen = record(feed, path, Recording::default(), bounds).expect("a new file");
    for view in views {
        feeder.show(Arc::clone(view));
        seen.views.wait_for(|seen| seen.id == view.id).await.expect("the recorder lives");
    }
    read(path, &NodeChoice::default()).expect("a recording")
}

#[tokio::test]
async fn a_recording_is_as_wrong_as_what_it_was_made_of() {
    let live: Vec<_> = (0..=STEPS).map(scene).collect();
    let (items, unknown, spread) = said(&live);
    let mut kinds: Vec<_> = items.iter().map(|item| item["kind"].as_str().expect("a text").to_owned()).collect();
    kinds.sort_unstable();
    let mut all = ProblemKind::ALL.map(|kind| kind.as_str().to_owned());
    all.sort_unstable();
    assert_eq!((kinds.as_slice(), unknown.len()), (&all[..], 0), "{unknown:?} {items:#?}");

    let file = tempfile::NamedTempFile::new().expect("a file");
    let replayed = recorded(&live, file.path()).await;
    assert_eq!(said(&replayed), (items.clone(), unknown, spread));
    let text = std::fs::read_to_string(file.path()).expect("UTF-8");
    assert_eq!(text.matches("\"services\":").count(), 1, "what stays the same is written once");

    // As an older khan has written it.
    let older = text.lines().map(|line| {
        let mut object: Value = serde_json::from_str(line).expect("JSON");
        object.as_object_mut().expect("an object").remove("services");
        // The marks with which lines begin.
        let table = object.get("table").map(|table| format!("{{\"khan\":3,\"table\":{table}}}\n"));
        table.unwrap_or_else(|| format!("{object}\n"))
    });
    let older: String = older.collect();
    std::fs::write(file.path(), older).expect("a file of ours");
    let (others, unknown, _) = said(&read(file.path(), &NodeChoice::default()).expect("a recording"));
    assert_eq!(unknown, ["not known from here: imbalance (the recording does not hold the endpoints of services)"]);
    assert_eq!(others, items.into_iter().filter(|item| item["kind"] != "imbalance").collect::<Vec<_>>());
}
