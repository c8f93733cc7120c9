//! Who opens and closes connections all the time instead of keeping some.
//!
//! How long a connection lasts on average is what is open divided by what ends a second (Little's law).

use super::kind::{ProblemKind, Severity};
use super::pairs::{Pair, pairs_by, uncompared};
use super::problem::Problem;
use super::scene::Scene;
use crate::model::group_by::GroupBy;
use crate::model::source::SourceKind;

/// For how many seconds the kernel keeps a connection that ended.
const KEPT: u64 = 120;

/// One problem per pair.
pub(super) fn find(scene: &Scene<'_>) -> Result<Vec<Problem>, String> {
    if let Some(reason) = uncompared(scene) {
        return Err(reason);
    }
    // Prometheus knows of ended connections which apps had them, and no more.
    let by_app = scene.view.source.origin() == SourceKind::Prometheus;
    let by = GroupBy { protocol: !by_app, port: !by_app, ..GroupBy::EDGES };
    let counts = |pair: &Pair| {
        // How clients outside connect is not for the cluster to say.
        rate(pair) >= scene.rules.churn as f64 && lasts(pair) <= scene.rules.churn_lasts && !pair.is_from_outside()
    };
    Ok(pairs_by(scene, by, |sum| sum.ended).iter().filter(|pair| counts(pair)).map(problem).collect())
}

/// Connections that are open; where states are not told, those that cannot be leftovers of ended ones.
fn open(pair: &Pair) -> u64 {
    let sum = &pair.row.sum;
    if sum.states.told() > 0 {
        return sum.open();
    }
    sum.connections.saturating_sub(sum.ended_rate * KEPT / 1000)
}

/// Connections that end a second.
fn rate(pair: &Pair) -> f64 {
    pair.row.sum.ended_rate as f64 / 1000.0
}

/// How long one lasts, in seconds.
fn lasts(pair: &Pair) -> f64 {
    open(pair) as f64 / rate(pair).max(0.001)
}

fn problem(pair: &Pair) -> Problem {
    let (rate, open) = (rate(pair), open(pair));
    let sentence = format!(
        "{} opens and closes {rate:.0} connections a second to {} instead of keeping some",
        pair.source(),
        pair.destination()
    );
    let mut evidence = pair.where_from("ended since the scan before");
    evidence.push(if open == 0 {
        "none is open now".to_owned()
    } else {
        format!("{open} are open now, so one lasts {:.1} s on average", lasts(pair))
    });
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of connections")]
    let size = rate as u64;
    Problem {
        kind: ProblemKind::Churn,
        severity: Severity::Warning,
        sentence,
        evidence,
        since: None,
        owners: pair.owners(),
        nodes: pair.nodes.clone(),
        next: vec![pair.khan("top", "--group-by src-pod,dst,port")],
        key: crate::model::hash::chain(pair.row.key.0, ProblemKind::Churn as u128),
        size,
    }
}
