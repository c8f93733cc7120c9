//! What keeps growing: suspects of the leak rule that `khan leaks` lists in detail.

use std::time::Duration;

use khan_api::Kind;

use super::kind::{ProblemKind, Severity};
use super::pairs::{about, roughly};
use super::problem::Problem;
use super::scene::Scene;
use crate::duration;
use crate::model::group_end::GroupEnd;
use crate::model::groups::past::Change;
use crate::model::hash;
use crate::model::leak::{Leak, Verdict};

/// One problem per suspect. Those that are too new to judge are none.
pub(super) fn find(scene: &Scene<'_>) -> Result<Vec<Problem>, String> {
    let (samples, needed) = (scene.leaks.samples, scene.rules.leak.samples);
    if samples < needed {
        return Err(format!("needs {needed} snapshots and has {samples}: khan leaks watches for a window"));
    }
    let judged = scene.leaks.leaks.iter().filter(|leak| leak.verdict != Verdict::TooNew && !is_load(scene, leak));
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
    let numbers = format!("{} now, {added} more than {span} ago", row.sum.connections);
    let likely = leak.verdict == Verdict::Likely;
    let sentence = match (row.source(), row.destination()) {
        _ if !likely => format!("{pair} keep growing: {numbers}"),
        ("", one) | (one, "") => format!("{one} leaks: {}", pace(scene, leak)),
        (source, destination) => format!("{source} leaks to {destination}{port}: {}", pace(scene, leak)),
    };
    let mut evidence = leak.reasons.clone();
    if likely {
        evidence.insert(0, numbers);
    }
    Problem {
        kind: ProblemKind::Leak,
        severity: if likely { Severity::Warning } else { Severity::Watch },
        sentence,
        evidence,
        since: scene.leaks.since,
        owners: [row.source(), row.destination()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .collect(),
        nodes: Vec::new(),
        next: vec![about("leaks", [row.src.as_ref(), row.dst.as_ref()])],
        key: hash::chain(row.key.0, ProblemKind::Leak as u128),
        size: added,
    }
}

/// `+60/min for 14m, 1 of 2 pods`
fn pace(scene: &Scene<'_>, leak: &Leak) -> String {
    let (row, span) = (&leak.row, scene.leaks.span);
    let grown = row.growth.added() as f64 * 60.0 / span.as_secs_f64().max(1.0);
    let per_minute = row.change.map_or(grown, Change::per_minute);
    let span = duration::text(roughly(span.max(Duration::from_mins(1))));
    let text = format!("{per_minute:+.0}/min for {span}");
    match culprit(scene, leak) {
        Some(one) => {
            let what = if one.owner.kind == Kind::Pod { "pods" } else { "addresses" };
            format!("{text}, 1 of {} {what}", leak.pods.len())
        }
        None => text,
    }
}

/// The one of several that holds most of it.
fn culprit<'a>(scene: &Scene<'_>, leak: &'a Leak) -> Option<&'a GroupEnd> {
    let most = leak.row.sum.connections as f64 * scene.rules.leak.concentration;
    match &leak.pods[..] {
        [(first, held), _, ..] if *held as f64 >= most => Some(first),
        _ => None,
    }
}

/// Whether more and more come from outside the cluster, and there is no sign that connections are kept for nothing: a rush hour.
fn is_load(scene: &Scene<'_>, leak: &Leak) -> bool {
    let sum = &leak.row.sum;
    let least = sum.connections as f64 * scene.rules.leak.idle;
    let kept = [sum.idle_connections, sum.client_unclosed, sum.server_unclosed].iter().any(|n| *n as f64 >= least);
    let outside = leak.row.src.as_ref().is_some_and(|end| end.owner.kind == Kind::External);
    outside && !kept && culprit(scene, leak).is_none()
}
