//! `khan top` from two agents, and what it says to what it cannot work with.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use khan_lab::program::Ended;
use khan_lab::shop::Edges;
use khan_lab::{Host, Khan, Lab, LabError, Program, Result, Shop, until};

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
            *edges.entry(edge).or_default() += item["connections"].as_u64().ok_or_else(malformed)?;
        }
    }
    Ok(edges)
}

#[test]
fn every_edge_is_what_is_held_with_both_agents_and_with_one() -> Result {
    let lab = Lab::new()?;
    let mut shop = Shop::start(&lab)?;
    let (desk, _) = shop.cluster.outside(&lab, "desk")?;
    let _khan = Khan::start(&lab, &shop.cluster, &["--interval", "1s"])?;
    shop.open()?;
    let urls = [1, 2].map(Khan::agent_url);
    let both = ["--agent", &urls[0], "--agent", &urls[1]];
    let mut last = String::new();
    let right = until("the right table", PATIENCE, || {
        let answer = edges(&desk, &both);
        last = format!("{answer:?}");
        answer.is_ok_and(|edges| edges == shop.edges).then_some(())
    });
    right.map_err(|error| LabError::Malformed(format!("{error}; held {:?}, last {last}", shop.edges)))?;

    // With one agent alone, what the other would count as the client's side is counted from this one: postgres and one
    // cart are on node 2, the other cart is not.
    let alone = edges(&desk, &both[2..])?;
    let to_postgres = |edges: &Edges| edges.get(&("cart".into(), "postgres".into())).copied();
    assert_eq!(to_postgres(&alone), to_postgres(&shop.edges));
    Ok(())
}

#[test]
fn a_bad_command_line_is_named() -> Result {
    one_sentence(&top(&["--frobnicate"])?, &[64], &["khan", "--frobnicate"]);
    one_sentence(&top(&["--once", "--agent", "non sense"])?, &[64], &["--agent", "non sense"]);
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
