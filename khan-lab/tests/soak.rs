//! Agents, a controller and `khan top` under churn: memory and file descriptors stay flat, numbers stay right.
//!
//! Half a minute by default. The real soak takes `KHAN_SOAK_MINUTES` (25 by default), best with release binaries:
//! `KHAN_BIN_DIR=target/release KHAN_SOAK_MINUTES=25 cargo test -p khan-lab --test soak -- --ignored --nocapture`.

use std::env;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use khan_api::Timestamp;
use khan_api::routes;
use khan_api::snapshot::Snapshot;
use khan_lab::program::Running;
use khan_lab::shop::Edges;
use khan_lab::{Khan, Lab, Result, Seed, Shop, Terminal, Usage, binaries, traffic, until};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(1);
/// Synthetic entries live for ten seconds and closed connections for two minutes; a busy machine takes its time.
const WARM: Duration = Duration::from_mins(5);
/// The screen remembers every row of the last quarter of an hour, and here each scan has hundreds of new ones.
const WARM_TOP: Duration = Duration::from_mins(18);
/// The most memory that any of the programs may have.
const MOST_MEMORY_KIB: u64 = 256 * 1024;
/// What memory may rise by once a program is warm, whatever its size: allocators round up.
const MEMORY_SLACK_KIB: f64 = 1024.0;
/// Connections to peers come and go.
const DESCRIPTOR_SLACK: u64 = 8;
/// Synthetic connections per scan and node, each from an address that was not seen before.
const NEW_CLIENTS: u32 = 500;

#[test]
fn half_a_minute_of_churn_leaves_no_descriptors_behind() -> Result {
    soak(Duration::from_secs(30))
}

#[test]
#[ignore = "takes as long as KHAN_SOAK_MINUTES says"]
fn memory_and_descriptors_stay_flat() -> Result {
    let minutes = env::var("KHAN_SOAK_MINUTES").map_or(25, |text| text.parse().expect("a number of minutes"));
    soak(Duration::from_mins(minutes))
}

/// One program and what it held, by seconds since the start.
struct Watched {
    name: String,
    pid: u32,
    warm: Duration,
    samples: Vec<(f64, Usage)>,
}

impl Watched {
    fn new(name: &str, pid: u32, warm: Duration) -> Self {
        Self { name: name.to_owned(), pid, warm, samples: Vec::new() }
    }

    fn measure(&mut self, at: Duration) -> Result {
        self.samples.push((at.as_secs_f64(), Usage::of(self.pid)?));
        Ok(())
    }

    /// Fails when something grew after warming up.
    fn judge(&self) {
        let (early, late) = self.samples.split_at(self.samples.len() / 2);
        let warm = self.samples.iter().filter(|(at, _)| *at > self.warm.as_secs_f64());
        let warm: Vec<_> = warm.map(|(at, usage)| (*at, usage.memory_kib as f64)).collect();
        let most =
            |samples: &[(f64, Usage)]| samples.iter().map(|(_, usage)| usage.descriptors).max().expect("samples");
        let tenths = self.samples.chunks(self.samples.len().div_ceil(10));
        let tenths: Vec<_> = tenths
            .map(|part| median(part.iter().map(|(_, usage)| usage.memory_kib as f64 / 1024.0).collect()))
            .collect();
        println!(
            "{}: MiB by tenths of the time {tenths:.1?}; descriptors at most {} and {}",
            self.name,
            most(early),
            most(late)
        );
        if let [first, _, .., last] = warm[..] {
            let rise = steady_slope(&warm) * (last.0 - first.0);
            println!("{}: {rise:+.0} KiB within the last {:.0} s", self.name, last.0 - first.0);
            let typical = median(warm.iter().map(|point| point.1).collect());
            assert!(rise < MEMORY_SLACK_KIB + typical / 20.0, "the memory of {} grows: {warm:?}", self.name);
        }
        let largest = self.samples.iter().map(|(_, usage)| usage.memory_kib).max().expect("samples");
        assert!(largest < MOST_MEMORY_KIB, "{} takes {largest} KiB", self.name);
        assert!(
            most(late) <= most(early) + DESCRIPTOR_SLACK,
            "the descriptors of {} grow: {:?}",
            self.name,
            self.samples
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The median of the slopes between any two points (Theil and Sen). What leaks grows between all of them; an allocator that
/// takes a step when more snapshots than usual are alive, and stays there, does not.
fn steady_slope(points: &[(f64, f64)]) -> f64 {
    let pairs = points.iter().enumerate().flat_map(|(n, a)| points[n + 1..].iter().map(move |b| (a, b)));
    median(pairs.map(|(a, b)| (b.1 - a.1) / (b.0 - a.0)).collect())
}

#[test]
fn a_leak_has_a_slope_and_a_step_has_none() {
    let leak: Vec<_> = (0..20).map(|n| (f64::from(n), f64::from(3 * n))).collect();
    assert!((steady_slope(&leak) - 3.0).abs() < 1e-9);
    let step: Vec<_> = (0..20).map(|n| (f64::from(n), if n < 4 { 9.0 } else { 15.0 })).collect();
    assert!(steady_slope(&step).abs() < 1e-9);
}

fn soak(length: Duration) -> Result {
    let lab = Lab::new()?;
    let mut shop = Shop::start(&lab)?;
    let (desk, _) = shop.cluster.outside(&lab, "desk")?;
    let khan = Khan::start(&lab, &shop.cluster, &["--interval", "2s", "--max-scan-cpu", "100"])?;
    shop.open()?;
    let held = lasting(&shop.edges);
    let top = binaries::path("khan")?;
    let agents = [1, 2].map(|node| format!("--agent {}", Khan::agent_url(node))).join(" ");
    let top = Terminal::open(&lab, Some(&desk), (140, 40), &format!("{} top {agents}", top.display()))?;

    let mut watched = vec![Watched::new("khan-controller", khan.controller.pid(), WARM)];
    for (node, agent) in khan.agents.iter().enumerate() {
        watched.push(Watched::new(&format!("khan-agent of node-{}", node + 1), agent.pid(), WARM));
    }
    watched.push(Watched::new("khan top", top.pid()?, WARM_TOP));

    until("the held connections to be counted", PATIENCE, || (counted(&khan).ok()? == held).then_some(()))?;
    let start = Instant::now();
    let (mut scans, mut last) = (0, String::new());
    while start.elapsed() < length {
        churn(&lab, &shop, scans)?;
        last = next_scan(&khan.agents[0], &last)?;
        assert_eq!(counted(&khan)?, held, "scan {scans}");
        for program in khan.agents.iter().chain([&khan.controller]) {
            program.get(routes::METRICS)?;
        }
        for program in &mut watched {
            program.measure(start.elapsed())?;
        }
        scans += 1;
    }
    println!("{scans} scans of two nodes in {:.0} s", start.elapsed().as_secs_f64());
    for program in &watched {
        program.judge();
    }
    top.wait_for("the screen to show what is held", |screen| screen.contains("data/postgres").then_some(()))?;
    Ok(())
}

/// All but what churns.
fn lasting(edges: &Edges) -> Edges {
    edges
        .iter()
        .filter(|((src, dst), _)| dst != "web" && !["", "batch"].contains(&src.as_str()) && !dst.is_empty())
        .map(|(edge, count)| (edge.clone(), *count))
        .collect()
}

fn counted(khan: &Khan) -> Result<Edges> {
    khan.edges().map(|edges| lasting(&edges))
}

/// Waits for another snapshot than `last`; its id.
fn next_scan(agent: &Running, last: &str) -> Result<String> {
    until("the next scan", PATIENCE, || {
        let snapshot: Snapshot = agent.get(routes::SNAPSHOT).ok()?.json().ok()?;
        (snapshot.id != last).then(|| snapshot.id.into())
    })
}

/// What happens between two scans: connections open and close, clients come that nobody has seen, now and then a pod gives
/// way to another with the same address, and everything is scraped.
fn churn(lab: &Lab, shop: &Shop, scan: u32) -> Result {
    let web = shop.service("shop", "web")?;
    traffic::hold_tcp(shop.pod(("shop", "cart", 0))?, web.v4_port(80), 20)?.close()?;
    let client = |n: u32| (Ipv4Addr::from_bits(0x0b00_0000 + (scan * NEW_CLIENTS + n) % 0x00ff_ffff), 40_000);
    let backend =
        shop.cluster.plan().pod_addresses(&shop.cluster.plan().pods_of("shop", "web").next().expect("planned").name)?;
    for node in [1, 2] {
        let seeds = (0..NEW_CLIENTS).map(|n| Seed::tcp(client(n), backend.v4_port(8080)).timeout(10));
        shop.cluster.node(node).seed(seeds)?;
    }
    if scan.is_multiple_of(4) {
        replace_pod(lab, shop, scan / 4)?;
    }
    Ok(())
}

/// The n-th pod of a batch that has one at a time, on one of eight addresses, with a few connections.
fn replace_pod(lab: &Lab, shop: &Shop, n: u32) -> Result {
    let ip = Ipv4Addr::new(10, 244, 1, 200 + u8::try_from(n % 8).expect("below 8"));
    let mut manifest = shop.cluster.manifest();
    let items = manifest["items"].as_array_mut().expect("items");
    items.push(batch_pod(n, ip));
    lab.file("cluster.json", format!("{manifest:#}\n"))?;
    let postgres = shop.service("data", "postgres")?;
    let port = |m: u32| 50_000 + u16::try_from(n * 10 % 10_000 + m).expect("below 15,000");
    shop.cluster.node(1).seed((0..10).map(|m| Seed::tcp((ip, port(m)), postgres.v4_port(5432)).timeout(10))).map(drop)
}

fn batch_pod(n: u32, ip: Ipv4Addr) -> Value {
    let name = format!("batch-{n}");
    let now = Timestamp::now().to_string();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "shop", "uid": name, "creationTimestamp": now, "labels": { "app": "batch" },
        },
        "spec": { "nodeName": "node-1", "containers": [] },
        "status": { "phase": "Running", "podIP": ip, "podIPs": [{ "ip": ip }], "startTime": now },
    })
}
