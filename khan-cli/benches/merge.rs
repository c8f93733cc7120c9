//! 500 agents with 2,000 rows each become one view: how long that takes, and how much memory the process then has. A new
//! snapshot of one agent is all that changes between two views, so the second merge counts as well. Fails above 150 ms or
//! 200 MiB when optimised.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use khan_api::snapshot::{Endpoint, IdleHistogram, Row, Side, Snapshot};
use khan_api::{Kind, Owner, Protocol, Timestamp};
use khan_cli::model::{NodeInput, NodeState, NodeStatus, NodeTable, Pool, SourceInfo, merge};

const AGENTS: u32 = 500;
const ROWS: u32 = 2_000;
/// Pods on each node.
const PODS: u32 = 60;
const MOST_TIME: Duration = Duration::from_millis(150);
const MOST_MIB: u64 = 200;

fn main() {
    let mut pool = Pool::default();
    let before = resident_mib("VmRSS");
    // One at a time, as they come over the network.
    let parsing = Instant::now();
    let mut inputs: Vec<NodeInput> = (0..AGENTS).map(|node| input(&snapshot(node, 0), &mut pool)).collect();
    let parsed = parsing.elapsed();
    let mut taken = Vec::new();
    for turn in 1..=5 {
        let merging = Instant::now();
        let view = merge(SourceInfo::default(), inputs.clone(), Timestamp::from_seconds(1_795_341_600));
        taken.push(merging.elapsed());
        assert_eq!(view.nodes.len(), AGENTS as usize);
        assert!(view.totals.rows >= u64::from(AGENTS * ROWS / 2), "{} rows", view.totals.rows);
        inputs[0] = input(&snapshot(0, turn), &mut pool);
        pool.prune();
    }
    taken.sort();
    let (median, most) = (taken[taken.len() / 2], resident_mib("VmHWM").saturating_sub(before));
    println!(
        "{AGENTS} agents with {ROWS} rows each: merged in {median:?} (slowest {:?}), {most} MiB at most; making the \
         snapshots and taking them in took {parsed:?}",
        taken[taken.len() - 1]
    );
    assert!(cfg!(debug_assertions) || median <= MOST_TIME, "merging takes {median:?}");
    assert!(cfg!(debug_assertions) || most <= MOST_MIB, "{most} MiB");
}

fn input(snapshot: &Snapshot, pool: &mut Pool) -> NodeInput {
    let mut status = NodeStatus::waiting("", "");
    (status.state, status.answered) = (NodeState::Ok, Some(snapshot.taken));
    status.describe(snapshot);
    NodeInput { status, table: Some(Arc::new(NodeTable::new(snapshot, pool).0)) }
}

/// Half of the rows are of clients on this node, half of servers whose clients are elsewhere.
fn snapshot(node: u32, turn: u32) -> Snapshot {
    let mut endpoints: Vec<Endpoint> = (0..PODS).map(|number| pod(node, number)).collect();
    let mut rows = Vec::new();
    for number in 0..ROWS {
        let (near, far) = (number % PODS, PODS + number / 2);
        if number % 2 == 0 {
            // Everybody knows the pods of a few neighbours.
            endpoints.push(pod((node + 1 + number % 40) % AGENTS, number / 2 % PODS));
        }
        let client = number % 2 == 0;
        let (src, dst) = if client { (near, far) } else { (far, near) };
        let (port, connections) = (u16::try_from(1024 + number).expect("small"), u64::from(1 + number % 7 + turn));
        rows.push(Row {
            src,
            dst,
            backend: dst,
            port,
            backend_port: port,
            protocol: Protocol::Tcp,
            side: if client { Side::Client } else { Side::Server },
            connections,
            states: BTreeMap::from([("ESTABLISHED".into(), connections)]),
            idle: IdleHistogram::default(),
            idle_connections: 0,
            client_unclosed: 0,
            server_unclosed: 0,
            stalled: 0,
            unanswered: 0,
            ended: 0,
        });
    }
    Snapshot {
        schema: 1,
        id: format!("{node}-{turn}").into(),
        node: format!("node-{node:03}").into(),
        boot_id: "boot".into(),
        taken: Timestamp::from_seconds(1_795_341_600),
        interval_millis: 30_000,
        endpoints,
        rows,
        ..Snapshot::default()
    }
}

fn pod(node: u32, number: u32) -> Endpoint {
    let app = format!("app-{}", number % 40);
    let owner = Owner {
        kind: Kind::Pod,
        ns: format!("team-{}", number % 8).into(),
        workload: app.as_str().into(),
        name: format!("{app}-6d4cf56db6-{node:03}{number:02}").into(),
        app: app.into(),
        node: format!("node-{node:03}").into(),
    };
    let ip = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + node * 256 + number));
    Endpoint { ip: Some(ip), owner, previous: false, dead: None }
}

/// A line of `/proc/self/status` in MiB; zero where there is none.
fn resident_mib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
