//! One service: in, its clients and its endpoints; out, what each endpoint holds, and the verdict.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use super::clients::Clients;
use super::load::Load;
use super::rule::BalanceRule;
use super::spread::{Spread, spread};
use crate::model::view::View;

/// The connections to one service.
#[derive(Clone, Debug)]
pub struct Balance {
    /// `NAMESPACE/NAME`
    pub service: String,
    /// Most connections first.
    pub loads: Vec<Load>,
    /// Connections that last, to any of them.
    pub connections: u64,
    /// Established connections that do not last.
    pub short: u64,
    /// Client addresses with connections that last.
    pub clients: usize,
    /// What the endpoint with the most connections holds, divided by the mean of those that are ready.
    pub skew: Option<f64>,
    /// The verdict.
    pub spread: Spread,
    /// The nodes whose tables hold them.
    pub nodes: Vec<String>,
}

/// Puts what the clients of a service hold to its endpoints, and judges it.
pub(super) fn judge(view: &View, number: u32, apps: Vec<Clients>, rule: &BalanceRule) -> Balance {
    let service = &view.services.list[number as usize];
    // A pod may have an address of each family, and a host's pod has its node's.
    let (mut loads, mut names) = (BTreeMap::<String, Load>::new(), HashMap::<IpAddr, String>::new());
    for endpoint in &service.endpoints {
        let one = Load::of(endpoint, view.assembled, rule);
        names.insert(one.ip, one.name.clone());
        loads.entry(one.name.clone()).or_insert(one);
    }
    let (mut short, mut nodes) = (0, BTreeSet::new());
    let mut clients: HashMap<u32, Vec<(u32, u64)>> = HashMap::new();
    for app in apps {
        if app.ended_rate as f64 / 1000.0 * rule.lasts.as_secs_f64() > app.open as f64 {
            short += app.open;
            continue;
        }
        nodes.extend(app.nodes);
        for ((client, backend), n) in app.held {
            clients.entry(client).or_default().push((backend, n));
        }
    }
    for held in clients.values() {
        for &(backend, connections) in held {
            let end = &view.endpoints[backend as usize];
            let Some(ip) = end.ip else { continue };
            let known = names.get(&ip).and_then(|name| loads.get_mut(name));
            let load = match known {
                Some(load) => load,
                None => loads.entry(ip.to_string()).or_insert_with(|| Load::unlisted(end, ip)),
            };
            load.connections += connections;
            load.weight += if held.len() == 1 { 1 } else { connections };
        }
    }
    let mut loads: Vec<_> = loads.into_values().collect();
    loads.sort_by(|a, b| {
        let order = b.connections.cmp(&a.connections).then_with(|| a.condition.cmp(&b.condition));
        order.then_with(|| a.since.cmp(&b.since)).then_with(|| a.name.cmp(&b.name))
    });
    let (skew, spread) = spread(&loads, rule);
    Balance {
        service: format!("{}/{}", service.ns, service.name),
        connections: loads.iter().map(|load| load.connections).sum(),
        short,
        clients: clients.len(),
        skew,
        spread,
        loads,
        nodes: nodes.into_iter().filter_map(|node| Some(view.nodes.get(node as usize)?.node.clone())).collect(),
    }
}
