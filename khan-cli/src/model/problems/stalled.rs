//! Established connections whose data nobody acknowledges: the peer or its node is gone, or packets get lost on the way.

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
        let (stalled, all) = numbers(pair);
        let enough = !pair.is_from_outside() || stalled as f64 >= all as f64 * scene.rules.stalled_outside;
        stalled >= scene.rules.stalled && enough
    };
    Ok(pairs(scene, |sum| sum.stalled - sum.dead_stalled).iter().filter(|pair| counts(pair)).map(problem).collect())
}

/// Stalled connections, and all. Those to dead backends are [a problem of their own](super::dead_backend).
const fn numbers(pair: &Pair) -> (u64, u64) {
    let sum = &pair.row.sum;
    (sum.stalled - sum.dead_stalled, sum.connections)
}

fn problem(pair: &Pair) -> Problem {
    let (stalled, all) = numbers(pair);
    let are = if stalled == 1 { "is" } else { "are" };
    let sentence = format!(
        "{stalled} of {all} connections from {} to {} {are} stalled: data is sent and nobody acknowledges it",
        pair.source(),
        pair.destination()
    );
    Problem {
        kind: ProblemKind::Stalled,
        severity: Severity::Critical,
        sentence,
        evidence: pair.where_from("stalled"),
        since: None,
        owners: pair.owners(),
        nodes: pair.nodes.clone(),
        next: vec![pair.khan("conns", "--state established")],
        key: crate::model::hash::chain(pair.row.key.0, ProblemKind::Stalled as u128),
        size: stalled,
    }
}
