//! How the connections to a service are spread over its endpoints, those with none included.
//!
//! Whoever keeps connections keeps their endpoints: a backend that came later gets none of them, and nobody sees it, because every
//! connection works. Short ones spread again by themselves and say nothing. So only established TCP connections count, of clients
//! whose connections last: how long that is on average is what is open divided by what ends a second (Little's law).
//!
//! ```text
//! rows dialled at a service ─▶ connections per client and endpoint ─┐
//! its endpoints, from the controller ───────────────────────────────┴─▶ Balance
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use khan_api::{Kind, Protocol, ServiceEndpoint, TcpState, Timestamp};

use super::groups::select;
use super::query::Query;
use super::state::State;
use super::view::{RowRef, View};
use crate::duration;

/// From where on connections are spread unevenly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BalanceRule {
    /// Fewer connections to a service that last say nothing.
    pub min: u64,
    /// How many times the mean the endpoint with the most connections must hold.
    pub skew: f64,
    /// Connections that last for less on average spread again by themselves.
    pub lasts: Duration,
    /// An endpoint that is ready for less has not had its chance.
    pub ready: Duration,
}

impl Default for BalanceRule {
    fn default() -> Self {
        Self { min: 20, skew: 2.0, lasts: Duration::from_mins(1), ready: Duration::from_mins(5) }
    }
}

/// One of a thousand services that are spread by chance looks uneven: the logarithm of a thousand.
const CHANCE: f64 = 6.9;

/// What an endpoint is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// New connections go to it.
    Ready,
    /// Ready for less than [`BalanceRule::ready`].
    New,
    /// No new connections go to it.
    NotReady,
    /// Its pod is about to end.
    Terminating,
    /// The service does not list it.
    Unlisted,
}

impl Condition {
    /// As a table writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::New => "new",
            Self::NotReady => "not-ready",
            Self::Terminating => "terminating",
            Self::Unlisted => "unlisted",
        }
    }
}

/// An endpoint and what it holds.
#[derive(Clone, Debug)]
pub struct Load {
    /// Its first address.
    pub ip: IpAddr,
    /// Its pod; its node for a pod on the host network; its address where neither is known.
    pub name: String,
    /// Its node; empty where none is known.
    pub node: String,
    /// Whether it takes part.
    pub condition: Condition,
    /// Since when it is in that condition, at the latest.
    pub since: Option<Timestamp>,
    /// Established connections of clients whose connections last.
    pub connections: u64,
    /// The same, with those of a client that keeps to one endpoint counted once: session affinity would do that.
    weight: u64,
}

/// What a service's spread amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spread {
    /// One endpoint holds far more than its part, and more than chance would give it.
    Uneven,
    /// An endpoint holds nothing, where chance would give it some.
    Unused,
    /// No endpoint holds far more than its part, and each holds something.
    Even,
    /// Fewer than two endpoints, or so few connections or clients that chance explains what it looks like.
    TooFew,
}

impl Spread {
    /// As the column writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uneven => "UNEVEN",
            Self::Unused => "UNUSED",
            Self::Even => "EVEN",
            Self::TooFew => "TOO FEW",
        }
    }
}

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

/// Connections to one service of clients of one app.
#[derive(Default)]
struct Clients {
    open: u64,
    ended_rate: u64,
    /// By client and endpoint.
    held: HashMap<(u32, u32), u64>,
    nodes: BTreeSet<u32>,
}

/// Every service of a view that was dialled and whose endpoints are known, the most uneven first.
pub(crate) fn balances(view: &View, query: &Query, rule: &BalanceRule) -> Vec<Balance> {
    let mut found: BTreeMap<u32, HashMap<(&str, &str, u32), Clients>> = BTreeMap::new();
    let mut numbers: HashMap<(&str, &str), u32> = HashMap::new();
    for (number, service) in (0..).zip(&view.services.list) {
        numbers.insert((&service.ns, &service.name), number);
    }
    select(view, query, |row, _, sum| {
        let Some((ns, name)) = service(view, row) else { return };
        let Some(&number) = numbers.get(&(ns, name)) else { return };
        let owner = &view.endpoints[row.src as usize].owner;
        // Without an app each address is a client of its own.
        let alone = if owner.app.is_empty() { row.src } else { u32::MAX };
        let clients = found.entry(number).or_default().entry((&*owner.ns, &*owner.app, alone)).or_default();
        let open = sum.states.get(State::Tcp(TcpState::Established));
        clients.open += open;
        clients.ended_rate += sum.ended_rate;
        if open > 0 {
            *clients.held.entry((row.src, row.backend)).or_default() += open;
            clients.nodes.insert(row.node);
        }
    });
    let judged = found.into_iter().map(|(number, clients)| judge(view, number, clients.into_values(), rule));
    let mut list: Vec<_> = judged.filter(|balance| balance.connections + balance.short > 0).collect();
    let skew = |balance: &Balance| balance.skew.unwrap_or_default();
    list.sort_by(|a, b| {
        let order = a.spread.cmp(&b.spread).then_with(|| skew(b).total_cmp(&skew(a)));
        order.then_with(|| b.connections.cmp(&a.connections)).then_with(|| a.service.cmp(&b.service))
    });
    list
}

/// Namespaces and names of the services that were dialled, those with the most established connections first.
pub(crate) fn dialled(view: &View, query: &Query) -> Vec<(Arc<str>, Arc<str>)> {
    let mut services: HashMap<u32, u64> = HashMap::new();
    select(view, query, |row, _, sum| {
        let open = sum.states.get(State::Tcp(TcpState::Established));
        if open > 0 && service(view, row).is_some() {
            *services.entry(row.service.unwrap_or(row.dst)).or_default() += open;
        }
    });
    // A service may have several addresses.
    let mut sums: HashMap<(&Arc<str>, &Arc<str>), u64> = HashMap::new();
    for (place, n) in services {
        let owner = &view.endpoints[place as usize].owner;
        *sums.entry((&owner.ns, &owner.name)).or_default() += n;
    }
    let mut list: Vec<_> = sums.into_iter().collect();
    list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    list.into_iter().map(|((ns, name), _)| (Arc::clone(ns), Arc::clone(name))).collect()
}

/// Namespace and name of the service that the connections of a row were dialled at, of TCP.
pub(crate) fn service<'view>(view: &'view View, row: &RowRef<'_>) -> Option<(&'view str, &'view str)> {
    let end = &view.endpoints[row.service.unwrap_or(row.dst) as usize].owner;
    let is_one = end.kind == Kind::Service && !end.name.is_empty() && row.row.protocol == Some(Protocol::Tcp);
    is_one.then_some((&*end.ns, &*end.name))
}

fn judge(view: &View, number: u32, apps: impl Iterator<Item = Clients>, rule: &BalanceRule) -> Balance {
    let service = &view.services.list[number as usize];
    // A pod may have an address of each family, and a host's pod has its node's.
    let (mut loads, mut names) = (BTreeMap::<String, Load>::new(), HashMap::<IpAddr, String>::new());
    for endpoint in &service.endpoints {
        let one = load(endpoint, view.assembled, rule);
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
                None => loads.entry(ip.to_string()).or_insert_with(|| unlisted(end, ip)),
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

fn load(endpoint: &ServiceEndpoint, now: Timestamp, rule: &BalanceRule) -> Load {
    let condition = match endpoint.conditions {
        conditions if conditions.terminating => Condition::Terminating,
        conditions if !conditions.ready => Condition::NotReady,
        _ if endpoint.since.is_some_and(|since| now.since(since) < rule.ready) => Condition::New,
        _ => Condition::Ready,
    };
    let (ip, node, since) = (endpoint.ip, endpoint.node.to_string(), endpoint.since);
    let known = [endpoint.pod.as_str(), &node].into_iter().find(|name| !name.is_empty());
    let name = known.map_or_else(|| ip.to_string(), str::to_owned);
    Load { ip, name, node, condition, since, connections: 0, weight: 0 }
}

fn unlisted(end: &super::Endpoint, ip: IpAddr) -> Load {
    let name = if end.owner.name.is_empty() { ip.to_string() } else { end.owner.name.to_string() };
    let (node, since) = (end.owner.node.to_string(), end.dead);
    Load { ip, name, node, condition: Condition::Unlisted, since, connections: 0, weight: 0 }
}

/// The skew of the endpoints that have been ready for long enough, and what it amounts to.
fn spread(loads: &[Load], rule: &BalanceRule) -> (Option<f64>, Spread) {
    let ready: Vec<&Load> = loads.iter().filter(|load| load.condition == Condition::Ready).collect();
    let held: u64 = ready.iter().map(|load| load.connections).sum();
    if ready.len() < 2 || held == 0 {
        return (None, Spread::TooFew);
    }
    let largest = ready.iter().max_by_key(|load| load.connections).map_or(0, |load| load.connections);
    let skew = largest as f64 * ready.len() as f64 / held as f64;
    let all: u64 = ready.iter().map(|load| load.weight).sum();
    let improbable = |load: &&&Load| surprise(load.weight, all, ready.len()) > CHANCE + (ready.len() as f64).ln();
    let spread = if held < rule.min {
        Spread::TooFew
    } else if skew >= rule.skew && ready.iter().any(|load| load.connections == largest && improbable(&load)) {
        Spread::Uneven
    } else if ready.iter().any(|load| load.connections == 0 && improbable(&load)) {
        Spread::Unused
    } else if skew >= rule.skew || ready.iter().any(|load| load.connections == 0) {
        Spread::TooFew
    } else {
        Spread::Even
    };
    (Some(skew), spread)
}

/// How little chance explains that one of `n` endpoints got `part` of `all` connections, each of which could have gone to any: minus
/// the logarithm of Chernoff's bound on its probability.
fn surprise(part: u64, all: u64, n: usize) -> f64 {
    let (part, all, fair) = (part as f64, all as f64, 1.0 / n as f64);
    let term = |got: f64, expected: f64| if got > 0.0 { got * (got / expected).ln() } else { 0.0 };
    term(part, all * fair) + term(all - part, all * (1.0 - fair))
}

impl Balance {
    /// `401 on api-x, 11 on api-y, none on three (the oldest ready for 2h)`, with at most `most` names.
    pub fn sentence(&self, now: Timestamp, most: usize) -> String {
        let holding: Vec<_> = self.loads.iter().filter(|load| load.connections > 0).collect();
        let named = holding.iter().take(most);
        let mut parts: Vec<_> = named.map(|load| format!("{} on {}", load.connections, said(load))).collect();
        if let [_, ..] = &holding[holding.len().min(most)..] {
            let rest = &holding[most..];
            let sum: u64 = rest.iter().map(|load| load.connections).sum();
            parts.push(format!("{sum} on {} more", rest.len()));
        }
        let empty: Vec<_> = self.loads.iter().filter(|load| load.connections == 0).collect();
        let idle: Vec<_> = empty.iter().filter(|load| load.condition <= Condition::New).collect();
        if let Some(oldest) = idle.iter().min_by_key(|load| load.since).filter(|load| load.since.is_some()) {
            let time = oldest.since.map_or(Duration::ZERO, |since| now.since(since));
            let time = duration::text(duration::roughly(time));
            parts.push(match idle.len() {
                1 => format!("none on {} (ready for {time})", oldest.name),
                n => format!("none on {} (the oldest ready for {time})", number(n)),
            });
        } else if !idle.is_empty() {
            parts.push(format!("none on {}", number(idle.len())));
        }
        parts.join(", ")
    }

    /// `5 endpoints, 412 connections`
    pub fn numbers(&self) -> String {
        let endpoints = self.listed();
        let plural = |n: u64| if n == 1 { "" } else { "s" };
        format!(
            "{endpoints} endpoint{}, {} connection{}",
            plural(endpoints as u64),
            self.connections,
            plural(self.connections)
        )
    }

    /// Endpoints that the service lists.
    pub fn listed(&self) -> usize {
        self.loads.iter().filter(|load| load.condition != Condition::Unlisted).count()
    }
}

/// `api-x`, or `api-x (terminating)`.
fn said(load: &Load) -> String {
    match load.condition {
        Condition::Ready | Condition::New => load.name.clone(),
        other => format!("{} ({})", load.name, other.as_str()),
    }
}

/// Small numbers in words.
fn number(n: usize) -> String {
    const WORDS: [&str; 10] = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    WORDS.get(n).map_or_else(|| n.to_string(), |word| (*word).to_owned())
}

#[cfg(test)]
pub(crate) mod tests;
