//! What the agent cannot see, it says: when that begins and when it ends.

use std::time::Duration;

use khan_lab::program::Running;
use khan_lab::{Host, Lab, Program, Result, Seed, until};

use crate::page::lines;

const SOON: Duration = Duration::from_mins(1);

fn start(node: &Host) -> Result<Running> {
    let arguments = ["--node-name", "n1", "--listen", "127.0.0.1:0", "--interval", "500ms", "--max-scan-cpu", "100"];
    let agent = Program::workspace("khan-agent")?.args(arguments).inside(node).start()?;
    agent.get_when_ready("/readyz")?;
    Ok(agent)
}

fn wait_for(agent: &Running, reason: &str, value: u64) -> Result {
    until(&format!("khan_agent_blind{{reason={reason:?}}} {value}"), SOON, || {
        let page = agent.get("/metrics").ok()?.body;
        let all = lines(&page, "khan_agent_blind");
        all.iter().find(|(labels, _)| labels["reason"] == reason).filter(|(_, now)| *now == value).map(drop)
    })
}

/// One line of the log says that it began, one that it ended.
fn said(agent: &Running, reason: &str) -> Result {
    for says in ["Connections may be missing", "No longer so"] {
        agent.wait_for_line(&format!("{says}: {reason}"), SOON, |line| {
            (line.contains(says) && line.contains(reason)).then_some(())
        })?;
    }
    Ok(())
}

#[test]
fn a_namespace_that_tracks_nothing() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    let agent = start(&node)?;
    // The first connections here are the ones that ask: without a rule they leave no entry.
    wait_for(&agent, "untracked", 1)?;
    let snapshot: khan_api::Snapshot = agent.get("/v1/snapshot")?.json()?;
    assert!(snapshot.warnings.iter().any(|warning| warning.contains("no rule")), "{:?}", snapshot.warnings);
    node.track()?;
    wait_for(&agent, "untracked", 0)?;
    said(&agent, "untracked")
}

/// Cilium's interface comes and goes; its maps need a BPF file system, so a unit test has them.
#[test]
fn a_node_with_cilium() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    let agent = start(&node)?;
    wait_for(&agent, "cilium", 0)?;
    node.run(["ip", "link", "add", "cilium_host", "type", "veth", "peer", "name", "cilium_net"])?;
    wait_for(&agent, "cilium", 1)?;
    let snapshot: khan_api::Snapshot = agent.get("/v1/snapshot")?.json()?;
    assert!(snapshot.warnings.iter().any(|warning| warning.contains("Cilium")), "{:?}", snapshot.warnings);
    node.run(["ip", "link", "delete", "cilium_host"])?;
    wait_for(&agent, "cilium", 0)?;
    said(&agent, "cilium")
}

#[test]
fn a_table_that_is_full() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    let limit: u32 = node.read_sysctl("net.netfilter.nf_conntrack_max")?.parse().expect("a number");
    assert!(limit <= 1_100_000, "nf_conntrack_max of {limit} is too much to fill; lower it for this test");
    let agent = start(&node)?;
    wait_for(&agent, "table_full", 0)?;
    let client = |n: u32| {
        let [host, port] = [n / 50_000, n % 50_000].map(|part| u16::try_from(part).expect("small"));
        Seed::udp(([10, 0, 0, host.to_be_bytes()[1]], 1024 + port), ([10, 200, 0, 1], 53))
    };
    node.seed((0..limit).map(client))?;
    wait_for(&agent, "table_full", 1)?;
    // Now rules track, but not what asks the agent; whatever else wants an entry finds no place.
    let port = agent.address()?.port();
    node.nft(&format!(
        "table inet spare {{
            chain out {{ type filter hook output priority -300; tcp sport {port} notrack; tcp dport {port} notrack; }}
            chain in {{ type filter hook prerouting priority -300; tcp sport {port} notrack; tcp dport {port} notrack; }}
        }}"
    ))?;
    node.track()?;
    let refused = until("dropped connections", SOON, || {
        // The send may fail for the very reason that is wanted.
        let _ =
            node.enter(|| std::net::UdpSocket::bind("127.0.0.1:0").and_then(|one| one.send_to(b"k", "127.0.0.2:9")));
        let page = agent.get("/metrics").ok()?.body;
        let all = lines(&page, "khan_agent_blind");
        all.iter().find(|(labels, now)| labels["reason"] == "dropping" && *now == 1).map(drop)
    });
    node.flush()?;
    refused?;
    wait_for(&agent, "table_full", 0)?;
    wait_for(&agent, "dropping", 0)?;
    said(&agent, "table_full")?;
    said(&agent, "dropping")
}
