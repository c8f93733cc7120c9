//! What keeps growing: suspects of the leak rule that `khan leaks` lists in detail.

use super::kind::{ProblemKind, Severity};
use super::pairs::selector;
use super::problem::Problem;
use super::scene::Scene;
use crate::duration;
use crate::model::hash;
use crate::model::leak::{Leak, Verdict};
use crate::shell::quote;

/// One problem per suspect. Those that are too new to judge are none.
pub(super) fn find(scene: &Scene<'_>) -> Result<Vec<Problem>, String> {
    let (samples, needed) = (scene.leaks.samples, scene.rules.leak.samples);
    if samples < needed {
        return Err(format!("needs {needed} snapshots and has {samples}: khan leaks watches for a window"));
    }
    let judged = scene.leaks.leaks.iter().filter(|leak| leak.verdict != Verdict::TooNew);
    Ok(judged.map(|leak| problem(scene, leak)).collect())
}

fn problem(scene: &Scene<'_>, leak: &Leak) -> Problem {
    let row = &leak.row;
    let port = row.port.map_or_else(String::new, |port| format!(":{port}"));
    let pair = match (row.source(), row.destination()) {
        ("", destination) => format!("connections to {destination}{port}"),
        (source, "") => format!("connections of {source}"),
        (source, destination) => format!("connections from {source} to {destination}{port}"),
    };
    let (added, span) = (row.growth.added(), duration::text(scene.leaks.span));
    let mut next = "khan leaks".to_owned();
    for (flag, end) in [("--from", &row.src), ("--to", &row.dst)] {
        if let Some(selector) = end.as_ref().and_then(selector) {
            next = format!("{next} {flag} {}", quote(&selector));
        }
    }
    Problem {
        kind: ProblemKind::Leak,
        severity: if leak.verdict == Verdict::Likely { Severity::Warning } else { Severity::Watch },
        sentence: format!("{pair} keep growing: {} now, {added} more than {span} ago", row.sum.connections),
        evidence: leak.reasons.clone(),
        since: scene.leaks.since,
        owners: [row.source(), row.destination()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .collect(),
        nodes: Vec::new(),
        next: vec![next],
        key: hash::chain(row.key.0, ProblemKind::Leak as u128),
        size: added,
    }
}
