//! The clock of a node is an hour off: of its agent, and of its kubelet, which says when pods have started.
//!
//! Namespaces cannot set the wall clock back, so Debian's libfaketime does, inside the agent's process and while it runs.

use std::path::PathBuf;

use khan_api::Timestamp;
use khan_api::snapshot::{Side, Snapshot};
use khan_lab::{Khan, LabError, Result, traffic, until};
use serde_json::Value;

use crate::scene::{ARGUMENTS, PATIENCE, Scene, all_is_right, edges, snapshot};

const HOUR: i64 = 3600;
/// The timeout that the nodes' entries of established connections start with.
const ESTABLISHED: u32 = 86_400;

#[test]
fn a_clock_that_is_ahead_blames_nobody_wrong() -> Result {
    off_by(HOUR)
}

#[test]
fn a_clock_that_is_behind_blames_nobody_wrong() -> Result {
    off_by(-HOUR)
}

fn off_by(seconds: i64) -> Result {
    let mut scene = Scene::start()?;
    scene.kill_agent(1)?;
    let clock = scene.lab.file("clock", "+0")?;
    let agent = Khan::agent(&scene.shop.cluster, 1, &ARGUMENTS)?
        .env("LD_PRELOAD", library()?)
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    scene.khan.agents[0] = agent.start()?;
    all_is_right(&scene.khan, &scene.shop, "the agent was started with a clock of its own")?;

    scene.lab.file("clock", format!("{seconds:+}"))?;
    until("the clock to be off", PATIENCE, || {
        let ahead = snapshot(&scene.khan.agents[0]).ok()?.taken.seconds() - Timestamp::now().seconds();
        ((ahead - seconds).abs() < 60).then_some(())
    })?;
    all_is_right(&scene.khan, &scene.shop, "a clock was off by an hour")?;

    // The pods of an app give way to those of another, at the same addresses. Their connections stay in the tables.
    let old: Vec<_> =
        scene.khan.agents.iter().map(|agent| Ok(client_of(&snapshot(agent)?, "cart"))).collect::<Result<_>>()?;
    until("connections without a packet for four seconds", PATIENCE, || {
        let carts = [0, 1].map(|turn| scene.shop.cluster.plan().pods_of("shop", "cart").nth(turn).expect("planned"));
        let carts = carts.map(|pod| scene.shop.cluster.plan().pod_addresses(&pod.name).expect("planned").both());
        let table = [1, 2].map(|node| scene.shop.cluster.node(node).witness().unwrap_or_default()).concat();
        let mut theirs = table.iter().filter(|entry| carts.iter().flatten().any(|ip| *ip == entry.orig.src));
        theirs.all(|entry| entry.timeout.is_some_and(|left| left <= ESTABLISHED - 4)).then_some(())
    })?;
    let mut manifest = scene.shop.cluster.manifest();
    for pod in manifest["items"].as_array_mut().expect("items").iter_mut().filter(|item| is_pod_of(item, "cart")) {
        let off = if pod["spec"]["nodeName"] == "node-1" { seconds } else { 0 };
        successor(pod, off);
    }
    scene.lab.file("cluster.json", format!("{manifest:#}\n"))?;
    all_is_right(&scene.khan, &scene.shop, "pods were replaced while a clock was off")?;

    // What the new ones open is their own, and stays so.
    let web = scene.shop.service("shop", "web")?;
    let mut held = Vec::new();
    for turn in 0..2 {
        held.push(traffic::hold_tcp(scene.shop.pod(("shop", "cart", turn))?, web.v4_port(80), 6)?);
        *scene.shop.edges.entry(("report".into(), "web".into())).or_default() += 6;
    }
    all_is_right(&scene.khan, &scene.shop, "new pods have connections")?;
    for _ in 0..6 {
        let mut both = Vec::new();
        for (agent, old) in scene.khan.agents.iter().zip(&old) {
            let last = snapshot(agent)?.id;
            let next = || snapshot(agent).ok().filter(|next| next.id != last);
            let snapshot = until("the next scan", PATIENCE, next)?;
            assert_eq!(client_of(&snapshot, "cart"), *old, "the connections that the old pods have left");
            both.push(edges(&snapshot, Side::Client));
        }
        assert_eq!(crate::scene::sum(both), scene.shop.edges);
    }
    Ok(())
}

/// Connections of an app as the client, at this node's own table: both sides, and ghosts.
fn client_of(snapshot: &Snapshot, app: &str) -> u64 {
    let sides = [Side::Client, Side::Server].map(|side| edges(snapshot, side));
    sides.into_iter().flatten().filter(|((src, _), _)| src == app).map(|(_, count)| count).sum()
}

fn is_pod_of(item: &Value, app: &str) -> bool {
    item["kind"] == "Pod" && item["metadata"]["labels"]["app"] == app
}

/// Another pod at the same address, made now by the API server's clock and started now by its node's.
fn successor(pod: &mut Value, off: i64) {
    let now = Timestamp::now();
    let name = pod["metadata"]["name"].as_str().expect("a name").replace("cart", "report");
    pod["metadata"]["uid"] = name.clone().into();
    pod["metadata"]["name"] = name.into();
    pod["metadata"]["labels"]["app"] = "report".into();
    pod["metadata"]["creationTimestamp"] = now.to_string().into();
    pod["status"]["startTime"] = Timestamp::from_seconds(now.seconds() + off).to_string().into();
}

/// Debian has it in a folder of its architecture.
fn library() -> Result<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").map_err(LabError::io("cannot read /usr/lib"))?;
    let mut found = folders.flatten().map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    found
        .find(|library| library.is_file())
        .ok_or_else(|| LabError::Missing("libfaketime.so.1 (Debian and Ubuntu: apt-get install faketime)".into()))
}
