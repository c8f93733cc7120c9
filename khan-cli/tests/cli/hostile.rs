//! Agents that send too much, or what a terminal would obey.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use khan_api::text::is_printable;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::khan::{agent, khan, measured, ok, two_nodes};

/// What is served below a path.
#[derive(Clone)]
enum Body {
    /// All of it, as gzip or plain.
    Whole { gzip: bool, bytes: Arc<Vec<u8>> },
    /// A beginning, and then the rest again and again until the reader hangs up.
    Endless { head: Vec<u8>, rest: Arc<Vec<u8>> },
}

/// Serves `/NAME/v1/snapshot` until the test ends.
async fn serve(bodies: BTreeMap<String, Body>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, bodies) = (listener.local_addr().unwrap(), Arc::new(bodies));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(&bodies)));
        }
    });
    address
}

async fn answer(stream: TcpStream, bodies: Arc<BTreeMap<String, Body>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if !stream.read_line(&mut line).await.is_ok_and(|n| n > 0) {
            return;
        }
        let name = line.split('/').nth(1).unwrap_or_default().to_owned();
        while line.trim_end() != "" {
            line.clear();
            if !stream.read_line(&mut line).await.is_ok_and(|n| n > 0) {
                return;
            }
        }
        let sent = match &bodies[&name] {
            Body::Whole { gzip, bytes } => {
                let encoding = if *gzip { "content-encoding: gzip\r\n" } else { "" };
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{encoding}\r\n", bytes.len());
                let head = stream.write_all(head.as_bytes()).await;
                if head.is_ok() { stream.write_all(bytes).await } else { head }
            }
            Body::Endless { head, rest } => {
                let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
                sent = if sent.is_ok() { stream.write_all(head).await } else { sent };
                while sent.is_ok() {
                    sent = stream.write_all(rest).await;
                }
                sent
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

fn gzip(bytes: &[u8]) -> Body {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    Body::Whole { gzip: true, bytes: Arc::new(encoder.finish().unwrap()) }
}

fn plain(bytes: &[u8]) -> Body {
    Body::Whole { gzip: false, bytes: Arc::new(bytes.to_vec()) }
}

/// `rows` rows of one node of `nodes`: half of clients here, half of servers whose clients are elsewhere.
fn honest(node: usize, nodes: usize, rows: usize) -> Vec<u8> {
    const PODS: usize = 60;
    let pod = |node: usize, number: usize| {
        json!({"ip": format!("10.{}.{}.{number}", node / 256, node % 256), "type": "pod", "ns": format!("team-{}", number % 8),
            "app": format!("app-{}", number % 40), "workload": format!("app-{}", number % 40),
            "name": format!("app-{}-6d4cf56db6-{node:03}{number:02}", number % 40), "node": format!("node-{node:03}")})
    };
    let mut endpoints: Vec<_> = (0..PODS).map(|number| pod(node, number)).collect();
    let mut listed = Vec::new();
    for number in 0..rows {
        let (near, far) = (number % PODS, PODS + number / 2);
        if number % 2 == 0 {
            endpoints.push(pod((node + 1 + number % 40) % nodes, number / 2 % PODS));
        }
        let (src, dst, side) = if number % 2 == 0 { (near, far, "client") } else { (far, near, "server") };
        listed
            .push(json!({"src": src, "dst": dst, "backend": dst, "port": 1024 + number, "backend_port": 1024 + number,
            "protocol": "tcp", "side": side, "connections": 3, "states": {"ESTABLISHED": 3}}));
    }
    let now = khan_api::Timestamp::now();
    serde_json::to_vec(
        &json!({"schema": 1, "id": format!("{node}-1"), "node": format!("node-{node:03}"), "version": "0.1.0",
        "started": now, "taken": now, "interval_millis": 600_000, "endpoints": endpoints, "rows": listed}),
    )
    .unwrap()
}

fn agents(address: SocketAddr, names: impl Iterator<Item = String>) -> String {
    names.map(|name| format!("http://{address}/{name}")).collect::<Vec<_>>().join(",")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_that_send_too_much_are_refused_by_name_and_the_honest_one_is_shown() {
    const HOSTILE: usize = 8;
    let row =
        br#"{"src":0,"dst":0,"backend":0,"port":1,"backend_port":1,"protocol":"tcp","side":"client","connections":1},"#;
    let head = br#"{"schema":1,"id":"x","node":"evil","endpoints":[{"ip":"10.0.0.1"}],"rows":["#.to_vec();
    let rest = Arc::new(row.repeat(1_000));
    let deep = [&br#"{"schema":1,"x":"#[..], &vec![b'['; 1 << 20]].concat();
    let bomb = [&head[..], &row.repeat(280_000)].concat();
    let addresses = [&br#"{"schema":1,"id":"x","node":"evil","endpoints":["#[..], &b"{},".repeat(300_000)].concat();
    let mut bodies = BTreeMap::from([
        ("deep".to_owned(), plain(&deep)),
        ("honest".to_owned(), plain(&honest(1, 2, 100))),
        ("addresses".to_owned(), plain(&addresses)),
    ]);
    let bomb = gzip(&bomb);
    bodies.extend((0..HOSTILE).map(|n| (format!("bomb{n}"), bomb.clone())));
    let endless = Body::Endless { head, rest };
    bodies.extend((0..HOSTILE).map(|n| (format!("endless{n}"), endless.clone())));
    let urls = agents(serve(bodies.clone()).await, bodies.keys().cloned());
    let top = ["top", "--once", "--agent", &urls, "-o", "json", "--limit", "3", "--agent-timeout", "30s"];
    let (ended, most) = measured(&top).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // Its rows of either side: the node of the other clients has no agent.
    let report = ended.json();
    assert_eq!(report["metadata"]["totals"]["conns"], 300, "{}", report["metadata"]);
    for (name, reason) in [
        ("endless7", "sent more than 24 MiB"),
        ("bomb7", "sent more than 24 MiB"),
        ("deep", "not a snapshot (EOF while parsing a list"),
        ("addresses", "invalid length 200001, expected a list of at most 200000"),
    ] {
        let said = ended.stderr.lines().any(|line| line.contains(&format!("/{name} ")) && line.contains(reason));
        assert!(said, "{name}: {reason} is missing in {}", ended.stderr);
    }
    assert!(most <= 200, "{most} MiB");
}

/// What would move a cursor, set a title, fill a clipboard or turn a line around.
const NASTY: &str = "a\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\u{2028}\u{2066}\u{200b}\u{feff}\r\nb";

#[tokio::test]
async fn nothing_that_a_terminal_obeys_is_printed() {
    let mut named = two_nodes()[0].clone();
    for field in ["ns", "app", "workload", "name", "node"] {
        named["endpoints"][0][field] = json!(NASTY);
    }
    named["rows"][0]["states"] = json!({NASTY: 7});
    named["version"] = json!(NASTY);
    named["warnings"] = json!([NASTY]);
    named["names"] = json!({"controller": format!("http://me:hunter2@{NASTY}"), "error": NASTY});
    named["table"]["protocols"] = json!({NASTY: 1});
    let mut bad = two_nodes()[1].clone();
    bad["rows"][0]["protocol"] = json!(NASTY);
    let (named, bad) = (agent(ok(&named)).await, agent(ok(&bad)).await);
    let refusing = agent(wiremock::ResponseTemplate::new(500).set_body_string(NASTY)).await;
    let urls = [named.uri(), bad.uri(), refusing.uri()].join(",");
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("recording");
    let recording = recording.to_str().unwrap();
    let record = ["top", "--once", "--agent", &urls, "--record", recording];
    let replay = ["top", "--once", "--replay", recording];
    let mut asked = vec![record.to_vec(), replay.to_vec()];
    for format in ["json", "csv", "wide", "markdown", "yaml", "name"] {
        asked.push([&replay[..], &["-o", format]].concat());
        asked.push(vec!["agents", "--agent", &urls, "-o", format]);
    }
    asked.push(vec!["doctor", "--agent", &urls]);
    asked.push(vec!["-vvv", "top", "--once", "--agent", &urls]);
    for arguments in asked {
        let ended = khan(&arguments).run().await;
        assert!(ended.stdout.len() + ended.stderr.len() > 40, "{arguments:?}: {ended:?}");
        for text in [&ended.stdout, &ended.stderr] {
            let obeyed = text.chars().find(|c| *c != '\n' && !is_printable(*c));
            assert_eq!(obeyed, None, "{arguments:?}: {text:?}");
            assert!(!text.contains("hunter2"), "{arguments:?}: {text}");
        }
    }
    assert!(!std::fs::read_to_string(recording).unwrap().contains("hunter2"));
}

#[tokio::test]
async fn secrets_go_nowhere_else() {
    let other = agent(ok(&two_nodes()[0])).await;
    let away = wiremock::ResponseTemplate::new(302).insert_header("location", format!("{}/v1/snapshot", other.uri()));
    let redirecting = agent(away).await;
    let ended = khan(&["top", "--once", "--agent", &redirecting.uri()]).run().await;
    assert_ne!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains(&format!("redirects to {}, where Khan does not follow", other.uri())), "{ended:?}");
    assert!(other.received_requests().await.unwrap().is_empty());

    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "hunter2").unwrap();
    let token = token.to_str().unwrap();
    let plain = "http://prometheus.example:9090";
    for (arguments, what) in [
        (&["--prometheus-url", plain, "--prometheus-bearer-token-file", token][..], "a token"),
        (&["--prometheus-url", plain, "--prometheus-header", "X-Api-Key: hunter2"], "the header X-Api-Key"),
        (&["--prometheus-url", "http://me:hunter2@prometheus.example"], "the user and password of the URL"),
        (&["--agent", "http://me:hunter2@node.example"], "the user and password of the URL"),
    ] {
        let ended = khan(&[&["top", "--once"], arguments].concat()).run().await;
        assert_eq!((ended.code, &*ended.stdout), (Some(64), ""), "{ended:?}");
        assert!(ended.stderr.contains(&format!("{what} would go over plain http to http://")), "{ended:?}");
        assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
    }
}
