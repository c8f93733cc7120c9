//! Who opens and closes connections all the time instead of keeping some.
//!
//! How long a connection lasts on average is what is open divided by what ends a second (Little's law).

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
        // How clients outside connect is not for the cluster to say.
        rate(pair) >= scene.rules.churn as f64 && lasts(pair) <= scene.rules.churn_lasts && !pair.is_from_outside()
    };
    Ok(pairs(scene, |sum| sum.ended).iter().filter(|pair| counts(pair)).map(problem).collect())
}

/// Connections that end a second.
fn rate(pair: &Pair) -> f64 {
    pair.row.sum.ended_rate as f64 / 1000.0
}

/// How long one lasts, in seconds.
fn lasts(pair: &Pair) -> f64 {
    pair.row.sum.open() as f64 / rate(pair).max(0.001)
}

fn problem(pair: &Pair) -> Problem {
    let (rate, open) = (rate(pair), pair.row.sum.open());
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
