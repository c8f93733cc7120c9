//! Translated source addresses that have few ports left for a destination. When none is left, a connection that starts
//! there does not leave the node.

use khan_api::snapshot::SnatPorts;

use super::kind::{ProblemKind, Severity};
use super::pairs::roughly;
use super::ports::Towards;
use super::problem::Problem;
use super::room::ports_key;
use super::scene::Scene;
use crate::duration;
use crate::model::hash;
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
    if told { Ok(found) } else { Err(scene.view.source.kind.profile().no_limits.to_owned()) }
}

/// Used share.
fn fill(ports: &SnatPorts, range: u32) -> f64 {
    f64::from(ports.used) / f64::from(range.max(1))
}

fn problem(scene: &Scene<'_>, node: u32, ports: &SnatPorts, range: u32) -> Option<Problem> {
    let name = &scene.view.nodes.get(node as usize)?.node;
    let towards = Towards { ip: ports.dst, port: ports.port, protocol: ports.protocol };
    let holders = towards.holders(scene, Some(node))?;
    let to = holders.to(towards);
    let (used, full) = (ports.used, ports.used >= range);
    let key = ports_key(name, ports);
    let mut sentence = format!("{name} uses {used} of {range} ports of {} to {to}{}", ports.src, holders.most());
    if full {
        sentence = format!("{sentence}: none is left");
    } else if let Some(left) = scene.memory.time_to_limit(key, range.into()) {
        sentence = format!("{sentence}, none left in {} at this rate", duration::text(roughly(left)));
    }
    let mut evidence = Vec::from_iter(holders.evidence());
    evidence.push(format!("seen on {name}"));
    let flags = towards.flags();
    Some(Problem {
        kind: ProblemKind::Snat,
        severity: if full { Severity::Critical } else { Severity::Warning },
        sentence,
        evidence,
        since: None,
        owners: holders.owners(),
        nodes: vec![name.clone()],
        next: vec![
            format!("khan top {flags} --filter {} --group-by src-pod", quote(&format!("node:{name}"))),
            format!("khan conns {flags}"),
        ],
        key: hash::chain(key, ProblemKind::Snat as u128),
        size: used.into(),
    })
}
