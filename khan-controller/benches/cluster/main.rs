//! A large cluster over TLS: time to ready, memory, a new list, events, 5,000 agents, a restart; and kube's own store for
//! comparison. `README.md` in the folder above tells what to expect. Sizes come from `KHAN_BENCH_PODS`, `..._SERVICES`,
//! `..._NODES`, `..._AGENTS`; arguments choose phases. Cargo adds `--bench`; under `cargo test` it does not, and nothing runs.

#![allow(missing_docs, reason = "a program, not an interface")]

mod agents;
mod attackers;
mod generate;
mod process;
mod reflector;
mod server;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use agents::Agent;
use generate::Sizes;
use process::Process;
use server::Cluster;

const PHASES: [&str; 6] = ["paged", "streamed", "agents", "attacks", "restart", "reflector"];

/// How long the real agent waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

fn size(name: &str, usual: usize) -> usize {
    std::env::var(format!("KHAN_BENCH_{name}")).ok().map_or(usual, |text| text.parse().expect("a number"))
}

fn main() {
    khan_serve::tls_provider::install();
    khan_serve::descriptors::prepare().expect("file descriptors");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let [flag, kubeconfig] = &arguments[..]
        && flag == "--reflector"
    {
        runtime.block_on(reflector::run(Path::new(kubeconfig)));
    } else if arguments.iter().any(|argument| argument == "--bench") {
        let chosen: Vec<&str> = arguments.iter().map(String::as_str).filter(|name| *name != "--bench").collect();
        assert!(chosen.iter().all(|name| PHASES.contains(name)), "the phases are {PHASES:?}");
        runtime.block_on(run(if chosen.is_empty() { &PHASES } else { &chosen }));
    }
}

async fn run(phases: &[&str]) {
    let sizes = Sizes { pods: size("PODS", 150_000), services: size("SERVICES", 20_000), nodes: size("NODES", 5_000) };
    let average = (0..1000).map(|n| generate::pod(n, 0, 1).len()).sum::<usize>() / 1000;
    println!("{sizes:?}, {} EndpointSlices, a pod of {average} bytes on average", sizes.slices());
    for phase in phases {
        match *phase {
            "agents" => serve(sizes).await,
            "attacks" => attacked(sizes).await,
            "restart" => restart(sizes).await,
            "reflector" => compare(sizes).await,
            listing => lists(sizes, listing == "streamed").await,
        }
    }
}

async fn lists(sizes: Sizes, streaming: bool) {
    let floor = parse_floor();
    let how = if streaming { "streamed" } else { "paged" };
    let (cluster, kubeconfig) = Cluster::start(sizes).await;
    cluster.streaming.store(streaming, Ordering::Relaxed);
    let begun = Instant::now();
    let controller = Process::controller(kubeconfig.path());
    ready(controller.address).await;
    let (cpu, pods) = (controller.cpu().as_secs_f64(), sizes.pods as f64);
    println!(
        "{how} list: ready after {:.1} s, CPU {cpu:.1} s ({:.2} of merely skipping over the JSON, {:.1} us a pod), \
         peak {:.0} MiB (at most 200); this program took {:.1} s of CPU",
        begun.elapsed().as_secs_f64(),
        cpu / (floor.as_secs_f64() * pods),
        floor.as_secs_f64() * 1e6,
        controller.peak(),
        process::own_cpu().as_secs_f64(),
    );
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!("{how} list: settled at {:.0} MiB (at most 120)", controller.rss());
    controller.forget_peak();
    relist(&cluster, &controller).await;
    println!("{how} list: a new list peaks at {:.0} MiB, settles at {:.0} MiB", controller.peak(), controller.rss());
    events(&cluster, controller.address).await;
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
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| reqwest::Client::builder().no_proxy().build().unwrap());
    let answer = CLIENT.get(format!("http://{address}{path}")).send().await.unwrap();
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

fn agents(sizes: Sizes) -> Vec<Agent> {
    (0..size("AGENTS", 5_000)).map(|number| Agent::new(number, sizes)).collect()
}

/// Agents ask once a period while pods are replaced, so that of 3,000 addresses about 50 have changed each time.
async fn serve(sizes: Sizes) {
    let (cluster, kubeconfig) = Cluster::start(sizes).await;
    let controller = Process::controller(kubeconfig.path());
    let mut agents = agents(sizes);
    ready(controller.address).await;
    // Everybody's first question, spread over a period as they start.
    agents::steady(&mut agents, controller.address, 1).await;
    let churn = tokio::spawn({
        let cluster = Arc::clone(&cluster);
        async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(10));
            for n in 0.. {
                ticks.tick().await;
                cluster.replace(n * 7919 % cluster.sizes.pods);
            }
        }
    });
    // The first answers that hold a whole period of changes are those of the next one.
    agents::steady(&mut agents, controller.address, 1).await;
    let (begun, cpu, own) = (Instant::now(), controller.cpu(), process::own_cpu());
    let measured = agents::steady(&mut agents, controller.address, u32::try_from(size("PERIODS", 3)).unwrap()).await;
    let share = |cpu: Duration| cpu.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0;
    println!(
        "{} agents, 100 pods replaced a second: {:.1} % of a core (at most 25; this program {:.1} %), median {:?}, \
         99th percentile {:?} (at most 100 ms), worst {:?}; {} answers of {:.0} identities and {:.1} kB, {} failures, {:.0} MiB",
        agents.len(),
        share(controller.cpu().saturating_sub(cpu)),
        share(process::own_cpu().saturating_sub(own)),
        measured.percentile(50),
        measured.percentile(99),
        measured.percentile(100),
        measured.answers(),
        measured.identities as f64 / measured.answers() as f64,
        measured.bytes as f64 / measured.answers() as f64 / 1e3,
        measured.failures,
        controller.rss(),
    );
    churn.abort();
}

/// Agents ask once a period while others take all they can get.
async fn attacked(sizes: Sizes) {
    let (_cluster, kubeconfig) = Cluster::start(sizes).await;
    let controller = Process::controller(kubeconfig.path());
    let mut agents = agents(sizes);
    ready(controller.address).await;
    agents::steady(&mut agents, controller.address, 1).await;
    let before = controller.peak();
    let attackers = attackers::all(controller.address);
    let measured = agents::steady(&mut agents, controller.address, 1).await;
    drop(attackers);
    println!(
        "{} agents beside 100 unfinished bodies of {} addresses, 128 unread answers of as many, 1,100 slow bodies and 128 \
         pipelining connections: median {:?}, 99th percentile {:?}, worst {:?}, {} failures; peak {:.0} MiB (at most 256; \
         {before:.0} without)",
        agents.len(),
        100_000,
        measured.percentile(50),
        measured.percentile(99),
        measured.percentile(100),
        measured.failures,
        controller.peak(),
    );
    let (_, page) = get(controller.address, "/metrics").await;
    page.lines().filter(|line| line.starts_with("khan_http_")).for_each(|line| println!("  {line}"));
}

/// All agents ask a controller that has just become ready for everything, at the same moment.
async fn restart(sizes: Sizes) {
    let (_cluster, kubeconfig) = Cluster::start(sizes).await;
    let mut agents = agents(sizes);
    let controller = Process::controller(kubeconfig.path());
    ready(controller.address).await;
    let peak = controller.peak();
    for when in ["at once", "over their period"] {
        controller.forget_peak();
        agents.iter_mut().for_each(Agent::forget);
        let (begun, cpu, own) = (Instant::now(), controller.cpu(), process::own_cpu());
        let measured = match when {
            "at once" => agents::storm(&mut agents, controller.address).await,
            _ => agents::steady(&mut agents, controller.address, 1).await,
        };
        println!(
            "a restart, and all {} agents ask for everything {when}: over after {:.1} s (at most 30), CPU {:.1} s (this program \
             {:.1} s), {:.0} MB of answers, peak {:.0} MiB (at most 400; {peak:.0} until ready), {} failures, median {:?}, \
             99th percentile {:?}, {} later than {PATIENCE:?}",
            agents.len(),
            begun.elapsed().as_secs_f64(),
            controller.cpu().saturating_sub(cpu).as_secs_f64(),
            process::own_cpu().saturating_sub(own).as_secs_f64(),
            measured.bytes as f64 / 1e6,
            controller.peak(),
            measured.failures,
            measured.percentile(50),
            measured.percentile(99),
            measured.later_than(PATIENCE),
        );
    }
}

/// The same pods in kube's reflector store, as whole objects. Fewer of them: all would need many gigabytes.
async fn compare(sizes: Sizes) {
    let few = Sizes { pods: 1, services: 1, nodes: 1 };
    let many = Sizes { pods: (sizes.pods / 5).max(1), ..few };
    let ours = async |sizes| {
        let (_cluster, kubeconfig) = Cluster::start(sizes).await;
        let controller = Process::controller(kubeconfig.path());
        ready(controller.address).await;
        (controller.peak(), controller.rss())
    };
    let theirs = async |sizes| {
        let (_cluster, kubeconfig) = Cluster::start(sizes).await;
        reflector::measure(kubeconfig.path()).await
    };
    let (ours, theirs) = ((ours(few).await, ours(many).await), (theirs(few).await, theirs(many).await));
    let each = |((_, few), (_, many)): ((f64, f64), (f64, f64))| {
        (many - few) * 1024.0 * 1024.0 / f64::from(u32::try_from(sizes.pods / 5).unwrap())
    };
    println!(
        "{} pods: peak {:.0} MiB, {:.0} bytes a pod resident; kube's reflector::Store of whole pods {:.0} MiB, {:.0} bytes a pod: \
         {:.0} times the peak, {:.0} times the bytes a pod",
        many.pods,
        ours.1.0,
        each(ours),
        theirs.1.0,
        each(theirs),
        theirs.1.0 / ours.1.0,
        each(theirs) / each(ours),
    );
}
