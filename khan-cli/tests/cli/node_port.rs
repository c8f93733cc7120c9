//! A service that is reached through its node port only has connections, though no table has its address.

use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer};

use crate::khan::{agent, khan, ok, snapshot};

/// A client outside holds 5 connections to `solo` through port 30080 of n1, and 3 to the node itself.
fn entry() -> Value {
    let mut n1 = snapshot("n1", &[]);
    n1["endpoints"] = json!([
        {"ip": "198.51.100.7", "type": "external"},
        {"ip": "192.168.0.1", "type": "node", "name": "n1", "node": "n1"},
        {"ip": "10.1.2.3", "type": "pod", "ns": "shop", "app": "solo", "name": "solo-0", "node": "n2"}
    ]);
    let row = |backend: u32, port: u16, connections: u32| {
        json!({"src": 0, "dst": 1, "backend": backend, "port": port, "backend_port": 8080, "protocol": "tcp",
            "side": "client", "connections": connections, "states": {"ESTABLISHED": connections}})
    };
    n1["rows"] = json!([row(2, 30080, 5), row(1, 22, 3)]);
    n1["node_ports"] = json!([{"port": 30080, "protocol": "tcp", "ns": "shop", "name": "solo"}]);
    n1
}

fn connection(port: u16, reply: &str) -> Value {
    json!({"protocol": "tcp", "state": "ESTABLISHED", "src": "198.51.100.7", "src_port": 10_000 + port, "dst": "192.168.0.1",
        "dst_port": port, "reply_src": reply, "reply_src_port": 8080, "reply_dst": "192.168.0.1",
        "reply_dst_port": 50_000, "timeout_seconds": 10, "idle_seconds": 1})
}

/// Its agent.
pub(crate) async fn node() -> MockServer {
    let server = agent(ok(&entry())).await;
    let sample = |connections: Value| {
        let n = connections.as_array().unwrap().len();
        ok(&json!({"node": "n1", "taken": khan_api::Timestamp::now(), "matched": n, "connections": connections}))
    };
    let connections = || Mock::given(method("GET")).and(path("/v1/connections"));
    let (through, own) = (connection(30080, "10.1.2.3"), connection(22, "192.168.0.1"));
    connections().and(query_param("port", "30080")).respond_with(sample(json!([through]))).mount(&server).await;
    connections().respond_with(sample(json!([through, own]))).mount(&server).await;
    server
}

#[tokio::test]
async fn every_command_knows_whose_they_are() {
    let server = node().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recording");
    let file = file.to_str().unwrap();
    let uri = server.uri();
    let top = khan(&["top", "svc/solo", "-o", "json", "--agent", &uri, "--record", file]).run().await;
    assert_eq!(top.json()["metadata"]["totals"]["conns"], 5, "{top:?}");
    let replayed = khan(&["top", "svc/shop/solo", "-o", "json", "--replay", file]).run().await;
    assert_eq!(replayed.json()["metadata"]["totals"]["conns"], 5, "{replayed:?}");
    let who = khan(&["who", "svc/solo", "--agent", &uri]).run().await;
    assert!(who.stdout.contains("Connected from") && who.stdout.contains("198.51.100.7"), "{who:?}");
    assert_eq!(who.stderr, "", "nothing is unknown: {who:?}");
    // Alone, and beside an address that makes the question a wider one.
    for selectors in [&["svc/solo"][..], &["--to", "svc/solo", "--to", "ip/10.99.0.1"]] {
        let conns = khan(&[&["conns"], selectors, &["--agent", &uri, "-o", "json"]].concat()).run().await.json();
        let ports: Vec<_> =
            conns["items"].as_array().unwrap().iter().map(|item| &item["destination"]["port"]).collect();
        assert_eq!(ports, [30080], "{selectors:?}: {conns:#}");
    }
}

/// The address that clients dialled is the node's, whose other connections are not the service's.
#[tokio::test]
async fn a_filter_of_single_connections_knows_them_too() {
    let server = node().await;
    for (filter, expected) in [
        ("dst:svc/solo", &[30080][..]),
        ("svc~^so -src:10.0.0.0/8", &[30080]),
        ("-svc:solo", &[22]),
        ("port:22 or dst~solo-0$", &[22, 30080]),
        ("state:time_wait", &[]),
        ("(src:web or src:cart) proto:tcp", &[]),
    ] {
        let conns = khan(&["conns", "--filter", filter, "--agent", &server.uri(), "-o", "json"]).run().await.json();
        let items = conns["items"].as_array().unwrap();
        let port = |item: &Value| item["destination"]["port"].as_u64().unwrap();
        let mut ports: Vec<_> = items.iter().map(port).collect();
        ports.sort_unstable();
        assert_eq!(ports, expected, "{filter}: {conns:#}");
    }
    let about_rows = khan(&["conns", "--filter", "svc:solo conns>5", "--agent", &server.uri()]).run().await;
    assert_eq!(about_rows.code, Some(64), "{about_rows:?}");
    assert!(about_rows.stderr.contains("conns>5 is about rows of khan top"), "{about_rows:?}");
    // A variable is for every command.
    let variable =
        khan(&["conns", "--agent", &server.uri(), "-o", "name"]).env("KHAN_FILTER", "svc:solo conns>5").run().await;
    assert_eq!((variable.code, variable.stdout.lines().count()), (Some(0), 1), "{variable:?}");
}

#[tokio::test]
async fn prometheus_does_not_know_and_says_so() {
    let server = crate::prometheus::prometheus(10, true).await;
    let note = "note: connections through node ports are not known from Prometheus\n";
    for command in [&["top", "--once"][..], &["who"]] {
        let ended = khan(&[command, &["svc/solo", "--prometheus-url", &server.uri()]].concat()).run().await;
        assert!(ended.code == Some(0) && ended.stderr.contains(note), "{command:?}: {ended:?}");
        let ended = khan(&[command, &["app/web", "--prometheus-url", &server.uri()]].concat()).run().await;
        assert!(!ended.stderr.contains(note), "{command:?}: {ended:?}");
    }
}
