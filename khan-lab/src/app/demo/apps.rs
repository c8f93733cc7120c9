//! The apps of the demo's cluster, and which of them call which.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use khan_api::Protocol;
use khan_lab::cluster::{Plan, node_addresses};
use khan_lab::program::Running;
use khan_lab::{Cluster, Host, Lab, Program, Result, until};

/// The edge that grows, as source and destination app.
pub(super) const LEAK: (&str, &str) = ("checkout", "postgres");

/// What each postgres can take: the leak fills it in two minutes.
const MAX_CONNECTIONS: u32 = 60;
/// What redis can take: the cart's five are most of it.
const MAX_REDIS: u32 = 6;
/// Ports that a node has for each destination outside. So few that the crawler needs most of them, and is no larger than the leak.
pub(super) const SNAT_PORTS: &str = "12";

/// Kinds of problems that are there from the beginning.
pub(super) const PROBLEMS: [&str; 4] = ["unanswered", "stalled", "limit", "snat"];

const WEB_NODE_PORT: u16 = 30080;
/// Where the partner outside drops whatever comes.
const MAIL: u16 = 25;
/// Where the partner answers, and then no more.
const UPLOAD: u16 = 9000;
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
        .stateful("data", "postgres", 0, 1)
        .max_connections(MAX_CONNECTIONS)
        .stateful("data", "postgres", 1, 2)
        .max_connections(MAX_CONNECTIONS)
        .stateful("data", "redis", 0, 2)
        .max_connections(MAX_REDIS)
        .deployment("kube-system", "coredns", "k8f5b", 2)
        .service("shop", "web", 80, 8080)
        .node_port(WEB_NODE_PORT)
        .service("data", "postgres", 5432, 5432)
        .service("data", "redis", 6379, 6379)
        .service("kube-system", "coredns", 53, 53)
        .protocol(Protocol::Udp)
        .with_khan(2)
}

/// Starts every server and client; they end when the answer is dropped.
pub(super) fn start(lab: &Lab, cluster: &mut Cluster, own: &Path) -> Result<Vec<Running>> {
    let (browser, _) = cluster.outside(lab, "browser")?;
    let (payments, payments_address) = cluster.outside(lab, "payments")?;
    let (partner, partner_address) = cluster.outside(lab, "partner")?;
    let cluster = &*cluster;
    let mut apps = Apps { own, cluster, running: Vec::new() };

    apps.serve("shop", "web", 8080)?;
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
        apps.client(cluster.pod(&pod.name)?, partner_address.v4_port(UPLOAD), 2, &[])?;
        until("the uploads", PATIENCE, || {
            let table = cluster.node(pod.node).witness().ok()?;
            let uploads = table.iter().filter(|entry| entry.orig.dst_port == UPLOAD);
            (uploads.filter(|entry| entry.state.as_deref() == Some("ESTABLISHED")).count() == 2).then_some(())
        })?;
        silence(&partner, UPLOAD)?;
    }
    apps.client(&browser, node_addresses(1).v4_port(WEB_NODE_PORT), 2, &[])?;
    apps.client(&browser, node_addresses(2).v6_port(WEB_NODE_PORT), 1, &["--short", "--every", "5"])?;

    // Two pods of one app: the first keeps two connections, the second opens one every second and forgets it.
    let checkout: Vec<_> = cluster.plan().pods_of("shop", "checkout").collect();
    apps.client(cluster.pod(&checkout[0].name)?, postgres.v4_port(5432), 2, &[])?;
    let leak = ["leak", "--every", "1", "--target", &postgres.v4_port(5432).to_string()];
    apps.run(cluster.pod(&checkout[1].name)?, leak)?;
    Ok(apps.running)
}

/// Drops what comes to a port, without a word.
fn silence(host: &Host, port: u16) -> Result {
    let chain = "type filter hook input priority 0;";
    host.nft(&format!("table inet silent{port} {{ chain input {{ {chain} tcp dport {port} drop; }}\n}}"))
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
