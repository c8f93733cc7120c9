//! A real `VictoriaMetrics`: it hides the newest half minute, so what it knows is older than what agents say, and every
//! command says how old.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use khan_lab::{Lab, Program};
use serde_json::Value;

/// Seconds between two scrapes.
const EVERY: u64 = 15;
/// What `VictoriaMetrics` keeps back unless it is told otherwise (`-search.latencyOffset`).
const HIDDEN: u64 = 30;
/// How old a snapshot is when it is scraped.
const AGE: u64 = 7;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Twenty minutes until `now` in which `web-1` on n1 gains one connection every three seconds, and ends with 600.
fn pages(now: u64) -> String {
    let mut text = String::new();
    for ago in (0..=1_200 / EVERY).rev().map(|step| step * EVERY) {
        let at = (now - ago) * 1_000;
        let mut line = |name: &str, labels: &str, value: u64| {
            writeln!(text, "{name}{{job=\"khan\",instance=\"n1:14718\"{labels}}} {value} {at}").unwrap();
        };
        line("khan_agent_build_info", ",version=\"0.1.0\"", 1);
        line("khan_agent_snapshot_age_seconds", "", AGE);
        line("khan_agent_scan_interval_seconds", "", 30);
        for (name, ip, connections) in [("web-1", "10.0.1.1", 600 - ago / 3), ("web-2", "10.0.1.2", 8)] {
            let labels = format!(
                ",node=\"n1\",side=\"client\",src_type=\"pod\",src_ip=\"{ip}\",src_ns=\"shop\",src_app=\"web\",\
                 src_name=\"{name}\",dst_type=\"service\",dst_ip=\"10.9.0.1\",dst_ns=\"data\",dst_app=\"db\",\
                 dst_name=\"db\",dst_port=\"5432\",state=\"ESTABLISHED\""
            );
            line("khan_connection", &labels, connections);
        }
    }
    text
}

/// One exchange over HTTP/1.0; `None` as long as nobody answers.
fn exchange(authority: &str, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(authority).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn khan(url: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_khan"));
    command.args(arguments).args(["--prometheus-url", url]).env_clear().env("HOME", home.path()).env("TZ", "UTC");
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_age_of_what_it_knows_is_shown_and_changes_are_exact() {
    let lab = Lab::new().unwrap();
    // It does not tell which port it took, so it is given one that was free a moment ago.
    let authority = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let data = lab.folder().join("victoria");
    let program = Program::new("/usr/bin/victoria-metrics")
        .args([format!("-storageDataPath={}", data.display()), format!("-httpListenAddr={authority}")]);
    let _running = program.start().expect("Debian and Ubuntu: apt-get install victoria-metrics");
    let ready = || exchange(&authority, "GET /health HTTP/1.0\r\n\r\n").filter(|answer| answer.contains(" 200 "));
    khan_lab::until("VictoriaMetrics to be ready", Duration::from_secs(30), ready).unwrap();
    let begun = now();
    let body = pages(begun);
    let import = format!("POST /api/v1/import/prometheus HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let answer = exchange(&authority, &import).unwrap();
    assert!(answer.contains(" 204 "), "{answer}");
    khan_lab::until("what was imported to be found", Duration::from_secs(30), || {
        exchange(&authority, "GET /internal/force_flush HTTP/1.0\r\n\r\n")?;
        exchange(&authority, "GET /api/v1/query?query=khan_connection HTTP/1.0\r\n\r\n").filter(|a| a.contains("web-2"))
    })
    .unwrap();
    let url = format!("http://{authority}");

    let (code, text, said) = khan(&url, &["top", "--once", "-o", "json"]);
    let top: Value = serde_json::from_str(&text).unwrap();
    let (metadata, row) = (&top["metadata"], &top["items"][0]);
    assert_eq!((code, metadata["agents"]["ok"].as_u64()), (Some(0), Some(1)), "{said}");
    let age = metadata["snapshotAgeSeconds"].as_f64().unwrap();
    let (least, most) = (HIDDEN + AGE, HIDDEN + AGE + EVERY + now() - begun);
    assert!((least as f64..=most as f64 + 1.0).contains(&age), "{age} s is not from {least} s to {most} s");
    assert!(said.contains(&format!("note: the newest snapshot that {url} knows is ")), "{said}");
    // What it shows is what was true then.
    let connections = row["conns"].as_u64().unwrap();
    let taken: khan_api::Timestamp = metadata["snapshotTime"].as_str().unwrap().parse().unwrap();
    let scraped = u64::try_from(taken.seconds()).unwrap() + AGE;
    assert_eq!(connections, 608 - (begun - scraped) / 3, "{top:#}");
    assert!((19.0..=21.0).contains(&row["ratePerMinute"].as_f64().unwrap()), "{row}");
    assert_eq!(row["flags"][0], "RISING", "{row}");

    let (code, text, said) = khan(&url, &["leaks", "--window", "15m", "--exit-code", "-o", "json"]);
    let leaks: Value = serde_json::from_str(&text).unwrap();
    let leak = &leaks["items"][0];
    assert_eq!(
        (code, &leak["verdict"], &leak["source"]["text"]),
        (Some(5), &"LIKELY".into(), &"shop/web".into()),
        "{said}"
    );
    assert!((280..=300).contains(&leak["growth"].as_u64().unwrap()), "{leak}");
    assert!(said.contains("knows is "), "{said}");

    let (code, text, said) = khan(&url, &["who", "10.0.1.2", "-o", "json"]);
    let who: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &who["addresses"][0]["toldBy"]), (Some(0), &"prometheus".into()), "{said}");
    assert_eq!(who["connectsTo"][0]["conns"], 8, "{who:#}");
    assert!(said.contains("knows is "), "{said}");

    let (code, _, said) = khan(&url, &["conns"]);
    assert!(code == Some(64) && said.contains("Prometheus knows counts only"), "{said}");
}
