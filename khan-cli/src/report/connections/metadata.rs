//! What a report of connections says about all of its rows.

use khan_api::Timestamp;
use serde::Serialize;

use crate::model::view::COUNTING_RULE;
use crate::model::{LabelSelection, NodeState, Projection, Query, View};
use crate::report::item::known;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata<'a> {
    snapshot_time: Option<Timestamp>,
    snapshot_age_seconds: Option<f64>,
    window_seconds: u64,
    source: &'static str,
    context: Option<&'a str>,
    detail: Option<&'a str>,
    scope: &'a [String],
    selector: Option<&'a str>,
    group_by: String,
    sort_by: String,
    filter: Option<String>,
    agents: Agents<'a>,
    totals: Totals,
    truncated: bool,
    left_out_by_agents: Option<LeftOut>,
    left_out_own_conns: Option<u64>,
    notes: Vec<String>,
    partial: bool,
    missing: Vec<String>,
    counting_rule: &'static str,
}

#[derive(Debug, Serialize)]
struct Agents<'a> {
    total: usize,
    ok: usize,
    stale: Vec<&'a str>,
    waiting: Vec<&'a str>,
    failed: Vec<Failed<'a>>,
}

#[derive(Debug, Serialize)]
struct Failed<'a> {
    node: &'a str,
    agent: &'a str,
    reason: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Totals {
    conns: u64,
    rows: usize,
    delta: Option<i64>,
    delta_over_seconds: Option<f64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LeftOut {
    rows: u64,
    conns: u64,
    conns_elsewhere: u64,
    conns_unknown: u64,
}

impl<'a> Metadata<'a> {
    pub(super) fn of(view: &'a View, query: &'a Query, projection: &Projection, notes: Vec<String>) -> Self {
        let missing = view.gaps();
        Self {
            snapshot_time: view.newest,
            snapshot_age_seconds: view.newest.map(|newest| view.assembled.since(newest).as_secs_f64().round()),
            window_seconds: query.window.as_secs(),
            source: view.source.kind.as_str(),
            context: known(&view.source.context),
            detail: known(&view.source.detail),
            scope: &query.namespaces,
            selector: query.labels.as_ref().map(LabelSelection::selector),
            group_by: query.group_by.to_string(),
            sort_by: query.sort.to_string(),
            filter: Some(query.filter.to_string()).filter(|text| !text.is_empty()),
            agents: Agents::of(view),
            totals: Totals {
                conns: projection.total.connections,
                rows: projection.matching,
                delta: projection.change.map(|change| change.delta),
                delta_over_seconds: projection.change.map(|change| change.over.as_secs_f64()),
            },
            truncated: projection.hidden_groups() > 0 || projection.rest.is_some(),
            left_out_by_agents: projection.rest.map(|rest| LeftOut {
                rows: rest.rows,
                conns: rest.connections,
                conns_elsewhere: rest.elsewhere,
                conns_unknown: rest.unknown,
            }),
            left_out_own_conns: (!query.own).then_some(projection.own),
            notes,
            partial: !missing.is_empty(),
            missing,
            counting_rule: COUNTING_RULE,
        }
    }
}

impl<'a> Agents<'a> {
    fn of(view: &'a View) -> Self {
        let of_state = |state| view.nodes.iter().filter(move |node| node.state == state);
        let names = |state| of_state(state).map(|node| node.node.as_str()).collect();
        let failed = of_state(NodeState::Failed).map(|node| Failed {
            node: &node.node,
            agent: &node.agent,
            reason: node.failure.as_ref().map_or("no answer", |failure| &failure.reason),
        });
        Self {
            total: view.nodes.len(),
            ok: view.count(NodeState::Ok),
            stale: names(NodeState::Stale),
            waiting: names(NodeState::Waiting),
            failed: failed.collect(),
        }
    }
}
