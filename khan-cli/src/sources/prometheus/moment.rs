//! What a server knows of one moment of the past.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::try_join3;
use khan_api::Timestamp;

use super::answer::Series;
use super::client::{Client, PromError};
use super::label_set::LabelSet;
use super::promql;
use super::round;
use crate::model::node::Failure;
use crate::model::{NodeInput, NodeState, NodeStatus, Pool, SourceInfo, SourceKind, View, merge};
use crate::sources::nodes::NodeChoice;

/// A node that was scraped this long before and after a moment, and not then, was there.
const AROUND: Duration = Duration::from_mins(30);
/// Scrapes are looked for this far apart, which is how long Prometheus takes a series for fresh.
const APART: Duration = Duration::from_mins(5);

/// What it held at `at`, as a view. Nodes that it scraped before and after and not then are in it as failed ones.
pub(crate) async fn moment(
    client: &Client,
    labels: &LabelSet,
    nodes: &NodeChoice,
    at: Timestamp,
    source: SourceInfo,
) -> Result<View, PromError> {
    let source = SourceInfo { kind: SourceKind::Prometheus, detail: client.url().to_owned(), ..source };
    let seconds = |at: Timestamp| at.millis() as f64 / 1000.0;
    let (moment, now) = (seconds(at), seconds(Timestamp::now()));
    let around = AROUND.as_secs_f64();
    let (connections, taken) = (promql::connections(labels, nodes), promql::taken_by_node(nodes));
    let (connections, then, near) = try_join3(
        client.query_range(&connections, moment, moment, APART),
        client.query_range(&taken, moment, moment, APART),
        client.query_range(&taken, moment - around, (moment + around).min(now), APART),
    )
    .await?;
    let mut pool = Pool::default();
    let found = round::past(&connections.series, &then.series, labels, client.url(), &mut pool);
    let Some((_, found)) = found.into_iter().next() else {
        return Err(PromError::NoPast { at, oldest: oldest(client, now - moment).await });
    };
    let known: BTreeSet<_> = found.iter().map(|node| node.status.node.clone()).collect();
    let absent = near.series.iter().filter(|series| !known.contains(series.labels.get("node")));
    let missed = absent.filter(|series| is_around(series, moment));
    let failed = missed.map(|series| NodeInput { status: failed(series.labels.get("node"), at, client), table: None });
    let here = found.into_iter().map(|node| NodeInput { status: node.status, table: Some(node.table) });
    let inputs = here.chain(failed).filter(|input| nodes.contains(&input.status.node)).collect();
    let mut view = merge(source, inputs, at);
    view.missing = connections.warnings.iter().map(|warning| format!("{} warns: {warning}", client.url())).collect();
    Ok(view)
}

/// Whether a series has values on both sides of a moment.
fn is_around(series: &Series, moment: f64) -> bool {
    let early = series.values.iter().any(|point| point.at < moment);
    early && series.values.iter().any(|point| point.at > moment)
}

fn failed(node: &str, at: Timestamp, client: &Client) -> NodeStatus {
    let reason = format!("{} has no fresh series of it at {}", client.url(), Timestamp::from_seconds(at.seconds()));
    let failure = Failure::after(None, reason, at, None);
    NodeStatus { state: NodeState::Failed, failure: Some(failure), ..NodeStatus::waiting(node, client.url()) }
}

/// When the oldest series of the last `seconds` are from.
async fn oldest(client: &Client, seconds: f64) -> Option<Timestamp> {
    let answer = client.query(&promql::oldest(seconds), None).await.ok()?;
    let value = answer.series.first()?.value()?.value;
    Some(round::timestamp(value)).filter(|at| at.millis() > 0)
}
