//! `khan --source sockets` in a network namespace, with `ss` for a witness, and what `--source local` says where nothing is
//! tracked.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use khan_lab::host::{Link, link};
use khan_lab::program::Ended;
use khan_lab::traffic::{TcpServer, hold_tcp};
use khan_lab::{Host, Lab, Program, Result};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);
const SERVERS: [u16; 2] = [443, 8080];

fn khan(host: &Host, arguments: &[&str]) -> Result<Ended> {
    let quiet = Program::workspace("khan")?.args(arguments).without_env("KUBECONFIG").env("HOME", "/nonexistent");
    let ended = quiet.inside(host).output(PATIENCE)?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    Ok(ended)
}

fn json(host: &Host, arguments: &[&str]) -> Result<Value> {
    let ended = khan(host, &[arguments, &["-o", "json"]].concat())?;
    Ok(serde_json::from_str(&ended.stdout).expect("JSON"))
}

/// Client and server of each connection that `ss` lists, both of whose sockets may be of this host.
fn witnessed(host: &Host) -> Result<BTreeSet<(SocketAddr, SocketAddr)>> {
    let listed = host.run(["ss", "-tnH", "state", "established"])?;
    let ends = |line: &str| {
        let ends: Vec<SocketAddr> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [local, peer] = ends[..] else { panic!("{line:?}") };
        if SERVERS.contains(&local.port()) { (peer, local) } else { (local, peer) }
    };
    Ok(listed.lines().map(ends).collect())
}

#[test]
fn sockets_are_those_that_ss_lists_and_name_their_processes() -> Result {
    let lab = Lab::new()?;
    let (inside, outside) = (lab.host("inside")?, lab.host("outside")?);
    link(
        Link { host: &inside, name: "out", addresses: &["10.9.0.1/24", "fd09::1/64"] },
        Link { host: &outside, name: "in", addresses: &["10.9.0.2/24", "fd09::2/64"] },
    )?;
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    let (far, near) = (address("10.9.0.2:443"), address("[fd09::1]:8080"));
    let (_far, _near) = (TcpServer::start(&outside, far)?, TcpServer::start(&inside, near)?);
    // Out of it, into it, and within it.
    let _held = [hold_tcp(&inside, far, 5)?, hold_tcp(&outside, near, 3)?, hold_tcp(&inside, near, 2)?];
    let expected = witnessed(&inside)?;
    assert_eq!(expected.len(), 10, "those within it have two sockets each: {expected:?}");

    let list = json(&inside, &["conns", "--source", "sockets", "--proto", "tcp", "--state", "established"])?;
    let end = |end: &Value| {
        let ip = end["ip"].as_str().expect("an address").parse().expect("an address");
        SocketAddr::new(ip, end["port"].as_u64().and_then(|port| port.try_into().ok()).expect("a port"))
    };
    let items = list["items"].as_array().expect("items");
    let found: BTreeSet<_> = items.iter().map(|item| (end(&item["source"]), end(&item["destination"]))).collect();
    assert_eq!(found, expected, "{list:#}");
    assert_eq!(items.len(), expected.len(), "each once");

    // Both ends that are of this process bear its name.
    let own = std::fs::read_to_string("/proc/self/comm").expect("this process has a name");
    let own = own.trim_end();
    let top = json(&inside, &["top", "--once", "--source", "sockets", "--proto", "tcp"])?;
    let row = |item: &Value| {
        let text = |end: &str| item[end]["text"].as_str().unwrap_or_default().to_owned();
        (text("source"), text("destination"), item["port"].as_u64(), item["conns"].as_u64())
    };
    let rows: BTreeSet<_> = top["items"].as_array().expect("items").iter().map(row).collect();
    let expected = [(own, "external/10.9.0.2", 443, 5), ("external/fd09::2", own, 8080, 3), (own, own, 8080, 2)];
    let expected = expected.map(|(from, to, port, n)| (from.to_owned(), to.to_owned(), Some(port), Some(n)));
    assert_eq!(rows, BTreeSet::from(expected), "{top:#}");
    assert_eq!(
        khan(&inside, &["top", "--once", "--source", "sockets", &format!("app/{own}"), "-o", "name"])?
            .stdout
            .lines()
            .count(),
        3
    );
    Ok(())
}

#[test]
fn a_table_that_is_empty_says_why() -> Result {
    let lab = Lab::new()?;
    let host = lab.host("untracked")?;
    let ended = khan(&host, &["top", "--once", "--source", "local"])?;
    assert_eq!(ended.stdout, "");
    for words in ["No connections found.", "tracks connections only where", "--source sockets"] {
        assert!(ended.stderr.contains(words), "{words}: {ended:?}");
    }
    Ok(())
}
