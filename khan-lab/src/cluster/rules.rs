//! The nftables rules of nodes: what kube-proxy would install for the plan's services, and what stands in for an eBPF data
//! plane on a node that has one.

use std::fmt::{self, Write};
use std::net::IpAddr;

use super::plan::{gateway, node_addresses, pod_range_v4, pod_range_v6};
use super::{Addresses, Plan, Service, Stage};

/// The mark, like kube-proxy's, of what came in through a node port and has to leave with the node's address.
const MASQUERADE_MARK: &str = "0x4000";

/// Removes what [`nat`] or [`of_pod`] has loaded.
pub(super) const NONE: &str = "delete table ip services\ndelete table ip6 services\n";

/// The two halves of the ruleset differ only in addresses.
struct Family {
    name: &'static str,
    inside: &'static str,
    pods: &'static str,
    pick: fn(Addresses) -> IpAddr,
}

const FAMILIES: [Family; 2] = [
    Family {
        name: "ip",
        inside: "10.244.0.0/16, 10.96.0.0/16, 172.18.0.0/24",
        pods: "10.244.0.0/16",
        pick: |addresses| IpAddr::V4(addresses.v4),
    },
    Family {
        name: "ip6",
        inside: "fd00:10:244::/48, fd00:10:96::/112, fd00:172:18::/64",
        pods: "fd00:10:244::/48",
        pick: |addresses| IpAddr::V6(addresses.v6),
    },
];

pub(super) fn nat(plan: &Plan) -> String {
    let mut rules = String::new();
    for family in &FAMILIES {
        write(&mut rules, plan, family).expect("writing to a String");
    }
    rules
}

/// Rules for a pod that translate what it dials before its node sees it, as socket load balancing does.
pub(super) fn of_pod(plan: &Plan) -> String {
    let mut rules = String::new();
    for family in &FAMILIES {
        services(&mut rules, plan, family).expect("writing to a String");
        rules += "chain output { type nat hook output priority -100; jump services; }\n}\n";
    }
    rules
}

/// Rules for a node that keep packets to and from its pods out of the kernel's table, except where the node itself is the other
/// end.
pub(super) fn bypass(node: u8) -> String {
    let (own, pods) = (node_addresses(node), [pod_range_v4(node), pod_range_v6(node)]);
    let mut rules = String::new();
    for (family, pods) in FAMILIES.iter().zip(pods) {
        let (name, own) = (family.name, (family.pick)(own));
        write!(
            rules,
            "table {name} bypass {{ chain prerouting {{ type filter hook prerouting priority -300;
             {name} saddr {pods} {name} daddr != {{ {own}, {} }} notrack
             iifname eth0 {name} daddr {pods} notrack
             }}; }}\n",
            (family.pick)(gateway(node)),
        )
        .expect("writing to a String");
    }
    rules
}

fn write(rules: &mut String, plan: &Plan, family: &Family) -> fmt::Result {
    let name = family.name;
    services(rules, plan, family)?;
    writeln!(rules, "chain prerouting {{ type nat hook prerouting priority -100; jump services; }}")?;
    writeln!(rules, "chain output {{ type nat hook output priority -100; jump services; }}")?;
    writeln!(rules, "chain postrouting {{ type nat hook postrouting priority 100;")?;
    writeln!(rules, "meta mark {MASQUERADE_MARK} masquerade")?;
    writeln!(rules, "{name} saddr {} {name} daddr != {{ {} }} masquerade", family.pods, family.inside)?;
    for pod in plan.pods.iter().filter(|pod| !pod.host_network) {
        let ip = (family.pick)(plan.pod_addresses(&pod.name).expect("a pod of this plan"));
        writeln!(rules, "{name} saddr {ip} {name} daddr {ip} masquerade")?;
    }
    writeln!(rules, "}}\n}}")
}

/// The beginning of a table, and the chain that translates what the plan's services have.
fn services(rules: &mut String, plan: &Plan, family: &Family) -> fmt::Result {
    let name = family.name;
    writeln!(rules, "table {name} services {{\nchain services {{")?;
    for service in &plan.services {
        let Some(backends) = backends(plan, service, family) else { continue };
        let protocol = service.protocol.as_str();
        let addresses = plan.service_addresses(&service.ns, &service.app).expect("a service of this plan");
        let cluster_ip = (family.pick)(addresses);
        writeln!(rules, "{name} daddr {cluster_ip} {protocol} dport {} dnat to {backends}", service.port)?;
        if let Some(port) = service.node_port {
            let matched = format!("fib daddr type local {protocol} dport {port}");
            writeln!(rules, "{matched} meta mark set {MASQUERADE_MARK} dnat to {backends}")?;
        }
    }
    writeln!(rules, "}}")
}

/// The right side of `dnat to`: the pods in turn, those that are deleted too.
fn backends(plan: &Plan, service: &Service, family: &Family) -> Option<String> {
    let pods: Vec<IpAddr> = plan
        .pods_of(&service.ns, &service.app)
        .filter(|pod| pod.stage != Stage::Starting)
        .filter_map(|pod| plan.pod_addresses(&pod.name).ok().map(family.pick))
        .collect();
    let map: Vec<String> = pods.iter().enumerate().map(|(turn, ip)| format!("{turn} : {ip}")).collect();
    let map = format!("numgen inc mod {} map {{ {} }} : {}", pods.len(), map.join(", "), service.target);
    (!pods.is_empty()).then_some(map)
}
