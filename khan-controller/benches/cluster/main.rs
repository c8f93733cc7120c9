//! A large cluster over TLS: time to ready, memory, a new list, events, 5,000 agents, a restart; and kube's own store for
//! comparison. `README.md` beside this tells what to expect. Sizes come from `KHAN_BENCH_PODS`, `..._SERVICES`, `..._NODES`,
//! `..._AGENTS`; without arguments cargo gives `--bench`, under `cargo test` there is none and nothing runs.

#![allow(missing_docs, reason = "a program, not an interface")]

mod agents;
mod generate;
mod process;
mod reflector;
mod server;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use agents::Agent;
use generate::Sizes;
use process::Process;
use server::Cluster;

fn size(name: &str, usual: usize) -> usize {
    std::env::var(format!("KHAN_BENCH_{name}")).ok().map_or(usual, |text| text.parse().expect("a number"))
}

fn main() {
    khan_controller::app::install_tls_provider();
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Some(position) = arguments.iter().position(|argument| argument == "--reflector") {
        runtime.block_on(reflector::run(Path::new(&arguments[position + 1])));
    } else if arguments.iter().any(|argument| argument == "--bench") {
        runtime.block_on(run());
    }
}

async fn run() {
    let sizes = Sizes { pods: size("PODS", 150_000), services: size("SERVICES", 20_000), nodes: size("NODES", 5_000) };
    let (cluster, kubeconfig) = Cluster::start(sizes).await;
    println!(
        "{sizes:?}, a pod of {} bytes on average",
        (0..1000).map(|n| generate::pod(n, 0, 1).len()).sum::<usize>() / 1000
    );
    let floor = parse_floor();
    println!("skipping over that JSON without reading it costs {:.1} us a pod", floor.as_secs_f64() * 1e6);

    for streaming in [false, true] {
        cluster.streaming.store(streaming, Ordering::Relaxed);
        let how = if streaming { "streamed" } else { "paged" };
        let begun = Instant::now();
        let controller = Process::controller(kubeconfig.path(), "127.0.0.1:0");
        ready(controller.address).await;
        let (cpu, pods) = (controller.cpu().as_secs_f64(), sizes.pods as f64);
        println!(
            "{how} list: ready after {:.1} s, CPU {cpu:.1} s ({:.2} of the skipping alone), peak {:.0} MiB (at most 200)",
            begun.elapsed().as_secs_f64(),
            cpu / (floor.as_secs_f64() * pods),
            controller.peak(),
        );
        tokio::time::sleep(Duration::from_secs(5)).await;
        println!("{how} list: settled at {:.0} MiB (at most 120)", controller.rss());
        controller.forget_peak();
        relist(&cluster, &controller).await;
        println!(
            "{how} list: a new list peaks at {:.0} MiB, settles at {:.0} MiB",
            controller.peak(),
            controller.rss()
        );
        if streaming {
            events(&cluster, controller.address).await;
            serve(&cluster, kubeconfig.path(), controller).await;
        }
    }
    compare(sizes).await;
}

/// CPU to find the end of a pod in JSON, which nobody who reads it can save.
fn parse_floor() -> Duration {
    let pods: Vec<String> = (0..2000).map(|n| generate::pod(n, 0, 1)).collect();
    let begun = Instant::now();
    for pod in &pods {
        serde_json::from_str::<serde::de::IgnoredAny>(pod).unwrap();
    }
    begun.elapsed() / 2000
}

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("http://{address}{path}")).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn ready(address: SocketAddr) {
    while get(address, "/readyz").await.0 != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn relist(cluster: &Cluster, controller: &Process) {
    // Until as much has been sent as a whole list is, and the process rests.
    let average = (0..1000).map(|n| generate::pod(n, 0, 1).len() as u64).sum::<u64>() / 1000;
    let until = cluster.sent.load(Ordering::Relaxed) + average * cluster.sizes.pods as u64 * 95 / 100;
    cluster.expire();
    while cluster.sent.load(Ordering::Relaxed) < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut before = Duration::MAX;
    while controller.cpu() != before {
        before = controller.cpu();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// From the moment a pod is replaced until an answer names its successor.
async fn events(cluster: &Cluster, address: SocketAddr) {
    let mut times = Vec::new();
    for n in (0..cluster.sizes.pods).step_by(cluster.sizes.pods / 50) {
        let begun = Instant::now();
        let name = generate::pod_name(n, cluster.replace(n));
        while !get(address, &format!("/v1/identities/{}", generate::pod_ip(n)))
            .await
            .1
            .contains(&format!("\"name\":\"{name}\",\"node\""))
        {
            assert!(begun.elapsed() < Duration::from_secs(10), "{name} never came");
        }
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    println!(
        "an event reaches an answer after {:?} (median), {:?} (worst of {}); at most 100 ms",
        times[times.len() / 2],
        times[times.len() - 1],
        times.len()
    );
}

async fn serve(cluster: &Arc<Cluster>, kubeconfig: &Path, controller: Process) {
    let count = size("AGENTS", 5_000);
    let mut agents: Vec<Agent> = (0..count).map(|number| Agent::new(number, cluster.sizes)).collect();
    // Everybody's first question, spread over a period as they start.
    agents::steady(&mut agents, controller.address, 1).await;
    let churn = tokio::spawn({
        let cluster = Arc::clone(cluster);
        async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(10));
            for n in 0.. {
                ticks.tick().await;
                cluster.replace(n * 7919 % cluster.sizes.pods);
            }
        }
    });
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (begun, cpu) = (Instant::now(), controller.cpu());
    let mut steady = agents::steady(&mut agents, controller.address, 2).await;
    let (median, worst) = (steady.percentile(50), steady.percentile(99));
    let share = controller.cpu().saturating_sub(cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
    println!(
        "{count} agents, 100 pods replaced a second: {:.1} % of a core (at most 25), median {:?}, 99th percentile {:?} (at most 100 ms), \
         {:.0} identities an answer, {} failures, {:.0} MiB",
        share * 100.0,
        median,
        worst,
        steady.identities as f64 / steady.latencies.len() as f64,
        steady.failures,
        controller.rss(),
    );
    churn.abort();
    let listen = controller.address.to_string();
    drop(controller);
    let controller = Process::controller(kubeconfig, &listen);
    ready(controller.address).await;
    controller.forget_peak();
    agents.iter_mut().for_each(Agent::forget);
    let (begun, cpu) = (Instant::now(), controller.cpu());
    let mut storm = agents::storm(&mut agents, controller.address).await;
    let median = storm.percentile(50);
    println!(
        "a restart, and all {count} agents ask for everything at once: over after {:.1} s (at most 30), CPU {:.1} s, {:.0} MB of answers, \
         peak {:.0} MiB (at most 400), {} failures, median {:?}",
        begun.elapsed().as_secs_f64(),
        controller.cpu().saturating_sub(cpu).as_secs_f64(),
        storm.bytes as f64 / 1e6,
        controller.peak(),
        storm.failures,
        median,
    );
}

/// The same pods in kube's reflector store, as whole objects. Fewer of them: it would need gigabytes.
async fn compare(sizes: Sizes) {
    let sizes = Sizes { pods: (sizes.pods / 10).max(1), services: 1, nodes: (sizes.nodes / 10).max(1) };
    let (_cluster, kubeconfig) = Cluster::start(sizes).await;
    let controller = Process::controller(kubeconfig.path(), "127.0.0.1:0");
    ready(controller.address).await;
    let ours = controller.peak();
    let theirs = reflector::measure(kubeconfig.path()).await;
    println!(
        "{} pods: peak {ours:.0} MiB; kube's reflector::Store of whole pods {theirs:.0} MiB: {:.1} times as much",
        sizes.pods,
        theirs / ours,
    );
}
