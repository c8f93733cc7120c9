//! Clients that were not there before and hold a large share of what they dial.
//!
//! A destination that is new itself has new clients only: they are none.

use std::collections::HashMap;
use std::time::Duration;

use super::kind::{ProblemKind, Severity};
use super::pairs::about;
use super::problem::Problem;
use super::scene::Scene;
use crate::duration;
use crate::model::group_by::GroupBy;
use crate::model::group_end::GroupEnd;
use crate::model::groups::past::Past;
use crate::model::groups::{Group, group};
use crate::model::hash;
use crate::model::query::Query;

/// What was there is known after so much of the past: what comes in the first minute after a start may come all the time.
const KNOWN: Duration = Duration::from_mins(5);

/// One problem per client and destination.
pub(super) fn find(scene: &Scene<'_>) -> Result<Vec<Problem>, String> {
    let past = scene.history;
    let begin = past.oldest().filter(|oldest| past.newest().is_some_and(|newest| newest.since(*oldest) >= KNOWN));
    let query = Query { group_by: GroupBy::EDGES, limit: 0, fold: false, since_baseline: true, ..scene.query.clone() };
    let (Some(series), true) = (past.series(&query), begin.is_some() || past.baseline_at().is_some()) else {
        return Err(format!("needs a baseline or {} of the past", duration::text(KNOWN)));
    };
    let groups = group(scene.view, &query);
    let mut clients: HashMap<(u32, Option<u16>), Clients<'_>> = HashMap::new();
    for one in groups.all.iter().filter(|one| one.sum.connections > 0) {
        let since = past.first_seen(series, one.key).filter(|at| begin.is_some_and(|begin| at.since(begin) >= KNOWN));
        let clients = clients.entry((one.dst, one.port)).or_default();
        clients.connections += one.sum.connections;
        if since.is_some() || past.is_since_baseline(series, one.key, &query) {
            clients.new.push((one, since.or(past.baseline_at())));
        } else {
            clients.old += 1;
        }
    }
    let mut found = Vec::new();
    for ((dst, port), clients) in clients.into_iter().filter(|(_, clients)| clients.old > 0) {
        for (one, since) in clients.new {
            let (held, all) = (one.sum.connections, clients.connections);
            let ends = (groups.sources.get(one.src as usize), groups.destinations.get(dst as usize));
            let (Some(src), Some(dst)) = ends else { continue };
            if held < scene.rules.new_client || (held as f64) < all as f64 * scene.rules.new_client_share {
                continue;
            }
            found.push(Problem {
                since,
                key: hash::chain(one.key.0, ProblemKind::NewClient as u128),
                ..problem([src, dst], port, [held, all])
            });
        }
    }
    Ok(found)
}

/// The clients of one destination.
#[derive(Default)]
struct Clients<'a> {
    connections: u64,
    old: usize,
    new: Vec<(&'a Group, Option<khan_api::Timestamp>)>,
}

fn problem([src, dst]: [&GroupEnd; 2], port: Option<u16>, [held, all]: [u64; 2]) -> Problem {
    let to = port.map_or_else(|| dst.text.to_string(), |port| format!("{}:{port}", dst.text));
    let percent = held * 100 / all.max(1);
    Problem {
        kind: ProblemKind::NewClient,
        severity: Severity::Watch,
        sentence: format!(
            "{} is a new client of {to} and holds {percent}% of its connections: {held} of {all}",
            src.text
        ),
        evidence: Vec::new(),
        since: None,
        owners: vec![src.text.to_string(), dst.text.to_string()],
        nodes: Vec::new(),
        next: vec![format!("{} --group-by src-pod,dst,port", about("top", [Some(src), Some(dst)]))],
        key: 0,
        size: held,
    }
}
