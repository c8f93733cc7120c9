//! Destinations for which a NAT gateway outside has few ports left. All nodes behind it share them, and no node's table shows them:
//! what it must hold is the sum over nodes.
//!
//! Which nodes share a gateway nobody tells, so whoever asks says that they do, and how many ports it has.

use std::collections::HashMap;
use std::net::IpAddr;

use khan_api::Kind;

use super::kind::{ProblemKind, Severity};
use super::pairs::some;
use super::ports::Towards;
use super::problem::Problem;
use super::scene::Scene;
use crate::model::groups::select;
use crate::model::hash;
use crate::model::query::Query;

/// Why nothing is known where only metrics are: sums over ports and transports say nothing of any.
const UNTOLD: &str = "of a NAT gateway: the agents export no dst_port and transport, which --extra-labels adds";

/// One problem per destination; none when nobody has said what the gateway has.
pub(super) fn find(scene: &Scene<'_>) -> Result<Vec<Problem>, String> {
    let Some(limit) = scene.rules.gateway.map(|ports| u64::from(ports.get())) else { return Ok(Vec::new()) };
    let everything = Query { limit: 0, ..Query::default() };
    let mut used: HashMap<Towards, u64> = HashMap::new();
    let mut untold = false;
    select(scene.view, &everything, |row, _, sum| {
        let kind = |end: u32| scene.view.endpoints[end as usize].owner.kind;
        // Clients outside do not leave through it.
        if kind(row.backend) != Kind::External || kind(row.src) == Kind::External || sum.connections == 0 {
            return;
        }
        match Towards::of(scene.view, row) {
            Some(to) if is_public(to.ip) => *used.entry(to).or_default() += sum.connections,
            Some(_) => {}
            // In sums of many destinations there is no address.
            None => untold |= scene.view.endpoints[row.backend as usize].ip.is_some(),
        }
    });
    if untold {
        return Err(UNTOLD.to_owned());
    }
    let nearly = used.into_iter().filter(|(_, used)| *used as f64 >= limit as f64 * scene.rules.snat);
    Ok(nearly.filter_map(|(to, used)| problem(scene, to, used, limit)).collect())
}

/// Whether a gateway translates what goes there: private networks are reached without it, and IPv6 is not translated.
fn is_public(ip: IpAddr) -> bool {
    let IpAddr::V4(ip) = ip else { return false };
    let [a, b, ..] = ip.octets();
    // 100.64.0.0/10 is shared by providers (RFC 6598).
    !(ip.is_private() || ip.is_link_local() || ip.is_loopback() || ip.is_multicast() || (a == 100 && b & 0xc0 == 64))
}

fn problem(scene: &Scene<'_>, towards: Towards, used: u64, limit: u64) -> Option<Problem> {
    let holders = towards.holders(scene, None)?;
    let who = match &holders.nodes[..] {
        [node] => format!("{node} holds"),
        nodes => format!("{} nodes hold", nodes.len()),
    };
    let to = holders.to(towards);
    let most = holders.most();
    let mut sentence = format!("{who} {used} connections to {to}, for which their NAT gateway has {limit} ports{most}");
    let full = used >= limit;
    if full {
        sentence = format!("{sentence}: none is left");
    }
    let mut evidence = Vec::from_iter(holders.evidence());
    evidence.push("as if all nodes shared one gateway (--nat-gateway-ports)".to_owned());
    evidence.push(format!("seen on {}", some(&holders.nodes)));
    let flags = towards.flags();
    Some(Problem {
        kind: ProblemKind::Snat,
        severity: if full { Severity::Critical } else { Severity::Warning },
        sentence,
        evidence,
        since: None,
        owners: holders.owners(),
        nodes: holders.nodes,
        next: vec![format!("khan top {flags} --group-by src-pod"), format!("khan conns {flags}")],
        key: hash::chain(hash::name(&["nat-gateway", &towards.to_string()]), ProblemKind::Snat as u128),
        size: used,
    })
}
