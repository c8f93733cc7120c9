//! Connections that are tried and nobody answers. The table cannot know why: a rule that drops, a server that is gone, a
//! queue that is full. So the word is unanswered.

use khan_api::Protocol;

use super::kind::{ProblemKind, Severity};
use super::pairs::{Pair, pairs, uncompared};
use super::problem::Problem;
use super::scene::Scene;

/// One problem per pair.
pub(super) fn find(scene: &Scene<'_>) -> Result<Vec<Problem>, String> {
    if let Some(reason) = uncompared(scene) {
        return Err(reason);
    }
    let counts = |pair: &Pair| {
        let (unanswered, all) = (tries(pair), pair.row.sum.connections);
        // A source that does not tell them apart may count datagrams.
        let udp = pair.row.protocol != Some(Protocol::Tcp);
        unanswered >= scene.rules.unanswered
            && (!udp || unanswered as f64 >= all as f64 * scene.rules.unanswered_udp)
            // Whoever comes from outside may be anybody, and may be gone.
            && !pair.is_from_outside()
    };
    Ok(pairs(scene, |sum| sum.unanswered - sum.dead_unanswered)
        .iter()
        .filter(|pair| counts(pair))
        .map(problem)
        .collect())
}

/// Tries without an answer. Those to dead backends are [a problem of their own](super::dead_backend).
const fn tries(pair: &Pair) -> u64 {
    pair.row.sum.unanswered - pair.row.sum.dead_unanswered
}

fn problem(pair: &Pair) -> Problem {
    let tries = tries(pair);
    let mut sentence = format!("{} gets no answer from {}: {tries} tries wait", pair.source(), pair.destination());
    if let Some(pods) = pair.which_pods() {
        sentence = format!("{sentence}, {pods}");
    }
    let mut evidence = pair.where_from("tries");
    let open = pair.row.sum.open();
    if open > 0 {
        evidence.push(format!("{open} other connections of this pair are open"));
    }
    let state = match pair.row.protocol {
        Some(Protocol::Udp) => "unreplied",
        Some(_) => "syn_sent",
        None => "syn_sent,unreplied",
    };
    Problem {
        kind: ProblemKind::Unanswered,
        severity: Severity::Critical,
        sentence,
        evidence,
        since: None,
        owners: pair.owners(),
        nodes: pair.nodes.clone(),
        next: vec![pair.khan("conns", &format!("--state {state}"))],
        key: crate::model::hash::chain(pair.row.key.0, ProblemKind::Unanswered as u128),
        size: tries,
    }
}
