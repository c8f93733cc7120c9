//! Two replicas of the controller behind one name, replaced one after the other as a rolling update does it: agents never say
//! a wrong name meanwhile, and never none.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use khan_api::routes::{self, CONTROLLER_PORT};
use khan_api::snapshot::Snapshot;
use khan_lab::program::Running;
use khan_lab::{Host, Lab, Program, Result, Seed, until};
use serde_json::json;

const PATIENCE: Duration = Duration::from_mins(1);
const PODS: u8 = 40;
const AGENTS: usize = 3;
const REPLICAS: usize = 2;
/// Each replica takes the place of another so often.
const ROLLS: usize = 4;
/// The name that agents know, as the address of a Service.
const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 9);

fn pod_ip(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 244, 1, number)
}

/// The cluster in a file, with `heir` on the address of the first pod instead of it.
fn write_cluster(lab: &Lab, heir: bool) -> Result<std::path::PathBuf> {
    let pods = (0..PODS).map(|number| {
        let name = if heir && number == 0 { "heir".into() } else { format!("web-{number}") };
        let since = "2026-01-01T00:00:00Z";
        json!({
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "shop", "creationTimestamp": since, "labels": {"app": "web"}},
            "spec": {"nodeName": "n1"},
            "status": {"phase": "Running", "startTime": since, "podIP": pod_ip(number)},
        })
    });
    let list = json!({"kind": "List", "items": pods.collect::<Vec<_>>()});
    lab.file("cluster.json", list.to_string())
}

/// One network namespace for everything; loopback has an address for each replica.
struct Replicas {
    lab: Lab,
    host: Host,
    running: Vec<(Ipv4Addr, Running)>,
    started: u8,
}

impl Replicas {
    fn start() -> Result<Self> {
        let lab = Lab::new()?;
        let host = lab.host("replicas")?;
        host.run(["ip", "address", "add", &format!("{SERVICE}/32"), "dev", "lo"])?;
        write_cluster(&lab, false)?;
        let mut this = Self { lab, host, running: Vec::new(), started: 0 };
        for _ in 0..REPLICAS {
            this.add()?;
        }
        this.balance()?;
        Ok(this)
    }

    /// Starts one more and waits until it is ready.
    fn add(&mut self) -> Result {
        self.started += 1;
        let address = Ipv4Addr::new(10, 96, 1, self.started);
        self.host.run(["ip", "address", "add", &format!("{address}/32"), "dev", "lo"])?;
        let replica = Program::workspace("khan-controller")?
            .args(["--listen", &format!("{address}:{CONTROLLER_PORT}"), "--from-file"])
            .args([self.lab.folder().join("cluster.json")])
            .inside(&self.host)
            .start()?;
        replica.get_when_ready(routes::READYZ)?;
        self.running.push((address, replica));
        Ok(())
    }

    /// New connections to the service's address go to the running replicas in turns, as kube-proxy would have it.
    fn balance(&self) -> Result {
        let count = self.running.len();
        let turns: Vec<String> = self.running.iter().enumerate().map(|(n, (ip, _))| format!("{n} : {ip}")).collect();
        self.host.nft(&format!(
            "table ip service {{}}\ndelete table ip service\ntable ip service {{ chain output {{ \
             type nat hook output priority -100; \
             ip daddr {SERVICE} tcp dport {CONTROLLER_PORT} dnat to numgen inc mod {count} map {{ {} }}; \
             }}; }}",
            turns.join(", ")
        ))
    }

    /// Replaces the oldest replica: the new one is ready, then the old one gets no more connections, then it is told to end.
    fn roll(&mut self) -> Result {
        self.add()?;
        let (_, old) = self.running.remove(0);
        self.balance()?;
        let ended = old.terminate()?;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        Ok(())
    }

    fn agent(&self, number: usize) -> Result<Running> {
        Program::workspace("khan-agent")?
            .args(["--node-name", &format!("n{number}"), "--listen", "127.0.0.1:0", "--interval", "1s"])
            .args(["--controller-url", &format!("http://{SERVICE}:{CONTROLLER_PORT}")])
            .inside(&self.host)
            .start()
    }
}

/// What an agent calls the pods' addresses.
fn names(snapshot: &Snapshot) -> BTreeMap<IpAddr, String> {
    let endpoints = snapshot.endpoints.iter().filter_map(|endpoint| Some((endpoint.ip?, endpoint)));
    let pods = endpoints.filter(|(ip, _)| (0..PODS).any(|number| *ip == IpAddr::from(pod_ip(number))));
    pods.map(|(ip, endpoint)| (ip, endpoint.owner.name.to_string())).collect()
}

/// The snapshot after the one with this id.
fn next(agent: &Running, id: Option<&str>) -> Result<Snapshot> {
    until("the next scan", PATIENCE, || {
        agent.get(routes::SNAPSHOT).ok()?.json().ok().filter(|snapshot: &Snapshot| Some(snapshot.id.as_str()) != id)
    })
}

/// Looks at every snapshot until `over`; gives their number. Only the first pod's address may have one of two names.
fn watch(agent: &Running, right: &BTreeMap<IpAddr, String>, over: &AtomicBool) -> Result<usize> {
    let (mut count, mut id) = (0, None::<String>);
    while !over.load(Ordering::Relaxed) {
        let snapshot = next(agent, id.as_deref())?;
        (count, id) = (count + 1, Some(snapshot.id.to_string()));
        let mut names = names(&snapshot);
        if names[&IpAddr::from(pod_ip(0))] == "heir" {
            names.insert(pod_ip(0).into(), "web-0".into());
        }
        assert_eq!(names, *right, "in snapshot {}; {:?}", snapshot.id, snapshot.names);
    }
    Ok(count)
}

#[test]
fn a_rolling_update_costs_no_name() -> Result {
    let mut replicas = Replicas::start()?;
    let pairs = (0..PODS).map(|number| (pod_ip(number), pod_ip((number + 1) % PODS)));
    replicas.host.seed(pairs.map(|(client, server)| Seed::tcp((client, 40_000), (server, 8080))))?;
    let agents = (1..=AGENTS).map(|number| replicas.agent(number)).collect::<Result<Vec<_>>>()?;
    let mut right: BTreeMap<IpAddr, String> =
        (0..PODS).map(|number| (pod_ip(number).into(), format!("web-{number}"))).collect();
    for agent in &agents {
        agent.get_when_ready(routes::READYZ)?;
        until("the names at the start", PATIENCE, || (names(&next(agent, None).ok()?) == right).then_some(()))?;
    }

    let over = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| -> Result<usize> {
        let watchers: Vec<_> = agents.iter().map(|agent| scope.spawn(|| watch(agent, &right, &over))).collect();
        let rolled = (0..ROLLS).try_for_each(|roll| {
            replicas.roll()?;
            if roll == ROLLS / 2 {
                // A pod is replaced in the middle of it. For a second the replicas know different things.
                write_cluster(&replicas.lab, true)?;
            }
            agents.iter().try_for_each(|agent| {
                let id = next(agent, None)?.id;
                next(agent, Some(&id)).map(drop)
            })
        });
        over.store(true, Ordering::Relaxed);
        let seen = watchers.into_iter().map(|watcher| watcher.join().expect("only right names")).sum();
        rolled.and(seen)
    })?;
    assert!(seen >= AGENTS * ROLLS, "{seen} snapshots");
    println!("{seen} snapshots while {ROLLS} replicas were replaced, all with the right names");

    right.insert(pod_ip(0).into(), "heir".into());
    for agent in &agents {
        until("the heir's name", PATIENCE, || (names(&next(agent, None).ok()?) == right).then_some(()))?;
        let snapshot = next(agent, None)?;
        assert_eq!(snapshot.names.error, "");
    }
    Ok(())
}
