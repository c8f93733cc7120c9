//! A small cluster out of namespaces: nodes that route and do what kube-proxy does with real nftables rules, pods behind
//! them, and hosts outside. Dual-stack; only containers and the API server are missing.
//!
//! ```text
//!   pod  pod      pod  pod      outside hosts
//!    |    |        |    |         |     |
//!    node-1        node-2         |     |        every line is a veth pair, every joint routes
//!       \             |          /     /
//!        `------------ fabric --------'
//! ```
//!
//! Node N has 172.18.0.N and the pod ranges 10.244.N.0/24 and `fd00:10:244:N::/64`, whose first address is the pods'
//! gateway. Services get addresses in 10.96.0.0/16 and `fd00:10:96::/112`. Like kube-proxy's, the rules masquerade what
//! comes in through a node port, hairpins, and pods' traffic to the world.

mod plan;
mod manifest;
mod rules;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::host::{Link, link};
use crate::{Host, Lab, LabError, Result};

pub use plan::{Plan, Pod, Service, Stage, Workload, gateway, node_addresses, node_name};

/// Both addresses of a dual-stack object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// IPv4.
    pub v4: Ipv4Addr,
    /// IPv6.
    pub v6: Ipv6Addr,
}

impl Addresses {
    /// With a port, IPv4.
    pub fn v4_port(self, port: u16) -> SocketAddr {
        (self.v4, port).into()
    }

    /// With a port, IPv6.
    pub fn v6_port(self, port: u16) -> SocketAddr {
        (self.v6, port).into()
    }

    /// Both, IPv4 first.
    pub fn both(self) -> [IpAddr; 2] {
        [self.v4.into(), self.v6.into()]
    }
}

/// A running network for a [`Plan`]. Starts no program.
#[derive(Debug)]
pub struct Cluster {
    plan: Plan,
    fabric: Host,
    nodes: Vec<Host>,
    pods: BTreeMap<String, Host>,
    outside: u8,
    /// Nodes whose pods translate what they dial themselves.
    bypassed: Vec<u8>,
}

impl Cluster {
    /// Builds the namespaces, links, routes and rules of `plan`.
    pub fn start(lab: &Lab, plan: Plan) -> Result<Self> {
        let fabric = lab.host("fabric")?;
        fabric.forward()?;
        let (nodes, pods, bypassed) = (Vec::new(), BTreeMap::new(), Vec::new());
        let mut cluster = Self { plan, fabric, nodes, pods, outside: 0, bypassed };
        for node in 1..=cluster.plan.nodes {
            cluster.add_node(lab, node)?;
        }
        let own_network: Vec<_> = cluster.plan.pods.iter().filter(|pod| !pod.host_network).cloned().collect();
        for pod in own_network {
            cluster.add_pod(lab, &pod)?;
        }
        cluster.load_rules("")?;
        Ok(cluster)
    }

    /// Loads the rules of the plan, behind `before`.
    fn load_rules(&self, before: &str) -> Result {
        let (of_node, of_pod) = (rules::nat(&self.plan), rules::of_pod(&self.plan));
        self.nodes.iter().try_for_each(|node| node.nft(&format!("{before}{of_node}")))?;
        let mut pods = self.bypassed.iter().flat_map(|node| self.pods_of(*node));
        pods.try_for_each(|(_, host)| host.nft(&format!("{before}{of_pod}")))
    }

    /// Lets services lead to every pod of an app, those that were starting too. Connections that are open stay where they are.
    pub fn serve(&mut self, ns: &str, app: &str) -> Result {
        self.stage(ns, app, Stage::Serving);
        self.load_rules(rules::NONE)
    }

    /// Deletes every pod of an app, of which only the API server hears: the nodes' rules still lead there.
    pub fn delete(&mut self, ns: &str, app: &str) {
        self.stage(ns, app, Stage::Deleted);
    }

    fn stage(&mut self, ns: &str, app: &str, stage: Stage) {
        self.plan.pods.iter_mut().filter(|pod| pod.ns == ns && pod.app == app).for_each(|pod| pod.stage = stage);
    }

    fn add_node(&mut self, lab: &Lab, number: u8) -> Result {
        let node = lab.host(&plan::node_name(number))?;
        node.forward()?;
        attach(&node, plan::node_addresses(number), &self.fabric, &format!("node{number}"), plan::FABRIC)?;
        let Addresses { v4, v6 } = plan::node_addresses(number);
        self.fabric.route([plan::pod_range_v4(number).as_str(), "via", &v4.to_string()])?;
        self.fabric.route([plan::pod_range_v6(number).as_str(), "via", &v6.to_string()])?;
        // What kube-proxy sets on every node.
        node.sysctl("net.netfilter.nf_conntrack_tcp_timeout_established", "86400")?;
        node.sysctl("net.netfilter.nf_conntrack_tcp_timeout_close_wait", "3600")?;
        self.nodes.push(node);
        Ok(())
    }

    fn add_pod(&mut self, lab: &Lab, pod: &Pod) -> Result {
        let host = lab.host(&pod.name)?;
        let addresses = self.plan.pod_addresses(&pod.name)?;
        let interface = format!("pod{}", self.pods.len());
        attach(&host, addresses, self.node(pod.node), &interface, plan::gateway(pod.node))?;
        self.pods.insert(pod.name.clone(), host);
        Ok(())
    }

    /// Makes a node forward its pods' packets as an eBPF data plane does: past the kernel's connection tracking, services
    /// translated before the packets reach it. Call this before the traffic starts.
    pub fn bypass_tracking(&mut self, node: u8) -> Result {
        self.node(node).nft(&rules::bypass(node))?;
        let of_pod = rules::of_pod(&self.plan);
        self.pods_of(node).try_for_each(|(_, host)| host.nft(&of_pod))?;
        self.bypassed.push(node);
        Ok(())
    }

    /// The pods of a node that have a network of their own, with their hosts.
    pub fn pods_of(&self, node: u8) -> impl Iterator<Item = (&Pod, &Host)> {
        let pods = self.plan.pods.iter().filter(move |pod| pod.node == node);
        pods.filter_map(|pod| Some((pod, self.pods.get(&pod.name)?)))
    }

    /// Adds another host outside the cluster, with an address from a documentation range.
    pub fn outside(&mut self, lab: &Lab, name: &str) -> Result<(Host, Addresses)> {
        self.outside += 1;
        let number = self.outside;
        let addresses = plan::outside_addresses(number);
        let host = lab.host(name)?;
        attach(&host, addresses, &self.fabric, &format!("out{number}"), plan::FABRIC)?;
        Ok((host, addresses))
    }

    /// Restores the addresses and routes of a node's interface, which the kernel removes when it goes down.
    pub fn restore_uplink(&self, node: u8) -> Result {
        let addresses = plan::node_addresses(node);
        let host = self.node(node);
        host.run(["ip", "address", "replace", &format!("{}/128", addresses.v6), "dev", "eth0", "nodad"])?;
        route_through(host, plan::FABRIC)
    }

    /// The plan that it was built from.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The namespace of a node, counted from 1.
    pub fn node(&self, number: u8) -> &Host {
        &self.nodes[usize::from(number) - 1]
    }

    /// The namespace of a pod, or of its node when it is on the host network.
    pub fn pod(&self, name: &str) -> Result<&Host> {
        let pod = self.plan.pod(name)?;
        let own = if pod.host_network { Some(self.node(pod.node)) } else { self.pods.get(name) };
        own.ok_or_else(|| LabError::Malformed(format!("pod {name} has no namespace")))
    }

    /// What `kubectl get pods,services,nodes,endpointslices -A -o json` would print.
    pub fn manifest(&self) -> serde_json::Value {
        manifest::list(&self.plan)
    }
}

/// Links `child` to `parent`, point to point, with `gateway` as its default route.
fn attach(child: &Host, addresses: Addresses, parent: &Host, interface: &str, gateway: Addresses) -> Result {
    let [own4, own6] = [format!("{}/32", addresses.v4), format!("{}/128", addresses.v6)];
    let [gateway4, gateway6] = [format!("{}/32", gateway.v4), format!("{}/128", gateway.v6)];
    link(
        Link { host: child, name: "eth0", addresses: &[&own4, &own6] },
        Link { host: parent, name: interface, addresses: &[&gateway4, &gateway6] },
    )?;
    for own in [own4, own6] {
        parent.route([own.as_str(), "dev", interface])?;
    }
    route_through(child, gateway)
}

fn route_through(child: &Host, gateway: Addresses) -> Result {
    for (prefix, gateway) in [("0.0.0.0/0", gateway.v4.to_string()), ("::/0", gateway.v6.to_string())] {
        child.route([gateway.as_str(), "dev", "eth0"])?;
        child.route([prefix, "via", &gateway, "dev", "eth0"])?;
    }
    Ok(())
}
