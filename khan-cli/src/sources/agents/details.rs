//! Single connections, read on demand from the nodes that hold them.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::{Semaphore, oneshot};
use url::form_urlencoded;

use super::agent_state::AgentState;
use super::fetch;
use super::targets::Target;
use crate::feed::{DetailError, Missed, SampleRequest, Samples};
use crate::model::NodeTable;
use crate::model::table::Row;
use crate::sources::exchange::Bounds;

/// Whose tables are read, and who is known not to answer.
#[derive(Debug, Default)]
pub(super) struct Holders {
    asked: Vec<(String, Target)>,
    missed: Vec<Missed>,
}

/// The agents that can know the connections asked for: those named, else those whose snapshots have such rows, whichever end
/// they see, and those of the nodes that the addresses live on, else all. One that just failed to answer is not waited for
/// a second time.
pub(super) fn holders<'a>(request: &SampleRequest, agents: impl Iterator<Item = &'a AgentState> + Clone) -> Holders {
    let named: BTreeSet<&str> = request.nodes.iter().map(String::as_str).collect();
    let wanted = Wanted::new(request);
    let homes = homes(&wanted.addresses, agents.clone());
    let holds = |agent: &&AgentState| match () {
        () if !named.is_empty() => named.contains(&*agent.status.node),
        () if wanted.addresses.is_empty() => true,
        () => homes.contains(&*agent.status.node) || agent.table().is_some_and(|table| wanted.is_in(table)),
    };
    let mut found: Vec<_> = agents.clone().filter(holds).collect();
    if found.is_empty() && named.is_empty() {
        found = agents.collect();
    }
    let known: BTreeSet<&str> = found.iter().map(|agent| &*agent.status.node).collect();
    let unknown = named.iter().filter(|node| !known.contains(*node));
    let unknown = unknown.map(|node| Missed { node: (*node).to_owned(), reason: "no agent is known there".into() });
    let mut holders = Holders { asked: Vec::new(), missed: unknown.collect() };
    for agent in found {
        let node = agent.status.node.clone();
        match &agent.status.failure {
            Some(failure) => holders.missed.push(Missed { node, reason: failure.reason.clone() }),
            None => holders.asked.push((node, agent.target.clone())),
        }
    }
    holders
}

/// The addresses that a request names.
struct Wanted<'a> {
    request: &'a SampleRequest,
    addresses: HashSet<IpAddr>,
}

impl<'a> Wanted<'a> {
    fn new(request: &'a SampleRequest) -> Self {
        let ends = [&request.src, &request.dst, &request.any];
        Self { request, addresses: ends.into_iter().flatten().copied().collect() }
    }

    /// Whether a table holds such connections, or may hold them among those that its agent left out.
    fn is_in(&self, table: &NodeTable) -> bool {
        let request = self.request;
        let ends = |wanted: &[IpAddr]| -> Vec<bool> {
            let wanted: HashSet<_> = wanted.iter().collect();
            table.endpoints.iter().map(|end| end.ip.is_some_and(|ip| wanted.contains(&ip))).collect()
        };
        let (src, dst, any) = (ends(&request.src), ends(&request.dst), ends(&request.any));
        let fits = |row: &Row| {
            let (from, to, by) = (row.src as usize, row.dst as usize, row.backend as usize);
            (request.src.is_empty() || src[from])
                && (request.dst.is_empty() || dst[to] || dst[by])
                && (request.any.is_empty() || any[from] || any[to] || any[by])
                && request.port.is_none_or(|port| port == row.port || port == row.backend_port)
        };
        table.rest.is_some() || table.rows().iter().any(fits)
    }
}

/// The nodes that the addresses live on, as far as anybody knows.
fn homes<'a>(addresses: &HashSet<IpAddr>, agents: impl Iterator<Item = &'a AgentState>) -> BTreeSet<String> {
    let endpoints = agents.filter_map(AgentState::table).flat_map(|table| &table.endpoints);
    let homes = endpoints.filter(|end| !end.owner.node.is_empty() && end.ip.is_some_and(|ip| addresses.contains(&ip)));
    homes.map(|end| end.owner.node.to_string()).collect()
}

/// Asks them and answers; stops when the asker has gone away.
pub(super) async fn answer(
    request: SampleRequest,
    holders: Holders,
    permits: Arc<Semaphore>,
    bounds: Bounds,
    mut answer: oneshot::Sender<Result<Samples, DetailError>>,
) {
    let found = tokio::select! {
        found = ask(&request, holders, &permits, bounds) => found,
        () = answer.closed() => return,
    };
    // The asker may have gone in this very moment.
    drop(answer.send(found));
}

async fn ask(
    request: &SampleRequest,
    holders: Holders,
    permits: &Semaphore,
    bounds: Bounds,
) -> Result<Samples, DetailError> {
    let query = query(request);
    let answers = join_all(holders.asked.into_iter().map(|(node, agent)| {
        let query = &query;
        async move {
            let _permit = permits.acquire().await;
            let mut found = fetch::connections(&agent.route, query, bounds).await;
            // An agent from before 0.2 lists the newest only.
            if request.oldest && found.as_ref().is_err_and(fetch::FetchError::misunderstood) {
                let newest = self::query(&SampleRequest { oldest: false, ..request.clone() });
                found = fetch::connections(&agent.route, &newest, bounds).await;
            }
            found.map_err(|error| Missed { node, reason: format!("{} {error}", agent.name) })
        }
    }));
    let mut samples = Samples { tables: Vec::new(), missed: holders.missed };
    for answer in answers.await {
        match answer {
            Ok(table) => samples.tables.push(table),
            Err(missed) => samples.missed.push(missed),
        }
    }
    samples.tables.sort_by(|a, b| a.node.cmp(&b.node));
    samples.missed.sort_by(|a, b| a.node.cmp(&b.node));
    if samples.tables.is_empty() {
        let reasons: Vec<_> = samples.missed.into_iter().map(|missed| missed.reason).collect();
        let nobody = "no known agent could hold these connections".to_owned();
        return Err(DetailError::Failed(if reasons.is_empty() { nobody } else { reasons.join("; ") }));
    }
    Ok(samples)
}

pub(crate) fn query(request: &SampleRequest) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, addresses) in [("src", &request.src), ("dst", &request.dst), ("any", &request.any)] {
        query.extend_pairs(addresses.iter().map(|address| (name, address.to_string())));
    }
    let pairs = [
        ("port", request.port.map(|port| port.to_string())),
        ("state", request.state.clone()),
        ("protocol", request.protocol.map(|protocol| protocol.to_string())),
        ("reply_dst", request.reply_dst.map(|(address, _)| address.to_string())),
        ("reply_port", request.reply_dst.map(|(_, port)| port.to_string())),
        ("limit", (request.limit > 0).then(|| request.limit.to_string())),
        ("order", request.oldest.then(|| "oldest".to_owned())),
    ];
    query.extend_pairs(pairs.into_iter().filter_map(|(name, value)| Some((name, value?))));
    query.finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use khan_api::{Protocol, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::model::Pool;
    use crate::model::table::rows::Heard;
    use crate::sources::agents::fetch::Fetched;

    fn agent(node: &str, addresses: &[(&str, &str)], rows: &[serde_json::Value], pool: &mut Pool) -> AgentState {
        let endpoints = addresses.iter().map(|(ip, node)| json!({"ip": ip, "type": "pod", "node": node}));
        let taken = Timestamp::from_seconds(1_795_341_600);
        let snapshot = json!({"schema": 1, "id": node, "node": node, "taken": taken, "endpoints": endpoints.collect::<Vec<_>>(),
            "rows": rows});
        let snapshot = Some(Box::new(serde_json::from_value::<Heard>(snapshot).unwrap()));
        let mut agent = AgentState::new(Target::fixed(&format!("http://{node}")));
        agent.succeed(Fetched { snapshot, etag: None, clock_skew_millis: None }, pool, Duration::from_secs(5), taken);
        agent
    }

    #[test]
    fn every_node_that_holds_a_part_is_asked() {
        let mut pool = Pool::default();
        let row = |src, dst, backend| {
            json!({"src": src, "dst": dst, "backend": backend, "port": 80, "backend_port": 8080,
            "protocol": "tcp", "side": "client", "connections": 1})
        };
        // A client from outside comes in through n1 to a pod on n2, which sees n1 instead of it; n3 is elsewhere.
        let ends = [("203.0.113.7", ""), ("10.0.0.1", "n1"), ("10.0.2.1", "n2"), ("10.0.3.1", "n3")];
        let mut agents = [
            agent("n1", &ends[..3], &[row(0, 1, 2)], &mut pool),
            agent("n2", &ends[1..3], &[row(0, 1, 1)], &mut pool),
            agent("n3", &ends[3..], &[], &mut pool),
        ];
        let found = |agents: &[AgentState], request: &SampleRequest| {
            let holders = holders(request, agents.iter());
            let asked: Vec<_> = holders.asked.iter().map(|(node, _)| node.clone()).collect();
            (asked.join(","), holders.missed.into_iter().map(|missed| missed.node).collect::<Vec<_>>().join(","))
        };
        let ip = |text: &str| vec![text.parse().unwrap()];
        let nothing = SampleRequest::default;
        let of = |agents: &[AgentState], request| found(agents, &request).0;
        assert_eq!(of(&agents, SampleRequest { any: ip("10.0.2.1"), ..nothing() }), "n1,n2", "both ways of it");
        assert_eq!(of(&agents, SampleRequest { any: ip("203.0.113.7"), ..nothing() }), "n1");
        assert_eq!(of(&agents, SampleRequest { src: ip("10.0.3.1"), dst: ip("10.0.2.1"), ..nothing() }), "n2,n3");
        assert_eq!(of(&agents, SampleRequest { any: ip("10.0.2.1"), port: Some(443), ..nothing() }), "n2", "its home");
        assert_eq!(of(&agents, SampleRequest { src: ip("198.51.100.1"), ..nothing() }), "n1,n2,n3", "nobody knows it");
        assert_eq!(of(&agents, SampleRequest { nodes: vec!["n3".into()], ..nothing() }), "n3");
        assert_eq!(of(&agents, nothing()), "n1,n2,n3");
        // Named, and not there.
        let request = SampleRequest { nodes: vec!["n3".into(), "n9".into()], ..nothing() };
        assert_eq!(found(&agents, &request), ("n3".into(), "n9".into()));
        // One that just did not answer is not waited for again, and said to be missing.
        let now = Timestamp::from_seconds(1_795_341_601);
        agents[1].fail("http://n2 did not answer".into(), Duration::from_secs(5), now);
        let request = SampleRequest { any: ip("10.0.2.1"), ..nothing() };
        assert_eq!(found(&agents, &request), ("n1".into(), "n2".into()));
    }

    #[test]
    fn a_question_names_everything_it_wants() {
        let request = SampleRequest {
            src: vec!["10.0.0.1".parse().unwrap()],
            any: vec!["fd00::1".parse().unwrap()],
            port: Some(443),
            protocol: Some(Protocol::Tcp),
            reply_dst: Some(("10.0.0.9".parse().unwrap(), 40_001)),
            limit: 50,
            ..SampleRequest::default()
        };
        let expected =
            "src=10.0.0.1&any=fd00%3A%3A1&port=443&protocol=tcp&reply_dst=10.0.0.9&reply_port=40001&limit=50";
        assert_eq!(query(&request), expected);
        assert_eq!(query(&SampleRequest::default()), "");
    }
}
