//! Translated source addresses that have few ports left for a destination. When none is left, a connection that starts
//! there does not leave the node.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use khan_api::snapshot::SnatPorts;

use super::kind::{ProblemKind, Severity};
use super::pairs::{roughly, some};
use super::problem::Problem;
use super::room::{ports_key, untold};
use super::scene::Scene;
use crate::duration;
use crate::model::group_by::{GroupBy, RowKey};
use crate::model::group_end::{Grain, GroupEnd};
use crate::model::groups::{Keyer, select};
use crate::model::hash;
use crate::model::query::Query;
use crate::model::view::{RowRef, View};
use crate::shell::quote;

/// One problem per node, address and destination.
pub(super) fn find(scene: &Scene<'_>) -> Result<Vec<Problem>, String> {
    let mut told = false;
    let mut found = Vec::new();
    for (node, snat) in scene.view.snat() {
        told = true;
        let nearly = |ports: &&SnatPorts| fill(ports, snat.range) >= scene.rules.snat;
        found.extend(snat.largest.iter().filter(nearly).filter_map(|ports| problem(scene, node, ports, snat.range)));
    }
    if told { Ok(found) } else { Err(untold(scene.view.source.kind)) }
}

/// Used share.
fn fill(ports: &SnatPorts, range: u32) -> f64 {
    f64::from(ports.used) / f64::from(range.max(1))
}

fn problem(scene: &Scene<'_>, node: u32, ports: &SnatPorts, range: u32) -> Option<Problem> {
    let name = &scene.view.nodes.get(node as usize)?.node;
    let (to, holders) = holders(scene, node, ports)?;
    let (used, full) = (ports.used, ports.used >= range);
    let key = ports_key(name, ports);
    let mut sentence = format!("{name} uses {used} of {range} ports of {} to {to}", ports.src);
    if let Some((holder, held)) = holders.first() {
        sentence = format!("{sentence}, {} holds {held} of them", holder.text);
    }
    if full {
        sentence = format!("{sentence}: none is left");
    } else if let Some(left) = scene.memory.time_to_limit(key, range.into()) {
        sentence = format!("{sentence}, none left in {} at this rate", duration::text(roughly(left)));
    }
    let held: Vec<_> = holders.iter().map(|(end, n)| format!("{} ({n})", end.text)).collect();
    let mut evidence = Vec::new();
    if !held.is_empty() {
        evidence.push(format!("held by {}, those that ended a moment ago included", some(&held)));
    }
    evidence.push(format!("seen on {name}"));
    let (ip, port) = (ports.dst, ports.port);
    Some(Problem {
        kind: ProblemKind::Snat,
        severity: if full { Severity::Critical } else { Severity::Warning },
        sentence,
        evidence,
        since: None,
        owners: holders.first().map(|(end, _)| end.text.to_string()).into_iter().collect(),
        nodes: vec![name.clone()],
        next: vec![
            format!(
                "khan top --to ip/{ip} --port {port} --filter {} --group-by src-pod",
                quote(&format!("node:{name}"))
            ),
            format!("khan conns --to ip/{ip} --port {port}"),
        ],
        key: hash::chain(key, ProblemKind::Snat as u128),
        size: used.into(),
    })
}

/// The destination in words, and the apps whose connections take the ports, most first; `None` when none of them is among
/// those that are asked for.
fn holders(scene: &Scene<'_>, node: u32, ports: &SnatPorts) -> Option<(String, Vec<(GroupEnd, u64)>)> {
    let everything = Query { limit: 0, ..Query::default() };
    let mut name = None;
    let keyer = Keyer::new(scene.view, GroupBy { src: Some(Grain::App), ..GroupBy::NONE });
    let mut held: HashMap<RowKey, (GroupEnd, u64)> = HashMap::new();
    select(scene.view, &everything, |row, _, sum| {
        if !takes(scene.view, row, node, ports) {
            return;
        }
        let backend = &scene.view.endpoints[row.backend as usize];
        name.get_or_insert_with(|| Arc::clone(&backend.owner.name));
        if let Some(end) = keyer.source(row) {
            held.entry(keyer.key(row, None)).or_insert_with(|| (end.clone(), 0)).1 += sum.connections;
        }
    });
    let mut concerned =
        scene.query.namespaces.is_empty() && scene.query.filter.is_empty() && scene.query.labels.is_none();
    if !concerned {
        select(scene.view, scene.query, |row, _, _| concerned |= takes(scene.view, row, node, ports));
    }
    let mut held: Vec<_> = held.into_values().filter(|(_, n)| *n > 0).collect();
    held.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.text.cmp(&b.0.text)));
    let address = match ports.dst {
        IpAddr::V4(ip) => format!("{ip}:{}", ports.port),
        IpAddr::V6(ip) => format!("[{ip}]:{}", ports.port),
    };
    let transport = if ports.protocol == khan_api::Protocol::Tcp { "" } else { ports.protocol.as_str() };
    let mut to = [&*address, transport].join(if transport.is_empty() { "" } else { "/" });
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        to = format!("{to} ({name})");
    }
    concerned.then_some((to, held))
}

/// Whether a row's connections may take these ports: those that leave the node for the destination.
fn takes(view: &View, row: &RowRef<'_>, node: u32, ports: &SnatPorts) -> bool {
    row.node == node
        && row.row.backend_port == ports.port
        && row.row.protocol == Some(ports.protocol)
        && view.endpoints[row.backend as usize].ip == Some(ports.dst)
}
