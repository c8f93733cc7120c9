//! The usual scene of end-to-end tests: a shop on two nodes, whose connections the test holds and therefore knows.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use khan_api::Protocol;

use crate::cluster::{Addresses, Plan};
use crate::traffic::{self, Connections, Datagrams, TcpServer, UdpServer};
use crate::{Cluster, Host, Lab, Result};

/// Connections by source and destination app.
pub type Edges = BTreeMap<(String, String), u64>;

/// Pods, servers, and what is held between them.
#[derive(Debug)]
pub struct Shop {
    /// The network.
    pub cluster: Cluster,
    /// The connections that the test has opened and not closed, each counted once.
    pub edges: Edges,
    _servers: (Vec<TcpServer>, Vec<UdpServer>),
    connections: Vec<Connections>,
    datagrams: Vec<Datagrams>,
}

/// Port of every node that leads to `shop/web`.
pub const NODE_PORT: u16 = 30080;

fn plan() -> Plan {
    Plan::new(2)
        .deployment("shop", "web", "a1", 1)
        .deployment("shop", "web", "b2", 2)
        .deployment("shop", "cart", "c3", 1)
        .deployment("shop", "cart", "d4", 2)
        .stateful("data", "postgres", 0, 2)
        .stateful("kube-system", "dns", 0, 1)
        .service("shop", "web", 80, 8080)
        .node_port(NODE_PORT)
        .service("data", "postgres", 5432, 5432)
        .service("kube-system", "dns", 53, 53)
        .protocol(Protocol::Udp)
        .with_khan(2)
}

impl Shop {
    /// Builds the cluster and starts its servers, in both address families. Nobody calls them yet.
    pub fn start(lab: &Lab) -> Result<Self> {
        let cluster = Cluster::start(lab, plan())?;
        for node in 1..=cluster.plan().nodes {
            for timeout in ["udp_timeout", "udp_timeout_stream"] {
                // The kernel would forget after half a minute what tests hold for longer.
                cluster.node(node).sysctl(&format!("net.netfilter.nf_conntrack_{timeout}"), "86400")?;
            }
        }
        let (mut servers, mut dns) = (Vec::new(), Vec::new());
        for (ns, app, port) in [("shop", "web", 8080), ("data", "postgres", 5432)] {
            for pod in cluster.plan().pods_of(ns, app) {
                for ip in cluster.plan().pod_addresses(&pod.name)?.both() {
                    servers.push(TcpServer::start(cluster.pod(&pod.name)?, SocketAddr::new(ip, port))?);
                }
            }
        }
        for ip in cluster.plan().pod_addresses("dns-0")?.both() {
            dns.push(UdpServer::start(cluster.pod("dns-0")?, SocketAddr::new(ip, 53))?);
        }
        let (connections, datagrams) = (Vec::new(), Vec::new());
        Ok(Self { cluster, edges: Edges::new(), _servers: (servers, dns), connections, datagrams })
    }

    /// Calls of every kind: through cluster addresses with backends on both nodes, straight to a pod, IPv4 and IPv6, TCP
    /// and UDP, from either node.
    pub fn open(&mut self) -> Result {
        let web = self.service("shop", "web")?;
        let postgres = self.service("data", "postgres")?;
        let dns = self.service("kube-system", "dns")?;
        let postgres_pod = self.cluster.plan().pod_addresses("postgres-0")?;
        for turn in 0..2 {
            self.hold(("shop", "cart", turn), "web", web.v4_port(80), 7 + turn)?;
            self.hold(("shop", "cart", turn), "web", web.v6_port(80), 4)?;
            self.hold(("shop", "cart", turn), "postgres", postgres_pod.v6_port(5432), 3)?;
            self.hold(("shop", "web", turn), "postgres", postgres.v4_port(5432), 11)?;
            let asked = traffic::udp_exchange(self.pod(("shop", "web", turn))?, dns.v4_port(53), 5)?;
            self.count("web", "dns", asked.len());
            self.datagrams.push(asked);
        }
        Ok(())
    }

    /// Opens connections from the n-th pod of an app, and keeps them.
    pub fn hold(&mut self, from: (&str, &str, usize), to_app: &str, to: SocketAddr, count: usize) -> Result {
        let held = traffic::hold_tcp(self.pod(from)?, to, count)?;
        self.count(from.1, to_app, held.len());
        self.connections.push(held);
        Ok(())
    }

    /// Sends something on every TCP connection and waits for the answer.
    pub fn talk(&mut self) -> Result {
        self.connections.iter_mut().try_for_each(Connections::talk)
    }

    /// The n-th pod of an app.
    pub fn pod(&self, (ns, app, turn): (&str, &str, usize)) -> Result<&Host> {
        let name = self.cluster.plan().pods_of(ns, app).nth(turn).map(|pod| pod.name.clone()).unwrap_or_default();
        self.cluster.pod(&name)
    }

    /// A service's cluster addresses.
    pub fn service(&self, ns: &str, app: &str) -> Result<Addresses> {
        self.cluster.plan().service_addresses(ns, app)
    }

    fn count(&mut self, src: &str, dst: &str, more: usize) {
        *self.edges.entry((src.to_owned(), dst.to_owned())).or_default() += more as u64;
    }
}
