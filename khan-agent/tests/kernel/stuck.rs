//! Connections that go nowhere: data that nobody acknowledges, and tries that nobody answers.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use khan_agent::snapshot::Snapshot;
use khan_lab::{Entry, Host, Lab, Result, host, traffic, until};

use crate::page::lines;
use crate::support::{Agent, node_and_outside, node_pod_and_outside, witnessed};

/// Stalled and unanswered connections of a snapshot's rows.
fn stuck(snapshot: &Snapshot) -> (u64, u64) {
    let rows = snapshot.to_api(usize::MAX).rows;
    (rows.iter().map(|row| row.stalled).sum(), rows.iter().map(|row| row.unanswered).sum())
}

/// `khan_connection_stalled` and `khan_connection_unanswered` on the page of one snapshot.
fn metrics(agent: &Agent, snapshot: &Snapshot) -> (u64, u64) {
    let page = agent.page_of(snapshot);
    let sum = |name: &str| lines(&page, name).iter().map(|(_, n)| n).sum();
    (sum("khan_connection_stalled"), sum("khan_connection_unanswered"))
}

/// Seconds since the last packet of an entry whose timeout began at `full`, rounded up.
fn idle(entry: &Entry, full: u32) -> u32 {
    full - entry.timeout.expect("no entry is offloaded")
}

fn data_in_flight(pod: &Host, server: &traffic::TcpServer) -> Result<(TcpStream, traffic::Connections)> {
    let quiet = traffic::hold_tcp(pod, server.address(), 2)?;
    let mut stream = pod.enter(|| TcpStream::connect(server.address())).expect("a connection");
    server.wait_for_open(3)?;
    stream.write_all(b"acknowledged").expect("the socket's buffer has room");
    Ok((stream, quiet))
}

/// Once with a peer that is silent, and once with a peer whose node is told by ICMP errors, upon which the client retransmits
/// about every second.
#[test]
fn data_that_nobody_acknowledges_is_stalled() -> Result {
    let lab = Lab::new()?;
    for silent in [true, false] {
        let (node, pod, outside) = node_pod_and_outside(&lab)?;
        outside.route(["default", "via", "10.9.0.1"])?;
        node.track()?;
        let server = traffic::TcpServer::start(&outside, "10.9.0.2:0".parse().unwrap())?;
        let (mut stream, mut quiet) = data_in_flight(&pod, &server)?;
        let mut scans = Agent::default().scans();
        assert_eq!(stuck(&scans.next(&node)), (0, 0));
        if silent {
            outside.nft(
                "table inet deaf { chain in { type filter hook input priority -300; meta l4proto tcp drop; }; }",
            )?;
        } else {
            outside.run(["ip", "link", "set", "eth0", "down"])?;
        }
        stream.write_all(b"is anybody there").expect("the socket's buffer has room");
        let stalled = until("the connection to be stalled", Duration::from_mins(1), || {
            let snapshot = scans.next(&node);
            (stuck(&snapshot) == (1, 0)).then_some(snapshot)
        })?;
        assert_eq!(metrics(scans.agent(), &stalled), (1, 0), "silent: {silent}");
        let rows = stalled.to_api(usize::MAX).rows;
        assert_eq!((rows.len(), rows[0].connections), (1, 3), "the others lie idle");

        if silent {
            outside.nft("delete table inet deaf")?;
        } else {
            outside.run(["ip", "link", "set", "eth0", "up"])?;
            outside.route(["default", "via", "10.9.0.1"])?;
        }
        until("the connection to go on", Duration::from_mins(1), || {
            (stuck(&scans.next(&node)) == (0, 0)).then_some(())
        })?;
        quiet.talk()?;
    }
    Ok(())
}

/// Idle times alone tell little here: a connection that retransmits may never be seen silent, and one over a slow link often is.
#[test]
fn where_packets_are_counted_neither_retransmissions_nor_a_slow_link_mislead() -> Result {
    let lab = Lab::new()?;
    let (node, pod, outside) = node_pod_and_outside(&lab)?;
    outside.route(["default", "via", "10.9.0.1"])?;
    node.track()?;
    node.sysctl("net.netfilter.nf_conntrack_acct", "1")?;
    let server = outside.enter(|| TcpListener::bind("10.9.0.2:7000")).expect("a free port");
    let mut stream = pod.enter(|| TcpStream::connect("10.9.0.2:7000")).expect("a connection");
    let _unread = server.accept().expect("a connection");
    let mut scans = Agent::default().scans();
    let sending = || {
        let entry = node.witness().ok()?.into_iter().find(|entry| entry.timeout.is_some_and(|left| left <= 300))?;
        Some((idle(&entry, 300), entry.reply_packets?))
    };

    // One packet takes longer than a second.
    node.run("tc qdisc add dev eth0 root tbf rate 9kbit burst 1600 latency 60s".split(' ').collect::<Vec<_>>())?;
    stream.write_all("slow".repeat(5_000).as_bytes()).expect("the socket's buffer has room");
    let (_, before) = until("data in flight", Duration::from_secs(20), sending)?;
    let mut silent = 0;
    until("five acknowledgements", Duration::from_mins(1), || {
        let (idle, acknowledged) = sending()?;
        silent += u32::from(idle >= 2);
        assert_eq!(stuck(&scans.next(&node)), (0, 0), "idle for {idle} s");
        (acknowledged >= before + 5).then_some(())
    })?;
    assert!(silent >= 2, "the link was not slow enough to mislead anybody");

    // Only scans that find it busy.
    node.run(["ip", "route", "add", "unreachable", "10.9.0.2"])?;
    until("the connection to be stalled", Duration::from_mins(1), || {
        let (idle, _) = sending()?;
        (idle < 2 && stuck(&scans.next(&node)) == (1, 0)).then_some(())
    })?;
    Ok(())
}

#[test]
fn tries_that_nobody_answers_are_unanswered_until_they_are() -> Result {
    let lab = Lab::new()?;
    let (node, outside) = node_and_outside(&lab)?;
    node.track()?;
    // Nobody is there, and nobody says so.
    outside.nft("table inet deaf { chain in { type filter hook input priority -300; drop; }; }")?;
    let tries = traffic::half_open(&node, "10.9.0.2:6379".parse().unwrap(), 5)?;
    let questions = traffic::udp_one_way(&node, "10.9.0.2:53".parse().unwrap(), 3)?;
    let logs = traffic::udp_one_way(&node, "10.9.0.2:514".parse().unwrap(), 7)?;
    let agent = Agent::default();
    // SYNs go out again after 1, 3, 7 and 15 seconds.
    until("all tries to be unanswered", Duration::from_secs(20), || {
        (stuck(&agent.scan(&node)) == (0, 8)).then_some(())
    })?;
    let snapshot = agent.scan(&node);
    assert_eq!(metrics(&agent, &snapshot), stuck(&snapshot));
    let by_port = |port: u16| -> u64 {
        snapshot.to_api(usize::MAX).rows.iter().filter(|row| row.port == port).map(|row| row.unanswered).sum()
    };
    assert_eq!([6379, 53, 514].map(by_port), [5, 3, 0]);
    let entries = node.witness()?;
    let waiting =
        witnessed(&entries, |entry| (entry.orig.dst_port, idle(entry, if entry.protocol == 6 { 120 } else { 30 }) > 2));
    assert_eq!(waiting, [((53, true), 3), ((514, true), 7), ((6379, true), 5)].into());
    drop((tries, questions, logs));

    // Between ends that have had answers, silence is one.
    let server = lab.host("server")?;
    host::link(
        host::Link { host: &node, name: "eth1", addresses: &["10.8.0.1/24"] },
        host::Link { host: &server, name: "eth0", addresses: &["10.8.0.2/24"] },
    )?;
    let echo = traffic::UdpServer::start(&server, "10.8.0.2:8125".parse().unwrap())?;
    let answered = traffic::udp_exchange(&node, echo.address(), 1)?;
    server.nft("table inet deaf { chain in { type filter hook input priority -300; drop; }; }")?;
    let silent = traffic::udp_one_way(&node, echo.address(), 2)?;
    until("two datagrams to be unanswered", Duration::from_secs(20), || {
        let rows = agent.scan(&node).to_api(usize::MAX).rows;
        rows.iter().any(|row| row.port == 8125 && (row.connections, row.unanswered) == (3, 2)).then_some(())
    })?;
    drop((answered, silent));
    Ok(())
}
