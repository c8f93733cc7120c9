//! Services whose connections lie on few of their endpoints, because those who keep connections keep their endpoints.

use super::kind::{ProblemKind, Severity};
use super::pairs::uncompared;
use super::problem::Problem;
use super::scene::Scene;
use crate::model::balance::{Balance, Condition, Spread, balances};
use crate::model::hash;
use crate::shell::quote;

/// Endpoints that a sentence names.
const NAMED: usize = 2;

/// One problem per service.
pub(super) fn find(scene: &Scene<'_>) -> Result<Vec<Problem>, String> {
    if let Some(reason) = unknown(scene) {
        return Err(reason);
    }
    let found = balances(scene.view, scene.query, &scene.rules.balance);
    let uneven = found.iter().filter(|balance| matches!(balance.spread, Spread::Uneven | Spread::Unused));
    Ok(uneven.map(|balance| problem(balance, scene)).collect())
}

/// Why the spread is not known; `None` when it is.
fn unknown(scene: &Scene<'_>) -> Option<String> {
    let never = scene.view.source.origin().profile().no_endpoints;
    let reason = never.or(scene.view.services.unknown.as_deref()).map(str::to_owned);
    reason.or_else(|| uncompared(scene))
}

fn problem(balance: &Balance, scene: &Scene<'_>) -> Problem {
    let now = scene.view.assembled;
    let sentence = format!(
        "the connections to {} are {}: {}: {}",
        balance.service,
        if balance.spread == Spread::Uneven { "uneven" } else { "not on all of its endpoints" },
        balance.numbers(),
        balance.sentence(now, NAMED)
    );
    let mut evidence = Vec::new();
    if let Some(skew) = balance.skew {
        evidence.push(format!("the largest holds {skew:.1} times the mean of those that are ready"));
    }
    let clients = balance.clients;
    evidence.push(format!("connections that last, of {clients} client{}", if clients == 1 { "" } else { "s" }));
    if balance.loads.iter().any(|load| load.condition == Condition::New) {
        evidence.push("endpoints that have just become ready do not count yet".to_owned());
    }
    let selector = format!("svc/{}", balance.service);
    let service = quote(&selector);
    Problem {
        kind: ProblemKind::Imbalance,
        severity: if balance.spread == Spread::Uneven { Severity::Warning } else { Severity::Watch },
        sentence,
        evidence,
        since: None,
        owners: vec![balance.service.clone()],
        nodes: balance.nodes.clone(),
        next: vec![
            format!("khan balance {service} -o wide"),
            format!("khan top --to {service} --group-by src,backend-ip,port"),
        ],
        key: hash::chain(hash::name(&["service", &balance.service]), ProblemKind::Imbalance as u128),
        size: balance.connections,
    }
}
