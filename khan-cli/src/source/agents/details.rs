//! Single connections, read on demand from the nodes that hold them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use futures::future::join_all;
use khan_api::ConnectionSample;
use tokio::sync::{Semaphore, oneshot};
use url::form_urlencoded;

use super::fetch;
use super::roster::Target;
use super::watched::Watched;
use crate::feed::{DetailError, SampleRequest};
use crate::source::exchange::Bounds;

/// The agents that can know the connections asked for: those named, else those of the nodes that the clients live on, else
/// of the nodes that the other end lives on, else all.
pub(super) fn owners<'a>(request: &SampleRequest, agents: impl Iterator<Item = &'a Watched> + Clone) -> Vec<Target> {
    let among = |nodes: &BTreeSet<String>| -> Vec<Target> {
        agents.clone().filter(|agent| nodes.contains(&agent.status.node)).map(|agent| agent.target.clone()).collect()
    };
    if !request.nodes.is_empty() {
        return among(&request.nodes.iter().cloned().collect());
    }
    for addresses in [&request.src, &request.any, &request.dst] {
        let nodes = homes(addresses, agents.clone());
        let found = nodes.map(|nodes| among(&nodes)).unwrap_or_default();
        if !found.is_empty() {
            return found;
        }
    }
    agents.map(|agent| agent.target.clone()).collect()
}

/// The nodes that the addresses live on; `None` when one of them has no known home.
fn homes<'a>(addresses: &[IpAddr], agents: impl Iterator<Item = &'a Watched>) -> Option<BTreeSet<String>> {
    let mut nodes = BTreeSet::new();
    let mut homeless: BTreeSet<IpAddr> = addresses.iter().copied().collect();
    for endpoint in agents.filter_map(Watched::table).flat_map(|table| &table.endpoints) {
        if let Some(ip) = endpoint.ip.filter(|ip| !endpoint.node.is_empty() && addresses.contains(ip)) {
            homeless.remove(&ip);
            nodes.insert(endpoint.node.to_string());
        }
    }
    homeless.is_empty().then_some(nodes)
}

/// Asks them and answers; stops when the asker has gone away.
pub(super) async fn answer(
    request: SampleRequest,
    agents: Vec<Target>,
    permits: Arc<Semaphore>,
    bounds: Bounds,
    mut answer: oneshot::Sender<Result<Vec<ConnectionSample>, DetailError>>,
) {
    let found = tokio::select! {
        found = ask(&request, &agents, &permits, bounds) => found,
        () = answer.closed() => return,
    };
    // The asker may have gone in this very moment.
    drop(answer.send(found));
}

async fn ask(
    request: &SampleRequest,
    agents: &[Target],
    permits: &Semaphore,
    bounds: Bounds,
) -> Result<Vec<ConnectionSample>, DetailError> {
    if agents.is_empty() {
        return Err(DetailError::Failed("no agent is known that could hold these connections".into()));
    }
    let query = query(request);
    let answers = join_all(agents.iter().map(|agent| async {
        let _permit = permits.acquire().await;
        let found = fetch::connections(&agent.route, &query, bounds).await;
        found.map_err(|error| format!("{} {error}", agent.name))
    }));
    let (found, failed): (Vec<_>, Vec<_>) = answers.await.into_iter().partition(Result::is_ok);
    let mut found: Vec<_> = found.into_iter().flatten().collect();
    if found.is_empty() {
        let reasons: Vec<_> = failed.into_iter().filter_map(Result::err).collect();
        return Err(DetailError::Failed(reasons.join("; ")));
    }
    found.sort_by(|a, b| a.node.cmp(&b.node));
    Ok(found)
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
    ];
    query.extend_pairs(pairs.into_iter().filter_map(|(name, value)| Some((name, value?))));
    query.finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use khan_api::{Protocol, Snapshot, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::model::Pool;
    use crate::source::agents::fetch::Fetched;

    fn agent(node: &str, addresses: &[(&str, &str)], pool: &mut Pool) -> Watched {
        let endpoints = addresses.iter().map(|(ip, node)| json!({"ip": ip, "type": "pod", "node": node}));
        let taken = Timestamp::from_seconds(1_795_341_600);
        let snapshot =
            json!({"schema": 1, "id": node, "node": node, "taken": taken, "endpoints": endpoints.collect::<Vec<_>>()});
        let snapshot = Some(Box::new(serde_json::from_value::<Snapshot>(snapshot).unwrap()));
        let mut agent = Watched::new(Target::fixed(&format!("http://{node}")));
        agent.succeed(Fetched { snapshot, etag: None, clock_skew_millis: None }, pool, Duration::from_secs(5), taken);
        agent
    }

    #[test]
    fn the_node_of_the_client_is_asked_first() {
        let mut pool = Pool::default();
        let agents = [
            agent("n1", &[("10.0.1.1", "n1"), ("10.0.2.1", "n2")], &mut pool),
            agent("n2", &[("10.0.1.1", "n1"), ("10.0.2.1", "n2"), ("10.0.3.1", "n3"), ("1.1.1.1", "")], &mut pool),
        ];
        let asked = |request: SampleRequest| -> Vec<String> {
            owners(&request, agents.iter()).into_iter().map(|target| target.name).collect()
        };
        let ip = |text: &str| vec![text.parse().unwrap()];
        let both = ["http://n1", "http://n2"];
        let request = SampleRequest { src: ip("10.0.1.1"), dst: ip("10.0.2.1"), ..SampleRequest::default() };
        assert_eq!(asked(request), both[..1]);
        // n3 has no agent, but the server's node sees the same connections.
        let request = SampleRequest { src: ip("10.0.3.1"), dst: ip("10.0.2.1"), ..SampleRequest::default() };
        assert_eq!(asked(request), both[1..]);
        assert_eq!(asked(SampleRequest { src: ip("1.1.1.1"), ..SampleRequest::default() }), both);
        assert_eq!(asked(SampleRequest { nodes: vec!["n2".into()], ..SampleRequest::default() }), both[1..]);
        assert_eq!(asked(SampleRequest::default()), both);
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
