//! Time since the last packet, from nothing but the remaining timeout; and who has yet to close.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use khan_api::TcpState;
use khan_api::snapshot::IdleHistogram;
use khan_lab::seed::Closer;
use khan_lab::{Lab, Result, Seed, traffic, until};

use crate::page::lines;
use crate::support::{Agent, node_and_outside};

fn idle_lines(page: &str) -> u64 {
    lines(page, "khan_connection_idle").iter().map(|(_, count)| count).sum()
}

/// Against the kernel's five days and kube-proxy's one.
#[test]
fn buckets_follow_the_namespaces_timeouts() -> Result {
    let lab = Lab::new()?;
    for full in [432_000, 86_400_u32] {
        let node = lab.host("node")?;
        node.sysctl("net.netfilter.nf_conntrack_tcp_timeout_established", &full.to_string())?;
        let idle = [5_u32, 70, 590, 700, 3500, 3700, 21_000, 22_000, 80_000];
        node.seed(
            (1..).zip(idle).map(|(n, idle)| Seed::tcp(([10, 1, 0, 1], n), ([10, 2, 0, 1], 80)).timeout(full - idle)),
        )?;
        // More left than the state starts with, and other states, are not measured.
        node.seed([Seed::tcp(([10, 1, 0, 1], 100), ([10, 2, 0, 1], 80)).timeout(full + 1000)])?;
        node.seed([Seed::tcp(([10, 1, 0, 1], 101), ([10, 2, 0, 1], 80)).state(TcpState::TimeWait).timeout(1)])?;
        let agent = Agent::default();
        let snapshot = agent.scan(&node);
        let rows = snapshot.to_api(10).rows;
        assert_eq!(rows[0].idle, IdleHistogram([1, 2, 2, 2, 2]), "with a timeout of {full} s");
        assert_eq!((rows[0].connections, rows[0].idle_connections), (11, 6));
        assert_eq!(idle_lines(&agent.page_of(&snapshot)), 6);
    }
    Ok(())
}

#[test]
fn real_connections_become_idle_and_active_again() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    node.track()?;
    let server = traffic::TcpServer::start(&node, "127.0.0.1:0".parse().unwrap())?;
    let mut quiet = traffic::hold_tcp(&node, server.address(), 5)?;
    let mut busy = quiet.split_off(2);
    let mut agent = Agent::default();
    agent.table.idle_threshold = 3;
    assert_eq!(idle_lines(&agent.page(&node)), 0);
    until("five connections to become idle", Duration::from_secs(10), || {
        (idle_lines(&agent.page(&node)) == 5).then_some(())
    })?;
    busy.talk()?;
    assert_eq!(idle_lines(&agent.page(&node)), 3);
    Ok(())
}

/// While data awaits an acknowledgement the kernel keeps an entry for five minutes only, which is not idleness.
#[test]
fn unacknowledged_data_is_not_idleness() -> Result {
    let lab = Lab::new()?;
    let (node, outside) = node_and_outside(&lab)?;
    node.track()?;
    let server = traffic::TcpServer::start(&outside, "10.9.0.2:0".parse().unwrap())?;
    let mut stream = node.enter(|| TcpStream::connect(server.address())).expect("a connection");
    server.wait_for_open(1)?;
    outside.nft("table inet deaf { chain in { type filter hook input priority -300; meta l4proto tcp drop; }; }")?;
    stream.write_all(b"is anybody there").expect("the socket's buffer has room");
    let shortened = |entry: &khan_lab::Entry| entry.timeout.is_some_and(|left| left <= 300);
    until("the shorter timeout", Duration::from_secs(5), || node.witness().ok()?.iter().all(shortened).then_some(()))?;
    let rows = Agent::default().scan(&node).to_api(10).rows;
    assert_eq!((rows[0].idle, rows[0].idle_connections), (IdleHistogram([1, 0, 0, 0, 0]), 0));
    Ok(())
}

#[test]
fn the_side_that_did_not_close_is_named() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    node.track()?;
    let server = traffic::TcpServer::start_never_closing(&node, "127.0.0.1:0".parse().unwrap())?;
    let held = traffic::hold_tcp(&node, server.address(), 3)?;
    held.shut_down_writing()?;
    until("half-closed entries", Duration::from_secs(5), || {
        let half = |entry: &khan_lab::Entry| entry.state.as_deref() == Some("CLOSE_WAIT");
        node.witness().ok()?.iter().all(half).then_some(())
    })?;
    let rows = Agent::default().scan(&node).to_api(10).rows;
    assert_eq!((rows[0].connections, rows[0].client_unclosed, rows[0].server_unclosed), (3, 0, 3));

    let other = lab.host("other")?;
    let seed = |n, state, closer| Seed::tcp(([10, 1, 0, 1], n), ([10, 2, 0, 1], 80)).state(state).closed_first(closer);
    other.seed([
        seed(1, TcpState::FinWait, Closer::Server),
        seed(2, TcpState::CloseWait, Closer::Server),
        seed(3, TcpState::CloseWait, Closer::Client),
        // Both have sent FIN: nobody leaks.
        seed(4, TcpState::LastAck, Closer::Client),
    ])?;
    let rows = Agent::default().scan(&other).to_api(10).rows;
    assert_eq!((rows[0].connections, rows[0].client_unclosed, rows[0].server_unclosed), (4, 2, 1));
    Ok(())
}
