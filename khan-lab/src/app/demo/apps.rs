//! The apps of the demo's cluster, and which of them call which: well-behaved ones, and one for each kind of problem.
//!
//! ```text
//! leak          checkout -> postgres     one connection more every second
//! limit         cart -> redis            five of the six that redis can take
//! snat          crawler -> payments      nine of the twelve ports that a node has
//! unanswered    mailer -> partner        drops whatever comes
//! stalled       uploader -> partner      has answered, and then no more
//! churn         sync -> web              a connection for each request
//! imbalance     catalog -> search        connected before two of its three pods were there
//! dead-backend  cart -> sessions (TCP)   the only pod is deleted, and the nodes' rules still lead there
//!               web -> statsd (UDP)
//! new-client    report -> web            comes after six minutes, to those who watch
//! ```

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use khan_api::Protocol;
use khan_lab::cluster::{Plan, node_addresses};
use khan_lab::program::Running;
use khan_lab::{Cluster, Host, Khan, Lab, Program, Result};

/// The edge that grows, as source and destination app.
pub(super) const LEAK: (&str, &str) = ("checkout", "postgres");

/// What has leaked when Khan comes, so that it is more than anything else in the tables.
pub(super) const LEAKED: u64 = 70;
/// What each postgres can take: the leak fills both in two minutes.
const MAX_CONNECTIONS: u32 = 100;
/// What redis can take: the cart's five are most of it.
const MAX_REDIS: u32 = 6;
/// Ports that a node has for each destination outside. So few that the crawler needs most of them, and is no larger than the leak.
pub(super) const SNAT_PORTS: &str = "12";

/// What is wrong from the beginning: the kind, and one of those concerned.
pub(super) const PROBLEMS: [(&str, &str); 8] = [
    ("dead-backend", "shop/cart"),
    ("dead-backend", "shop/web"),
    ("unanswered", "shop/mailer"),
    ("stalled", "shop/uploader"),
    ("limit", "data/redis"),
    ("snat", "shop/crawler"),
    ("churn", "shop/sync"),
    ("imbalance", "data/search"),
];
/// How long `khan problems` waits by default until it calls a backend dead or expects connections at an endpoint: minutes, which
/// the demo does not have.
pub(super) const SOONER: [&str; 4] = ["--dead-after", "1s", "--balance-ready", "1s"];

/// For how many seconds the nodes remember connections that ended. In the two minutes that are usual, those of one app would cover
/// all that is kept.
const TIME_WAIT: &str = "2";
/// When the client comes that was not there before, in seconds: what was there is known after five minutes.
const NEW_AFTER: &str = "360";

const WEB_NODE_PORT: u16 = 30080;
/// Where the partner outside drops whatever comes.
const MAIL: u16 = 25;
/// Where the partner answers, and then no more.
const UPLOAD: u16 = 9000;
/// Of the servers whose pods are deleted.
const SESSIONS: u16 = 11211;
const STATSD: u16 = 8125;
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn plan() -> Plan {
    Plan::new(2)
        .deployment("shop", "web", "x2k4p", 1)
        .deployment("shop", "web", "8vq2m", 2)
        .deployment("shop", "cart", "lm5tz", 1)
        .deployment("shop", "checkout", "9wd6c", 1)
        .deployment("shop", "checkout", "t7hn4", 2)
        .deployment("shop", "crawler", "v6zqp", 1)
        .deployment("shop", "mailer", "c8d2r", 1)
        .deployment("shop", "uploader", "k5w7b", 1)
        .deployment("shop", "sync", "h2g9x", 1)
        .deployment("shop", "catalog", "w4j6d", 1)
        .deployment("shop", "report", "n3b8f", 2)
        .stateful("data", "postgres", 0, 1)
        .max_connections(MAX_CONNECTIONS)
        .stateful("data", "postgres", 1, 2)
        .max_connections(MAX_CONNECTIONS)
        .stateful("data", "redis", 0, 2)
        .max_connections(MAX_REDIS)
        .stateful("data", "sessions", 0, 2)
        .stateful("data", "search", 0, 1)
        .stateful("data", "search", 1, 2)
        .starting()
        .stateful("data", "search", 2, 2)
        .starting()
        .deployment("monitoring", "statsd", "p9s4t", 2)
        .deployment("kube-system", "coredns", "k8f5b", 2)
        .service("shop", "web", 80, 8080)
        .node_port(WEB_NODE_PORT)
        .service("data", "postgres", 5432, 5432)
        .service("data", "redis", 6379, 6379)
        .service("data", "sessions", SESSIONS, SESSIONS)
        .service("data", "search", 9200, 9200)
        .service("monitoring", "statsd", STATSD, STATSD)
        .protocol(Protocol::Udp)
        .service("kube-system", "coredns", 53, 53)
        .protocol(Protocol::Udp)
        .with_khan(2)
}

/// Starts every server and client; they end when the answer is dropped.
pub(super) fn start(lab: &Lab, cluster: &mut Cluster, own: &Path) -> Result<Vec<Running>> {
    for node in 1..=cluster.plan().nodes {
        cluster.node(node).sysctl("net.netfilter.nf_conntrack_tcp_timeout_time_wait", TIME_WAIT)?;
    }
    let mut running = start_search(cluster, own)?;
    let (browser, _) = cluster.outside(lab, "browser")?;
    let (payments, payments_address) = cluster.outside(lab, "payments")?;
    let (partner, partner_address) = cluster.outside(lab, "partner")?;
    let cluster = &*cluster;
    let mut apps = Apps { own, cluster, running: Vec::new() };

    apps.serve("shop", "web", 8080)?;
    apps.serve("data", "sessions", SESSIONS)?;
    apps.serve("monitoring", "statsd", STATSD)?;
    apps.serve("data", "postgres", 5432)?;
    apps.serve("data", "redis", 6379)?;
    apps.serve("kube-system", "coredns", 53)?;
    apps.run(&payments, ["serve", "--listen", &payments_address.v4_port(443).to_string()])?;

    let [web, postgres, redis, dns] =
        [("shop", "web"), ("data", "postgres"), ("data", "redis"), ("kube-system", "coredns")]
            .map(|(ns, app)| cluster.plan().service_addresses(ns, app));
    let (web, postgres, redis, dns) = (web?, postgres?, redis?, dns?);
    for app in ["web", "cart", "checkout"] {
        for pod in cluster.plan().pods_of("shop", app) {
            apps.client(cluster.pod(&pod.name)?, dns.v4_port(53), 1, &["--udp"])?;
        }
    }
    for pod in cluster.plan().pods_of("shop", "web") {
        apps.client(cluster.pod(&pod.name)?, postgres.v4_port(5432), 3, &[])?;
        apps.client(cluster.pod(&pod.name)?, payments_address.v4_port(443), 1, &[])?;
    }
    for pod in cluster.plan().pods_of("shop", "cart") {
        apps.client(cluster.pod(&pod.name)?, web.v6_port(80), 4, &[])?;
        apps.client(cluster.pod(&pod.name)?, redis.v4_port(6379), 5, &[])?;
    }
    for pod in cluster.plan().pods_of("shop", "crawler") {
        apps.client(cluster.pod(&pod.name)?, payments_address.v4_port(443), 9, &[])?;
    }
    silence(&partner, MAIL)?;
    for pod in cluster.plan().pods_of("shop", "mailer") {
        apps.client(cluster.pod(&pod.name)?, partner_address.v4_port(MAIL), 3, &[])?;
    }
    apps.run(&partner, ["serve", "--listen", &partner_address.v4_port(UPLOAD).to_string()])?;
    for pod in cluster.plan().pods_of("shop", "uploader") {
        apps.connected(cluster.pod(&pod.name)?, partner_address.v4_port(UPLOAD), 2, &[])?;
        silence(&partner, UPLOAD)?;
    }
    for pod in cluster.plan().pods_of("shop", "sync") {
        // About thirty a second.
        apps.client(cluster.pod(&pod.name)?, web.v4_port(80), 6, &["--short", "--every", "0.2"])?;
    }
    let sessions = cluster.plan().service_addresses("data", "sessions")?;
    let statsd = cluster.plan().service_addresses("monitoring", "statsd")?;
    for pod in cluster.plan().pods_of("shop", "cart") {
        apps.connected(cluster.pod(&pod.name)?, sessions.v4_port(SESSIONS), 3, &[])?;
    }
    for pod in cluster.plan().pods_of("shop", "web") {
        apps.connected(cluster.pod(&pod.name)?, statsd.v4_port(STATSD), 1, &["--udp"])?;
    }
    apps.client(&browser, node_addresses(1).v4_port(WEB_NODE_PORT), 2, &[])?;
    apps.client(&browser, node_addresses(2).v6_port(WEB_NODE_PORT), 1, &["--short", "--every", "5"])?;

    // Two pods of one app: the first keeps two connections, the second opens one every second and forgets it.
    let checkout: Vec<_> = cluster.plan().pods_of("shop", "checkout").collect();
    apps.client(cluster.pod(&checkout[0].name)?, postgres.v4_port(5432), 2, &[])?;
    let (target, begin) = (postgres.v4_port(5432).to_string(), LEAKED.to_string());
    let leak = ["leak", "--begin", &begin, "--every", "1", "--target", &target];
    apps.run(cluster.pod(&checkout[1].name)?, leak)?;
    running.append(&mut apps.running);
    Ok(running)
}

/// The search and its client, which was there before two of the three pods, and has connected twice since.
fn start_search(cluster: &mut Cluster, own: &Path) -> Result<Vec<Running>> {
    let search = cluster.plan().service_addresses("data", "search")?.v4_port(9200);
    let catalog = cluster.plan().pods_of("shop", "catalog").next().expect("planned").name.clone();
    let mut apps = Apps { own, cluster, running: Vec::new() };
    apps.serve("data", "search", 9200)?;
    apps.connected(cluster.pod(&catalog)?, search, 20, &[])?;
    let mut running = apps.running;
    cluster.serve("data", "search")?;
    let mut apps = Apps { own, cluster, running: Vec::new() };
    apps.connected(cluster.pod(&catalog)?, search, 2, &[])?;
    running.append(&mut apps.running);
    Ok(running)
}

/// Deletes the pods behind two services, of which the nodes hear nothing.
pub(super) fn delete_backends(lab: &Lab, cluster: &mut Cluster) -> Result {
    for (ns, app, port) in [("data", "sessions", SESSIONS), ("monitoring", "statsd", STATSD)] {
        for pod in cluster.plan().pods_of(ns, app) {
            silence(cluster.pod(&pod.name)?, port)?;
        }
        cluster.delete(ns, app);
    }
    Khan::write_manifest(lab, cluster).map(drop)
}

/// The client that comes later.
pub(super) fn start_later(cluster: &Cluster, own: &Path) -> Result<Vec<Running>> {
    let mut apps = Apps { own, cluster, running: Vec::new() };
    let web = cluster.plan().service_addresses("shop", "web")?.v4_port(80);
    for pod in cluster.plan().pods_of("shop", "report") {
        apps.client(cluster.pod(&pod.name)?, web, 40, &["--after", NEW_AFTER])?;
    }
    Ok(apps.running)
}

/// Drops what comes to a port, without a word.
fn silence(host: &Host, port: u16) -> Result {
    let rule = format!("meta l4proto {{ tcp, udp }} th dport {port} drop");
    host.nft(&format!("table inet silent{port} {{ chain input {{ type filter hook input priority 0; {rule}; }}\n}}"))
}

struct Apps<'a> {
    own: &'a Path,
    cluster: &'a Cluster,
    running: Vec<Running>,
}

impl Apps<'_> {
    fn serve(&mut self, ns: &str, app: &str, port: u16) -> Result {
        for pod in self.cluster.plan().pods_of(ns, app) {
            // A dual-stack socket serves IPv4 as well.
            self.run(self.cluster.pod(&pod.name)?, ["serve", "--listen", &format!("[::]:{port}")])?;
        }
        Ok(())
    }

    fn client(&mut self, host: &Host, target: SocketAddr, connections: usize, more: &[&str]) -> Result {
        let (target, connections) = (target.to_string(), connections.to_string());
        let mut arguments = vec!["client", "--target", &target, "--connections", &connections];
        arguments.extend(more);
        self.run(host, arguments)
    }

    /// A client whose connections have all had an answer.
    fn connected(&mut self, host: &Host, target: SocketAddr, connections: usize, more: &[&str]) -> Result {
        self.client(host, target, connections, more)?;
        let client = self.running.last().expect("just started");
        client.wait_for_line("its connections", PATIENCE, |line| line.starts_with("Connected").then_some(()))
    }

    fn run<'s>(&mut self, host: &Host, arguments: impl IntoIterator<Item = &'s str>) -> Result {
        self.running.push(Program::new(self.own).args(arguments).inside(host).start()?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::IpAddr;
    use std::time::Duration;

    use khan_lab::{binaries, until};

    use super::*;

    /// Open TCP connections by original source and destination, over both nodes.
    fn open(cluster: &Cluster) -> BTreeMap<(IpAddr, IpAddr), usize> {
        let mut open = BTreeMap::new();
        for node in 1..=cluster.plan().nodes {
            let table = cluster.node(node).witness().unwrap();
            for entry in table.iter().filter(|entry| entry.state.as_deref() == Some("ESTABLISHED")) {
                *open.entry((entry.orig.src, entry.orig.dst)).or_default() += 1;
            }
        }
        open
    }

    #[test]
    fn one_pod_leaks_and_the_others_keep_what_they_have() -> Result {
        let lab = Lab::new()?;
        let mut cluster = Cluster::start(&lab, plan())?;
        let _apps = start(&lab, &mut cluster, &binaries::path("khan-lab")?)?;
        let address = |name: &str| cluster.plan().pod_addresses(name).unwrap();
        let service = |ns, app| cluster.plan().service_addresses(ns, app).unwrap();
        let leaker = cluster.plan().pods_of("shop", "checkout").nth(1).expect("planned").name.clone();
        let cart = cluster.plan().pods_of("shop", "cart").next().expect("planned").name.clone();
        let leak: (IpAddr, IpAddr) = (address(&leaker).v4.into(), service("data", "postgres").v4.into());
        let steady = [
            ((address(&cart).v6.into(), service("shop", "web").v6.into()), 4),
            ((address(&cart).v4.into(), service("data", "redis").v4.into()), 5),
        ];
        let is_steady = |open: &BTreeMap<_, _>| steady.iter().all(|(edge, count)| open.get(edge) == Some(count));
        let before = until("everybody to be connected", Duration::from_secs(20), || {
            Some(open(&cluster)).filter(|open| is_steady(open) && open.contains_key(&leak))
        })?;
        let after = until("the leak to grow by five", Duration::from_secs(20), || {
            Some(open(&cluster)).filter(|open| open[&leak] >= before[&leak] + 5)
        })?;
        assert!(is_steady(&after), "{after:?}");
        Ok(())
    }
}
