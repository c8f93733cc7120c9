//! `khan top` from every source, and what it says to what it cannot work with.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use khan_api::routes::AGENT_PORT;
use khan_lab::cluster::node_addresses;
use khan_lab::program::Ended;
use khan_lab::prometheus::Job;
use khan_lab::shop::Edges;
use khan_lab::{Host, Khan, Lab, LabError, Program, Prometheus, Result, Shop, until};

const PATIENCE: Duration = Duration::from_secs(20);

fn top(arguments: &[&str]) -> Result<Ended> {
    let quiet = Program::workspace("khan")?.args(["top"]).args(arguments);
    quiet.without_env("KUBECONFIG").env("HOME", "/nonexistent").output(PATIENCE)
}

/// One of the exit codes, nothing on standard output, and one sentence that holds all the words.
fn one_sentence(ended: &Ended, codes: &[i32], words: &[&str]) {
    assert!(ended.code.is_some_and(|code| codes.contains(&code)), "{ended:?}");
    assert_eq!(ended.stdout, "", "nothing half-done: {ended:?}");
    assert_eq!(ended.stderr.trim_end().lines().count(), 1, "one sentence: {ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{word} is not in {:?}", ended.stderr);
    }
}

/// The edges between apps in the JSON that `khan top` prints on `host`.
fn edges(host: &Host, source: &[&str]) -> Result<Edges> {
    let top = Program::workspace("khan")?.args(["top", "--once", "-o", "json"]).args(source);
    let ended = top.without_env("KUBECONFIG").env("HOME", "/nonexistent").inside(host).output(PATIENCE)?;
    let malformed = || LabError::Malformed(format!("{ended:?}"));
    let list: serde_json::Value = serde_json::from_str(&ended.stdout).map_err(|_| malformed())?;
    let mut edges = Edges::new();
    for item in list["items"].as_array().ok_or_else(malformed)? {
        let app = |end: &str| item[end]["app"].as_str().unwrap_or_default().to_owned();
        let edge = (app("source"), app("destination"));
        if !edge.0.is_empty() && !edge.1.is_empty() {
            *edges.entry(edge).or_default() += item["conns"].as_u64().ok_or_else(malformed)?;
        }
    }
    Ok(edges)
}

#[test]
fn agents_and_prometheus_give_the_same_answer_and_it_is_right() -> Result {
    let lab = Lab::new()?;
    let mut shop = Shop::start(&lab)?;
    let (desk, _) = shop.cluster.outside(&lab, "desk")?;
    let _khan = Khan::start(&lab, &shop.cluster, &["--interval", "1s"])?;
    let targets = [1, 2].map(|node| node_addresses(node).v4_port(AGENT_PORT).to_string());
    let job = Job { name: "khan", targets: &[&targets[0], &targets[1]] };
    let prometheus = Prometheus::start(&lab, Some(&desk), &[job], &[])?;
    shop.open()?;
    let urls = [1, 2].map(Khan::agent_url);
    for source in [&["--agent", &urls[0], "--agent", &urls[1]][..], &["--prometheus-url", &prometheus.url()?]] {
        let mut last = String::new();
        let right = until(&format!("the right table from {source:?}"), PATIENCE, || {
            let answer = edges(&desk, source);
            last = format!("{answer:?}");
            answer.is_ok_and(|edges| edges == shop.edges).then_some(())
        });
        right.map_err(|error| LabError::Malformed(format!("{error}; held {:?}, last {last}", shop.edges)))?;
    }

    // With one agent alone, what only the other node's client side would count is counted from this one.
    let alone = edges(&desk, &["--agent", &urls[1]])?;
    let to_postgres = |edges: &Edges| edges.get(&("cart".into(), "postgres".into())).copied();
    assert_eq!(
        to_postgres(&alone),
        to_postgres(&shop.edges),
        "postgres and one cart are on node 2, the other cart is not"
    );
    Ok(())
}

#[test]
fn the_local_table_is_the_kernels() -> Result {
    let lab = Lab::new()?;
    let mut shop = Shop::start(&lab)?;
    shop.open()?;
    let node = shop.cluster.node(1);
    let top = Program::workspace("khan")?.args(["top", "--once", "--source", "local", "-o", "json"]).inside(node);
    let ended = top.output(PATIENCE)?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let list: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let counted: u64 = list["items"].as_array().expect("items").iter().filter_map(|item| item["conns"].as_u64()).sum();
    assert_eq!(counted, node.witness()?.len() as u64, "{list:#}");
    Ok(())
}

#[test]
fn a_bad_command_line_is_named() -> Result {
    one_sentence(&top(&["--frobnicate"])?, &[64], &["khan", "--frobnicate"]);
    one_sentence(&top(&["--once", "--agent", "non sense"])?, &[64], &["--agent", "non sense"]);
    one_sentence(&top(&["--once", "--prometheus-url", "x y"])?, &[64], &["--prometheus-url", "x y"]);
    let path = "/nonexistent/kubeconfig";
    one_sentence(&top(&["--once", "--source", "agents", "--kubeconfig", path])?, &[64], &[path]);
    Ok(())
}

#[test]
fn an_agent_that_answers_garbage_is_named() -> Result {
    let garbage = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", garbage.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for mut stream in garbage.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
        }
    });
    one_sentence(&top(&["--once", "--agent", &url])?, &[1, 4], &[&url]);
    Ok(())
}

#[test]
fn an_agent_that_is_not_there_is_named() -> Result {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    let url = format!("http://{gone}");
    one_sentence(&top(&["--once", "--agent", &url])?, &[1, 4], &[&url]);
    Ok(())
}
