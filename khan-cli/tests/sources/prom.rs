//! A Prometheus that fails in every way, and one behind the API server.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::HeaderMap;
use khan_cli::feed::{DetailError, Link, News, SampleRequest};
use khan_cli::model::{NodeState, Query, SourceInfo};
use khan_cli::sources::agents::route::DirectClient;
use khan_cli::sources::cluster::{Cluster, ClusterOptions};
use khan_cli::sources::exchange::Bounds;
use khan_cli::sources::http_config::HttpConfig;
use khan_cli::sources::nodes::NodeChoice;
use khan_cli::sources::prometheus::client::{Client, PrometheusUrl};
use khan_cli::sources::prometheus::label_set::LabelSet;
use khan_cli::sources::prometheus::run::{self, Plan};
use serde_json::{Value, json};

use super::poll::view;
use super::server::{Answer, Request, Server};

const BOUNDS: Bounds = Bounds { deadline: Duration::from_millis(1500), body: 64 << 10 };

fn client(server: &Server) -> Client {
    let http = DirectClient::new(HttpConfig::default()).unwrap();
    Client::http(server.url().parse().unwrap(), http, BOUNDS)
}

fn vector(series: &[Value]) -> Answer {
    Answer::json(json!({"status": "success", "data": {"resultType": "vector", "result": series}}))
}

/// The query that a request carries, by GET or POST.
fn query(request: &Request) -> String {
    let form = request.path.split_once('?').map_or(&*request.body, |(_, query)| query);
    let mut pairs = url::form_urlencoded::parse(form.as_bytes());
    pairs.find(|(name, _)| name == "query").map(|(_, value)| value.into_owned()).unwrap()
}

/// A server that knows seven connections of node n1.
fn healthy(request: &Request) -> Answer {
    let now = jiff::Timestamp::now().as_millisecond() as f64 / 1000.0;
    let target = |mut labels: Value, value: f64| {
        labels["job"] = json!("khan");
        labels["instance"] = json!("n1:14718");
        json!({"metric": labels, "value": [now, value.to_string()]})
    };
    match query(request) {
        text if text.starts_with("max by (job, instance, node)") => vector(&[target(json!({"node": "n1"}), now)]),
        text if text.starts_with("max by (job, instance)") => vector(&[target(json!({}), now)]),
        text if text.starts_with("sum by") && !text.contains("_idle") => vector(&[json!({
            "metric": {"node": "n1", "side": "client", "src_type": "pod", "src_ns": "shop", "src_app": "web",
                "dst_type": "service", "dst_ns": "data", "dst_app": "db"},
            "value": [now, "7"]})]),
        _ => vector(&[]),
    }
}

async fn failure(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> String {
    let server = Server::start(handler).await;
    client(&server).query("up", None).await.unwrap_err().to_string()
}

#[tokio::test]
async fn every_refusal_is_explained_with_its_first_line() {
    let told = |status: u16, kind: &str, error: &str| {
        let body = json!({"status": "error", "errorType": kind, "error": error}).to_string();
        failure(move |_| Answer::text(status, &body))
    };
    assert_eq!(
        failure(|_| Answer::text(401, "<h1>who?</h1>\nmore")).await,
        "wants credentials (401: <h1>who?</h1>): give --prometheus-bearer-token-file, --prometheus-username with \
         --prometheus-password-file, or --prometheus-config"
    );
    assert_eq!(failure(|_| Answer::text(403, "")).await, "does not allow these credentials to query (403)");
    assert_eq!(
        failure(|_| Answer::text(404, "page not found")).await,
        "has no Prometheus API at this path (404: page not found)"
    );
    assert_eq!(told(422, "execution", "too many samples").await, "refused the query (422: too many samples)");
    assert_eq!(told(400, "bad_data", "no org id\nat all").await, "refused the query (400: no org id)");
    assert!(told(503, "timeout", "query timed out").await.starts_with("gave up on the query (query timed out)"));
    assert_eq!(failure(|_| Answer::text(502, "bad gateway")).await, "answered 502 Bad Gateway: bad gateway");
    assert_eq!(failure(|_| Answer::Silence).await, "did not answer within 1.5s");
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"status\":".to_vec();
    assert_eq!(
        failure(move |_| Answer::Raw(half.clone())).await,
        "broke off in the middle of its answer, after 10 bytes"
    );
    let garbage = failure(|_| Answer::text(200, "<html>log in</html>")).await;
    assert!(garbage.starts_with("answered something that is not Prometheus's JSON (expected value"), "{garbage}");
}

#[tokio::test]
async fn a_server_that_takes_no_post_is_asked_by_get() {
    let server = Server::start(|request| match request.method.as_str() {
        "GET" => healthy(request),
        _ => Answer::text(405, "no"),
    })
    .await;
    let client = client(&server);
    for _ in 0..2 {
        client.query("sum by (x) (y)", None).await.unwrap();
    }
    let methods: Vec<_> = server.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["POST", "GET", "GET"]);
}

#[tokio::test]
async fn a_prometheus_that_goes_away_is_waited_for_and_its_rows_kept() {
    let broken = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&broken);
    let server = Server::start(move |request| {
        if switch.load(Ordering::SeqCst) { Answer::text(500, "out of memory") } else { healthy(request) }
    })
    .await;
    let plan = Plan {
        interval: Duration::from_secs(1),
        window: Duration::ZERO,
        since: false,
        labels: LabelSet::of(&Query::default()),
        nodes: NodeChoice::default(),
    };
    let mut feed = run::start(client(&server), plan, SourceInfo::default()).await.unwrap();
    let first = view(&mut feed, "an answer", |view| view.count(NodeState::Ok) == 1).await;
    assert_eq!((first.connections(), first.source.detail.clone()), (7, server.url()));
    let sample = feed.handle.sample(SampleRequest::default()).await;
    assert_eq!(sample, Err(DetailError::CountsOnly("Prometheus")));
    broken.store(true, Ordering::SeqCst);
    let stale = view(&mut feed, "stale", |view| view.count(NodeState::Stale) == 1).await;
    let reason = format!("{} answered 500 Internal Server Error: out of memory", server.url());
    assert_eq!((stale.connections(), &stale.nodes[0].failure.as_ref().unwrap().reason), (7, &reason));
    let Some(News::Error { message, .. }) = feed.news.recv().await else { panic!("no error told") };
    assert_eq!(message, reason);
    assert!(matches!(feed.news.recv().await, Some(News::Link(Link::Retrying { .. }))));
    broken.store(false, Ordering::SeqCst);
    view(&mut feed, "it is back", |view| view.count(NodeState::Ok) == 1).await;
}

#[tokio::test]
async fn another_question_is_asked_for_at_once_and_never_asks_for_less() {
    let server = Server::start(healthy).await;
    let plan = Plan {
        interval: Duration::from_hours(1),
        window: Duration::ZERO,
        since: false,
        labels: LabelSet::of(&Query::default()),
        nodes: NodeChoice::default(),
    };
    let feed = run::start(client(&server), plan, SourceInfo::default()).await.unwrap();
    let pods = Query { group_by: "src-pod".parse().unwrap(), ..Query::default() };
    feed.handle.ask(&pods);
    let asks = |label: &str| server.requests().iter().any(|request| query(request).contains(label));
    let named = "src_ns, src_app, src_name, src_ip, dst_type, dst_ns, dst_app";
    super::poll::wait("names", || asks(named)).await;
    let asked = server.requests().len();
    feed.handle.ask(&Query::default());
    feed.handle.refresh();
    super::poll::wait("one more round", || server.requests().len() >= asked + 8).await;
    let last = server
        .requests()
        .iter()
        .map(query)
        .rfind(|text| text.contains("sum by") && text.contains("khan_connection{"))
        .unwrap();
    assert!(last.contains(named), "{last}");
}

#[tokio::test]
async fn nothing_scraped_is_said_at_the_start() {
    let server = Server::start(|_| vector(&[])).await;
    let plan = Plan {
        interval: Duration::from_secs(1),
        window: Duration::ZERO,
        since: false,
        labels: LabelSet::of(&Query::default()),
        nodes: NodeChoice::default(),
    };
    let error = run::start(client(&server), plan, SourceInfo::default()).await.unwrap_err().to_string();
    assert!(error.starts_with("has no series khan_connection: it does not scrape khan-agent"), "{error}");
}

#[tokio::test]
async fn a_service_is_asked_through_the_api_server() {
    let server = Server::start(|request| {
        let prefix = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/prom/api/v1/query";
        if !request.path.starts_with(prefix) {
            let status = json!({"kind": "Status", "reason": "Forbidden", "code": 403, "message":
                "services \"other:9090\" is forbidden: User \"jane\" cannot get resource \"services/proxy\""});
            return Answer::Http(403, Vec::new(), status.to_string().into());
        }
        healthy(request)
    })
    .await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let config = json!({"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": server.url()}}]});
    file.write_all(config.to_string().as_bytes()).unwrap();
    let options = ClusterOptions { kubeconfig: Some(file.path().to_owned()), ..ClusterOptions::default() };
    let cluster = Arc::new(Cluster::open(&options).await.unwrap());
    let mut headers = HeaderMap::new();
    headers.insert("x-scope-orgid", "team-a".parse().unwrap());
    let client = |text: &str| {
        let PrometheusUrl::Service(url) = text.parse().unwrap() else { panic!("{text} is a service") };
        Client::service(Arc::clone(&cluster), &url, headers.clone(), BOUNDS)
    };
    let answer = client("svc://monitoring/prometheus:9090/prom").query("sum by (x) (y)", None).await.unwrap();
    assert_eq!(answer.series.len(), 1);
    let request = server.requests().pop().unwrap();
    assert_eq!((request.method.as_str(), request.headers["x-scope-orgid"].as_str()), ("GET", "team-a"));
    let denied = client("svc://monitoring/other:9090").query("up", None).await.unwrap_err();
    let expected = "was not asked, because this user may not get services/proxy in namespace monitoring";
    assert_eq!(denied.to_string(), expected);
}
