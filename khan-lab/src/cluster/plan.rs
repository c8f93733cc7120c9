//! The parts of a cluster, and the addresses that follow from them.

use std::net::{Ipv4Addr, Ipv6Addr};

use khan_api::Protocol;
use khan_api::routes::CONTROLLER_PORT;

use super::Addresses;
use crate::{LabError, Result};

/// The joint of all nodes and outside hosts.
pub(super) const FABRIC: Addresses =
    Addresses { v4: Ipv4Addr::new(172, 18, 0, 254), v6: Ipv6Addr::new(0xfd00, 0x172, 0x18, 0, 0, 0, 0, 0xfe) };

/// What created a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Through a `ReplicaSet`.
    Deployment,
    /// One pod per ordinal.
    StatefulSet,
    /// One pod per node.
    DaemonSet,
}

/// What the cluster knows of a pod, whose network is there all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No service leads to it yet, and their endpoints are not ready.
    Starting,
    /// Services lead to it.
    Serving,
    /// The API server has it no more, and nobody has told the nodes: their rules still lead to it.
    Deleted,
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Namespace.
    pub ns: String,
    /// The label `app`; also the name of the workload.
    pub app: String,
    /// Name.
    pub name: String,
    /// What created it.
    pub workload: Workload,
    /// Number of its node, from 1.
    pub node: u8,
    /// Whether it shares the node's network and has no address of its own.
    pub host_network: bool,
    /// Its annotation `khan/max-connections`.
    pub max_connections: Option<u32>,
    /// What the cluster knows of it.
    pub stage: Stage,
}

/// A service with one port, in front of every pod of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Namespace of the service and its pods.
    pub ns: String,
    /// Name, and the label `app` of its pods.
    pub app: String,
    /// Transport.
    pub protocol: Protocol,
    /// Port of the cluster address.
    pub port: u16,
    /// Port of the pods.
    pub target: u16,
    /// Port of every node, when it is a `NodePort` service.
    pub node_port: Option<u16>,
}

/// The plan of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// How many nodes; they are called `node-1`, `node-2`, ...
    pub nodes: u8,
    /// Pods, at most 200.
    pub pods: Vec<Pod>,
    /// Services.
    pub services: Vec<Service>,
}

impl Plan {
    /// A cluster without pods.
    pub fn new(nodes: u8) -> Self {
        Self { nodes, ..Self::default() }
    }

    /// Adds a pod of a Deployment, called `APP-HASH-SUFFIX`.
    #[must_use]
    pub fn deployment(self, ns: &str, app: &str, suffix: &str, node: u8) -> Self {
        let name = format!("{app}-{}-{suffix}", template_hash(app));
        self.with_pod(ns, app, name, Workload::Deployment, node)
    }

    /// Adds a pod of a `StatefulSet`, called `APP-ORDINAL`.
    #[must_use]
    pub fn stateful(self, ns: &str, app: &str, ordinal: u8, node: u8) -> Self {
        self.with_pod(ns, app, format!("{app}-{ordinal}"), Workload::StatefulSet, node)
    }

    /// Adds a pod on the host network of every node.
    #[must_use]
    pub fn on_every_node(mut self, ns: &str, app: &str) -> Self {
        for node in 1..=self.nodes {
            self = self.with_pod(ns, app, format!("{app}-h{node}x7k"), Workload::DaemonSet, node);
            self.pods.last_mut().expect("just added").host_network = true;
        }
        self
    }

    /// Annotates the latest pod with how many connections it can take.
    #[must_use]
    pub fn max_connections(mut self, n: u32) -> Self {
        self.pods.last_mut().expect("a pod").max_connections = Some(n);
        self
    }

    /// Lets the latest pod be one that no service leads to yet.
    #[must_use]
    pub fn starting(mut self) -> Self {
        self.pods.last_mut().expect("a pod").stage = Stage::Starting;
        self
    }

    /// Adds a TCP service.
    #[must_use]
    pub fn service(mut self, ns: &str, app: &str, port: u16, target: u16) -> Self {
        let (ns, app) = (ns.to_owned(), app.to_owned());
        self.services.push(Service { ns, app, protocol: Protocol::Tcp, port, target, node_port: None });
        self
    }

    /// Gives the latest service a port on every node.
    #[must_use]
    pub fn node_port(mut self, port: u16) -> Self {
        self.services.last_mut().expect("a service").node_port = Some(port);
        self
    }

    /// Changes the latest service to another transport.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.services.last_mut().expect("a service").protocol = protocol;
        self
    }

    /// Adds Khan as its manifests install it: agents on the host network, the controller on one node behind a service.
    #[must_use]
    pub fn with_khan(self, controller_node: u8) -> Self {
        self.on_every_node("khan", "khan-agent")
            .deployment("khan", "khan-controller", "qd4sj", controller_node)
            .service("khan", "khan-controller", CONTROLLER_PORT, CONTROLLER_PORT)
    }

    fn with_pod(mut self, ns: &str, app: &str, name: String, workload: Workload, node: u8) -> Self {
        let (ns, app) = (ns.to_owned(), app.to_owned());
        let stage = Stage::Serving;
        self.pods.push(Pod { ns, app, name, workload, node, host_network: false, max_connections: None, stage });
        self
    }

    /// A pod by name.
    pub fn pod(&self, name: &str) -> Result<&Pod> {
        self.pods.iter().find(|pod| pod.name == name).ok_or_else(|| LabError::Malformed(format!("no pod {name}")))
    }

    /// The pods of an app, in the order of the plan.
    pub fn pods_of<'a>(&'a self, ns: &'a str, app: &'a str) -> impl Iterator<Item = &'a Pod> {
        self.pods.iter().filter(move |pod| pod.ns == ns && pod.app == app)
    }

    /// A pod's addresses: its node's on the host network.
    pub fn pod_addresses(&self, name: &str) -> Result<Addresses> {
        let pod = self.pod(name)?;
        let position = self.pods.iter().position(|other| other.name == name).unwrap_or_default();
        // The first addresses of a range belong to the gateway and whoever else comes with it.
        let last = u8::try_from(10 + position).map_err(|_| LabError::Malformed("more than 200 pods".into()))?;
        Ok(if pod.host_network {
            node_addresses(pod.node)
        } else {
            Addresses { v4: Ipv4Addr::new(10, 244, pod.node, last), v6: pod_v6(pod.node, last.into()) }
        })
    }

    /// A service's cluster addresses.
    pub fn service_addresses(&self, ns: &str, app: &str) -> Result<Addresses> {
        let position = self.services.iter().position(|service| service.ns == ns && service.app == app);
        let position = position.ok_or_else(|| LabError::Malformed(format!("no service {ns}/{app}")))?;
        let last = u8::try_from(10 + position).map_err(|_| LabError::Malformed("more than 200 services".into()))?;
        Ok(Addresses {
            v4: Ipv4Addr::new(10, 96, 0, last),
            v6: Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, last.into()),
        })
    }
}

/// A node's name.
pub fn node_name(number: u8) -> String {
    format!("node-{number}")
}

/// A node's addresses.
pub fn node_addresses(number: u8) -> Addresses {
    Addresses {
        v4: Ipv4Addr::new(172, 18, 0, number),
        v6: Ipv6Addr::new(0xfd00, 0x172, 0x18, 0, 0, 0, 0, number.into()),
    }
}

pub(super) fn outside_addresses(number: u8) -> Addresses {
    Addresses { v4: Ipv4Addr::new(203, 0, 113, number), v6: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()) }
}

/// A node's addresses as its pods see it.
pub fn gateway(node: u8) -> Addresses {
    Addresses { v4: Ipv4Addr::new(10, 244, node, 1), v6: pod_v6(node, 1) }
}

pub(super) fn pod_range_v4(node: u8) -> String {
    format!("10.244.{node}.0/24")
}

pub(super) fn pod_range_v6(node: u8) -> String {
    format!("fd00:10:244:{node:x}::/64")
}

fn pod_v6(node: u8, last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x10, 0x244, node.into(), 0, 0, 0, last)
}

/// What a Deployment puts into the names of its pods; made of the letters that Kubernetes uses.
pub(super) fn template_hash(app: &str) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut hash = app
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    std::iter::repeat_with(|| {
        let letter = LETTERS[usize::try_from(hash % LETTERS.len() as u64).expect("below 27")];
        hash /= LETTERS.len() as u64;
        char::from(letter)
    })
    .take(10)
    .collect()
}
