//! `--agent URL`: what many agents answer, and what bad ones do to the answer.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::khan::{agent, khan, ok, snapshot, two_nodes};

const ONCE: [&str; 5] = ["top", "--once", "-o", "json", "--agent"];

fn counts(json: &serde_json::Value) -> Vec<(String, u64)> {
    let items = json["items"].as_array().unwrap().iter();
    let ends = |item: &serde_json::Value| {
        format!("{} -> {}", item["source"]["text"].as_str().unwrap(), item["destination"]["text"].as_str().unwrap())
    };
    items.map(|item| (ends(item), item["conns"].as_u64().unwrap())).collect()
}

#[tokio::test]
async fn every_connection_is_counted_once() {
    let [n1, n2] = two_nodes();
    let (n1, n2) = (agent(ok(&n1)).await, agent(ok(&n2)).await);
    let ended = khan(&[&ONCE[..], &[&n1.uri(), "--agent", &n2.uri()]].concat()).run().await;
    let json = ended.json();
    let both = [("shop/web -> shop/db".to_owned(), 7), ("shop/db -> shop/web".to_owned(), 2)];
    assert_eq!(counts(&json), both);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert_eq!(json["metadata"]["agents"]["ok"], 2);
    assert_eq!(json["metadata"]["totals"]["conns"], 9);
    // One agent alone sees both ends of the same connections, and counts for the node that is silent.
    assert_eq!(counts(&khan(&[&ONCE[..], &[&n2.uri()]].concat()).run().await.json()), both);
}

#[tokio::test]
async fn a_table_has_aligned_columns() {
    let [n1, n2] = two_nodes();
    let (n1, n2) = (agent(ok(&n1)).await, agent(ok(&n2)).await);
    let agents = format!("{},{}", n1.uri(), n2.uri());
    let ended =
        khan(&["top", "--once", "--columns", "source,destination,port,conns"]).env("KHAN_AGENT", &agents).run().await;
    let expected = "SOURCE     DESTINATION   PORT   CONNS\n\
                    shop/web   shop/db       5432       7\n\
                    shop/db    shop/web        80       2\n";
    assert_eq!(ended.stdout, expected, "{ended:?}");
}

#[tokio::test]
async fn a_bad_agent_is_named_and_the_others_count() {
    let [n1, _] = two_nodes();
    let good = agent(ok(&n1)).await;
    let slow = ok(&n1).set_delay(Duration::from_secs(20));
    let future = snapshot("n9", &[]);
    let future = serde_json::json!({"schema": 99, "id": future["id"], "node": "n9"});
    for (answer, reason) in [
        (slow, "did not answer within 300ms"),
        (ResponseTemplate::new(403).set_body_string("who are you?\nmore"), "answered 403 Forbidden: who are you?"),
        (ResponseTemplate::new(500), "answered 500 Internal Server Error"),
        (ResponseTemplate::new(503).set_body_string("no scan yet"), "answered 503 Service Unavailable: no scan yet"),
        (
            ResponseTemplate::new(200).set_body_string("<html>hello</html>"),
            "answered something that is not a snapshot (expected value",
        ),
        (
            ResponseTemplate::new(200).set_body_string("{}"),
            "answered something that is not a snapshot (it has neither schema nor id)",
        ),
        (
            ResponseTemplate::new(200).set_body_string("{\"schema\":1}"),
            "answered something that is not a snapshot (it lacks an id or a node)",
        ),
        (ok(&future), "speaks version 99 of the snapshot format"),
        (
            ResponseTemplate::new(200)
                .set_body_string("this was never packed")
                .insert_header("content-encoding", "gzip"),
            "sent gzip that cannot be unpacked",
        ),
        (ResponseTemplate::new(304), "answered 304 Not Modified"),
    ] {
        let bad = agent(answer).await;
        let (good, bad) = (good.uri(), bad.uri());
        let arguments = [&ONCE[..], &[&good, "--agent", &bad, "--agent-timeout", "300ms"]].concat();
        let ended = khan(&arguments).run().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let json = ended.json();
        assert_eq!(counts(&json).len(), 2);
        let failed = &json["metadata"]["agents"]["failed"][0];
        assert!(failed["reason"].as_str().unwrap().contains(reason), "{failed}");
        assert!(ended.stderr.contains(reason) && ended.stderr.contains(&bad), "{}", ended.stderr);
        let strict = khan(&[&arguments[..], &["--strict"]].concat()).run().await;
        assert_eq!(strict.code, Some(3), "{strict:?}");
        let alone = khan(&[&ONCE[..], &[&bad, "--agent-timeout", "300ms"]].concat()).run().await;
        assert_eq!((alone.code, &*alone.stdout), (Some(4), ""));
        assert!(
            alone.stderr.starts_with("khan: no agent answered: ") && alone.stderr.contains(reason),
            "{}",
            alone.stderr
        );
    }
}

/// Answers one request with the beginning of a body that it promised to be longer.
#[tokio::test]
async fn an_answer_that_breaks_off_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"schema\":1,").await.unwrap();
    });
    let ended = khan(&[&ONCE[..], &[&address.to_string()]].concat()).run().await;
    server.await.unwrap();
    assert_eq!(ended.code, Some(4));
    assert!(ended.stderr.contains("broke off in the middle of its answer"), "{}", ended.stderr);
}

#[tokio::test]
async fn nobody_there_is_exit_code_4() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let ended = khan(&[&ONCE[..], &[&address]].concat()).run().await;
    assert_eq!(ended.code, Some(4));
    assert!(ended.stderr.contains("refused the connection"), "{}", ended.stderr);
}

#[tokio::test]
async fn requests_are_conditional_and_answers_may_be_packed() {
    let body = |connections| {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        let mut snapshot = snapshot("n1", &[("web", "n1", "db", "n1", 5432, connections)]);
        snapshot["id"] = format!("id-{connections}").into();
        packed.write_all(snapshot.to_string().as_bytes()).unwrap();
        ResponseTemplate::new(200)
            .set_body_bytes(packed.finish().unwrap())
            .insert_header("content-encoding", "gzip")
            .insert_header("etag", format!("\"id-{connections}\"").as_str())
    };
    let server = MockServer::start().await;
    let get = || Mock::given(method("GET")).and(path("/v1/snapshot")).and(header("accept-encoding", "gzip"));
    get().and(query_param("max_age", "100ms")).respond_with(body(7)).up_to_n_times(1).expect(1).mount(&server).await;
    let known = || get().and(header("if-none-match", "\"id-7\""));
    known().respond_with(ResponseTemplate::new(304)).up_to_n_times(3).expect(3).mount(&server).await;
    known().respond_with(body(9)).expect(1..).mount(&server).await;
    let uri = server.uri();
    let arguments = ["top", "--watch", "--count", "2", "-o", "ndjson", "--interval", "100ms", "--agent", &uri];
    let ended = khan(&arguments).run().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines: Vec<serde_json::Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seen: Vec<_> = lines.iter().map(|line| (line["conns"].as_u64(), line["delta"].as_i64())).collect();
    assert_eq!(seen[0], (Some(7), None));
    assert_eq!(seen[1].0, Some(9));
}

#[tokio::test]
async fn many_agents_are_asked_a_few_at_a_time() {
    let server = MockServer::start().await;
    for n in 0..40 {
        let node = format!("n{n}");
        let snapshot = snapshot(&node, &[("web", &node, "db", "n0", 5432, 1)]);
        let answer = ok(&snapshot).set_delay(Duration::from_millis(20));
        Mock::given(path(format!("/{node}/v1/snapshot"))).respond_with(answer).expect(1).mount(&server).await;
    }
    let agents: Vec<_> = (0..40).map(|n| format!("{}/n{n}", server.uri())).collect();
    let ended =
        khan(&["top", "--once", "-o", "json", "--max-in-flight", "4"]).env("KHAN_AGENT", &agents.join(",")).run().await;
    assert_eq!(ended.json()["metadata"]["totals"]["conns"], 40);
}

/// A node with eBPF maps has several tables: a line shows the fullest, and all are listed where there is room.
#[tokio::test]
async fn every_table_of_a_node_is_seen() {
    let [mut n1, n2] = two_nodes();
    n1["tables"] = serde_json::json!([
        {"name": "nf_conntrack", "entries": 10, "limit": 262_144, "scan_micros": 1_500},
        {"name": "cilium_ct4_global", "entries": 508_000, "limit": 524_288, "scan_micros": 41_250},
        {"name": "cilium_ct_any4_global", "entries": 0, "limit": 262_144, "scan_micros": 20},
    ]);
    let (n1, n2) = (agent(ok(&n1)).await, agent(ok(&n2)).await);
    let (n1, n2) = (n1.uri(), n2.uri());
    let list = async |more: &[&str]| khan(&[&["agents", "--agent", &n1, "--agent", &n2], more].concat()).run().await;
    let table = list(&["--columns", "node,entries,fill,limit,tables,problems"]).await;
    let expected = "NODE   ENTRIES   FILL%    LIMIT   TABLES                                                             PROBLEMS\n\
                    n1      508000      97   524288   cilium_ct4_global 97%, nf_conntrack 1%, cilium_ct_any4_global 0%   its cilium_ct4_global is nearly full\n\
                    n2          10       1   262144   nf_conntrack 1%                                                    -\n";
    assert_eq!(table.stdout, expected, "{table:?}");
    assert!(!list(&[]).await.stdout.contains("TABLES"));
    let wide = list(&["-o", "wide"]).await.stdout;
    assert!(wide.lines().next().unwrap().contains("LIMIT   TABLES"), "{wide}");
    let json = list(&["-o", "json"]).await.json();
    let item = &json["items"][0];
    assert_eq!((&item["entries"], &item["fillPercent"]), (&508_000.into(), &97.into()));
    assert_eq!(
        (&item["fullestTable"], &json["items"][1]["fullestTable"]),
        (&"cilium_ct4_global".into(), &"nf_conntrack".into())
    );
    assert_eq!(
        item["tables"][1],
        serde_json::json!({"name": "cilium_ct4_global", "entries": 508_000, "limit": 524_288, "fillPercent": 97, "scanSeconds": 0.04125})
    );
    // An agent from before: its only table is the kernel's.
    assert_eq!(
        json["items"][1]["tables"],
        serde_json::json!([{"name": "nf_conntrack", "entries": 10, "limit": 262_144, "fillPercent": 1, "scanSeconds": null}])
    );
}
