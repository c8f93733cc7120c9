//! Connections whose packets still go to a backend that is none any more: its pod is gone, or the service that was dialled does not
//! list it. Nobody tells the client, and rules and tables of the node may keep it there for hours.

use std::sync::Arc;
use std::time::Duration;

use khan_api::Timestamp;

use super::kind::{ProblemKind, Severity};
use super::pairs::{Pair, pairs, roughly, some, uncompared};
use super::problem::Problem;
use super::scene::Scene;
use crate::duration;
use crate::model::endpoint::Endpoint;
use crate::model::source::SourceKind;
use crate::shell::quote;

/// When a backend died of which a source tells no more than that it is dead: neither when, nor which of a destination's it is.
pub const UNDATED: Timestamp = Timestamp::from_seconds(0);

/// One problem per pair.
pub(super) fn find(scene: &Scene<'_>) -> Result<Vec<Problem>, String> {
    if let Some(reason) = uncompared(scene) {
        return Err(reason);
    }
    let named = |node: &crate::model::NodeStatus| node.counted && !node.names.controller.is_empty();
    if scene.view.source.origin() != SourceKind::Prometheus && !scene.view.nodes.iter().any(named) {
        return Err("the agents have no controller, which knows the pods".to_owned());
    }
    let counts = |pair: &Pair| {
        let last = pair.dead.iter().filter_map(|(backend, _)| backend.dead).min();
        let lasts = last.map_or(Duration::ZERO, |dead| scene.view.assembled.since(dead));
        pair.row.sum.dead >= scene.rules.dead && lasts >= scene.rules.dead_after
    };
    let found = pairs(scene, |sum| sum.dead);
    Ok(found.iter().filter(|pair| counts(pair)).map(|pair| problem(pair, scene)).collect())
}

fn problem(pair: &Pair, scene: &Scene<'_>) -> Problem {
    let (dead, all) = (pair.row.sum.dead, pair.row.sum.connections);
    let since = pair.dead.iter().filter_map(|(backend, _)| backend.dead).min().filter(|since| *since != UNDATED);
    let lasts = |dead: Option<Timestamp>| {
        let lasts = dead.map_or(Duration::ZERO, |dead| scene.view.assembled.since(dead));
        duration::text(roughly(lasts))
    };
    let undated = |backend: &Arc<Endpoint>| backend.dead == Some(UNDATED);
    let go = if dead == 1 { "goes" } else { "go" };
    let where_to = match &pair.dead[..] {
        dead if dead.iter().any(|(one, _)| undated(one)) => "a dead backend".to_owned(),
        [(one, _)] => format!("{}, {} for {}", name(one), why(one), lasts(one.dead)),
        many => format!("{} dead backends, the first of them dead for {}", many.len(), lasts(since)),
    };
    let sentence = format!(
        "{dead} of {all} connections from {} to {} still {go} to {where_to}",
        pair.source(),
        pair.destination()
    );
    let dated = pair.dead.iter().filter(|(one, _)| !undated(one));
    let each = dated.map(|(one, n)| format!("{} ({n}), {} for {}", name(one), why(one), lasts(one.dead)));
    let each: Vec<_> = each.collect();
    let mut evidence: Vec<_> = (!each.is_empty()).then(|| some(&each)).into_iter().collect();
    evidence.extend(pair.where_from("still sending"));
    let mut next = Vec::new();
    if pair.dead.iter().any(|(backend, _)| undated(backend)) {
        next.push(pair.khan("problems", "--kind dead-backend -o wide --source agents"));
    } else if let Some(ip) = pair.dead.first().and_then(|(backend, _)| backend.ip) {
        next.push(pair.khan("conns", &format!("--to {}", quote(&format!("ip/{ip}")))));
        next.push(format!("khan who {ip}"));
    }
    Problem {
        kind: ProblemKind::DeadBackend,
        severity: Severity::Critical,
        sentence,
        evidence,
        since,
        owners: pair.owners(),
        nodes: pair.nodes.clone(),
        next,
        key: crate::model::hash::chain(pair.row.key.0, ProblemKind::DeadBackend as u128),
        size: dead,
    }
}

/// `shop/web-0 (10.1.0.5)`
fn name(backend: &Arc<Endpoint>) -> String {
    let owner = &backend.owner;
    let name = if owner.ns.is_empty() { owner.name.to_string() } else { format!("{}/{}", owner.ns, owner.name) };
    match backend.ip {
        Some(ip) if owner.name.is_empty() => ip.to_string(),
        Some(ip) => format!("{name} ({ip})"),
        None => name,
    }
}

/// What became of it.
fn why(backend: &Endpoint) -> &'static str {
    if backend.previous { "gone" } else { "no longer an endpoint" }
}
