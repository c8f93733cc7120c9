//! Several agents, asked again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use khan_api::{Timestamp, routes};
use khan_cli::feed::{self, DetailError, Feed, Missed, News, SampleRequest};
use khan_cli::model::{NodeState, SourceInfo, View};
use khan_cli::sources::agents::poll::{self, Plan};
use khan_cli::sources::agents::{fixed, targets::Targets};
use khan_cli::sources::exchange::Bounds;
use khan_cli::sources::http_config::HttpConfig;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::server::{Answer, Request, Server};

/// The client on n1 holds ten connections to a server on n2, and both nodes see them; n2 also sees three from n3, where
/// no agent runs.
pub(crate) fn snapshot(node: &str, id: u32) -> Value {
    let client = json!({"ip": "10.0.1.1", "type": "pod", "ns": "shop", "app": "web", "name": "web-1", "node": "n1"});
    let server = json!({"ip": "10.0.2.1", "type": "pod", "ns": "data", "app": "db", "name": "db-1", "node": "n2"});
    let stranger = json!({"ip": "10.0.3.1", "type": "pod", "ns": "ops", "app": "cron", "name": "cron-1", "node": "n3"});
    let row = |src: u32, side: &str, n: u32| {
        json!({"src": src, "dst": 1, "backend": 1, "port": 5432, "backend_port": 5432, "protocol": "tcp", "side": side,
            "connections": n, "states": {"ESTABLISHED": n}})
    };
    let rows = if node == "n1" { vec![row(0, "client", 10)] } else { vec![row(0, "server", 10), row(2, "server", 3)] };
    json!({"schema": 1, "id": format!("{node}-{id}"), "node": node, "boot_id": "b", "version": "0.1.0",
        "taken": Timestamp::now(), "interval_millis": 1000, "connections": 13, "table": {"entries": 20, "limit": 1000},
        "endpoints": [client, server, stranger], "rows": rows})
}

fn start(targets: Targets, interval: Duration) -> Feed {
    let (feeder, feed) = feed::channel(View::default());
    let plan =
        Plan { interval, bounds: Bounds { deadline: Duration::from_secs(2), ..Bounds::default() }, ..Plan::default() };
    tokio::spawn(poll::run(feeder, watch::channel(targets).1, plan, SourceInfo::default()));
    feed
}

fn targets(urls: &[String]) -> Targets {
    fixed(&urls.iter().map(|url| url.parse().unwrap()).collect::<Vec<_>>(), HttpConfig::default()).unwrap()
}

/// The first view from now on that is as it should be.
pub(crate) async fn view(feed: &mut Feed, what: &str, right: impl Fn(&View) -> bool) -> Arc<View> {
    let latest = feed.views.clone();
    let found = tokio::time::timeout(Duration::from_secs(20), feed.views.wait_for(|view| right(view))).await;
    let found = found.unwrap_or_else(|_| panic!("never: {what}; the last view is {:#?}", latest.borrow().nodes));
    Arc::clone(&found.unwrap_or_else(|_| panic!("the source ended before: {what}")))
}

async fn agent(node: &'static str) -> Server {
    Server::start(move |request| match request.path.split('?').next() {
        Some(routes::SNAPSHOT) => Answer::json(snapshot(node, 1)),
        Some(routes::CONNECTIONS) => Answer::json(json!({"node": node, "matched": 10, "connections": []})),
        _ => Answer::text(404, "no such page"),
    })
    .await
}

#[tokio::test]
async fn a_connection_that_two_nodes_see_is_counted_once() {
    let (first, second) = (agent("n1").await, agent("n2").await);
    let mut feed = start(targets(&[first.url(), second.url(), first.url()]), Duration::from_secs(5));
    let view = view(&mut feed, "both answered", |view| view.settled && view.counted_nodes() == 2).await;
    assert_eq!(view.nodes.len(), 2);
    assert_eq!(view.connections(), 13);
    assert_eq!(view.totals.states.established(), 13);
    assert_eq!(view.nodes[0].agent, first.url());
    assert_eq!(view.nodes[0].table.as_ref().unwrap().limit, 1000);
}

#[tokio::test]
async fn rows_appear_before_the_slowest_agent_answers() {
    let (first, silent) = (agent("n1").await, Server::start(|_| Answer::Silence).await);
    let mut feed = start(targets(&[first.url(), silent.url()]), Duration::from_secs(5));
    let early = view(&mut feed, "the quick one is shown", |view| view.connections() == 10).await;
    assert!(!early.settled && early.count(NodeState::Waiting) == 1);
    let late = view(&mut feed, "the silent one is given up", |view| view.settled).await;
    let failed = late.nodes.iter().find(|node| node.state == NodeState::Failed).unwrap();
    let failure = failed.failure.as_ref().unwrap();
    assert_eq!(failure.reason, format!("{} did not answer within 2s", silent.url()));
    assert!(failure.next.unwrap() > failure.since);
    assert_eq!(failed.node, silent.address.to_string());
    assert_eq!(late.notes, [format!("totals exclude 1 node: {}", silent.address)]);
}

#[tokio::test]
async fn an_agent_that_fails_is_tried_again_and_its_recovery_is_told() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        1 | 2 => Answer::text(500, "out of cheese"),
        n => Answer::json(snapshot("n1", n)),
    })
    .await;
    let mut feed = start(targets(&[server.url()]), Duration::from_secs(1));
    view(&mut feed, "first answer", |view| view.count(NodeState::Ok) == 1).await;
    let stale = view(&mut feed, "first failure", |view| view.count(NodeState::Stale) == 1).await;
    assert_eq!(stale.connections(), 10, "the last data is kept");
    assert!(stale.rows().all(|row| row.stale));
    let back = view(&mut feed, "recovery", |view| view.count(NodeState::Ok) == 1).await;
    assert!(back.nodes[0].failure.is_none());
    let sentence = format!("{} answered 500 Internal Server Error: out of cheese", server.url());
    let Some(News::Error { node, message, .. }) = feed.news.recv().await else { panic!("no error told") };
    assert_eq!((node.as_str(), message), ("n1", sentence));
    assert!(matches!(feed.news.recv().await, Some(News::Recovered { .. })), "told once, then over");
}

#[tokio::test]
async fn requests_change_the_rhythm() {
    let server = agent("n1").await;
    let mut feed = start(targets(&[server.url()]), Duration::from_hours(1));
    view(&mut feed, "first answer", |view| view.count(NodeState::Ok) == 1).await;
    assert_eq!(server.requests()[0].path, "/v1/snapshot?max_age=3600000ms");
    feed.handle.refresh();
    let asked = |server: &Server, n: usize| server.requests().len() >= n;
    wait("the refresh", || asked(&server, 2)).await;
    feed.handle.set_interval(Duration::from_secs(1));
    wait("the new interval", || asked(&server, 3)).await;
    assert_eq!(server.requests()[2].path, "/v1/snapshot?max_age=1000ms");
}

#[tokio::test]
async fn single_connections_come_from_every_node_that_holds_them() {
    let (first, second) = (agent("n1").await, agent("n2").await);
    let mut feed = start(targets(&[first.url(), second.url()]), Duration::from_mins(1));
    view(&mut feed, "both answered", |view| view.counted_nodes() == 2).await;
    let request =
        SampleRequest { src: vec!["10.0.1.1".parse().unwrap()], port: Some(5432), ..SampleRequest::default() };
    let samples = feed.handle.sample(request).await.unwrap();
    let tables = samples.tables.iter().map(|sample| (sample.node.as_str(), sample.matched)).collect::<Vec<_>>();
    assert_eq!((tables, samples.missed), (vec![("n1", 10), ("n2", 10)], Vec::new()));
    let paths: Vec<_> = first.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths.last().unwrap(), "/v1/connections?src=10.0.1.1&port=5432");
    let nowhere = SampleRequest { nodes: vec!["n9".into()], ..SampleRequest::default() };
    assert!(matches!(feed.handle.sample(nowhere).await, Err(DetailError::Failed(_))));
}

/// An agent from before 0.2 does not know the order and refuses it: it is asked without, and one that refuses more is not asked
/// again and again.
#[tokio::test]
async fn an_older_agent_is_asked_in_words_that_it_knows() {
    let refused = "unknown parameter order";
    let older = Server::start(move |request: &Request| match request.path.split_once('?') {
        Some((routes::CONNECTIONS, query)) if query.contains("order=") => Answer::text(400, refused),
        Some((routes::CONNECTIONS, _)) => Answer::json(json!({"node": "n1", "matched": 10, "connections": []})),
        _ => Answer::json(snapshot("n1", 1)),
    })
    .await;
    let picky = Server::start(move |request: &Request| match request.path.split('?').next() {
        Some(routes::CONNECTIONS) => Answer::text(400, refused),
        _ => Answer::json(snapshot("n2", 1)),
    })
    .await;
    let mut feed = start(targets(&[older.url(), picky.url()]), Duration::from_mins(1));
    view(&mut feed, "both answered", |view| view.counted_nodes() == 2).await;
    let oldest = SampleRequest { port: Some(5432), oldest: true, ..SampleRequest::default() };
    let samples = feed.handle.sample(oldest).await.unwrap();
    let nodes: Vec<_> = samples.tables.iter().map(|sample| sample.node.as_str()).collect();
    let reason = format!("{} answered 400 Bad Request: {refused}", picky.url());
    assert_eq!((&nodes[..], samples.missed), (&["n1"][..], vec![Missed { node: "n2".into(), reason }]));
    let asked = |server: &Server| -> Vec<String> {
        let paths = server.requests().into_iter().map(|request| request.path);
        paths.filter(|path| path.starts_with(routes::CONNECTIONS)).collect()
    };
    let both = ["/v1/connections?port=5432&order=oldest", "/v1/connections?port=5432"];
    assert_eq!((asked(&older), asked(&picky)), (both.map(String::from).to_vec(), both.map(String::from).to_vec()));
}

/// An agent that is busy says when to come again, as often as `times`.
async fn busy(times: u32, wait: &'static str) -> Server {
    let left = AtomicU32::new(times);
    Server::start(move |request: &Request| match request.path.split('?').next() {
        Some(routes::CONNECTIONS) => {
            let busy = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            if !busy {
                return Answer::json(json!({"node": "n1", "matched": 10, "connections": []}));
            }
            Answer::Http(429, vec![("retry-after", wait.into())], b"busy\n".into())
        }
        _ => Answer::json(snapshot("n1", 1)),
    })
    .await
}

#[tokio::test]
async fn a_busy_agent_is_asked_again_when_it_says_within_what_an_answer_may_take() {
    for (times, wait, answers) in
        [(2, "0", true), (1, "1", true), (1, "60", false), (1, "soon", false), (9, "1", false)]
    {
        let (first, second) = (busy(times, wait).await, agent("n2").await);
        let mut feed = start(targets(&[first.url(), second.url()]), Duration::from_mins(1));
        view(&mut feed, "both answered", |view| view.counted_nodes() == 2).await;
        let samples = feed.handle.sample(SampleRequest::default()).await.unwrap();
        let nodes: Vec<_> = samples.tables.iter().map(|sample| sample.node.as_str()).collect();
        if answers {
            assert_eq!((&nodes[..], samples.missed), (&["n1", "n2"][..], Vec::new()), "{times} x {wait}");
        } else {
            let reason = format!("{} answered 429 Too Many Requests: busy", first.url());
            let missed = Missed { node: "n1".into(), reason };
            assert_eq!((&nodes[..], samples.missed), (&["n2"][..], vec![missed]), "{times} x {wait}");
        }
    }
}

#[tokio::test]
async fn a_dropped_question_lets_the_agents_go() {
    let server = Server::start(|request: &Request| match request.path.split('?').next() {
        Some(routes::CONNECTIONS) => Answer::Silence,
        _ => Answer::json(snapshot("n1", 1)),
    })
    .await;
    let mut feed = start(targets(&[server.url()]), Duration::from_mins(1));
    view(&mut feed, "first answer", |view| view.settled && view.counted_nodes() == 1).await;
    let handle = feed.handle.clone();
    let question = tokio::spawn(async move { handle.sample(SampleRequest::default()).await });
    wait("the question", || server.requests().len() == 2).await;
    question.abort();
    wait("the end of its connection", || server.open() == 0).await;
}

pub(crate) async fn wait(what: &str, done: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
