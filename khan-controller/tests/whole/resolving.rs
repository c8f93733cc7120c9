//! What the API answers: the protocol of cursors, refusals, and the other two endpoints.

use std::net::IpAddr;

use khan_api::node_port::MAX_NODE_PORTS;
use khan_api::resolve::MAX_ADDRESSES;
use khan_api::{Cursor, Kind, NodePort, Protocol, ResolveRequest, ServicePort, routes};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::client::{PATIENCE, ask, get, identity, json as parse, post, resolve, until_names, until_ready, within};
use crate::manifests::{node, pod, service};
use crate::program::{Controller, watching};
use khan_lab::api_server::ApiServer;

async fn cluster() -> (ApiServer, Controller) {
    let server = ApiServer::start().await;
    server.put(node("n1", &["192.168.0.1"], &["10.244.1.0/24"]));
    server.put(service("shop", "web", &["10.96.0.10"]));
    server.put(pod("shop", "web-6d4cf56db6-abcde", &["10.244.1.7"]));
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    (server, controller)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_cursor_brings_only_what_changed() {
    let (server, controller) = cluster().await;
    let all = ["10.244.1.7", "10.96.0.10", "192.168.0.1", "10.244.1.9", "8.8.8.8"];
    let first = ask(controller.address, None, &all).await;
    assert_eq!(first.identities.len(), 4, "three owners, and an unknown whose node is known");
    assert_eq!(first.gone, Vec::<IpAddr>::new());
    let again = ask(controller.address, Some(first.cursor), &all).await;
    assert_eq!((again.identities.len(), again.gone.len(), again.cursor), (0, 0, first.cursor));

    server.put(pod("shop", "late", &["10.244.1.9"]));
    server.delete(pod("shop", "web-6d4cf56db6-abcde", &["10.244.1.7"]));
    until_names(controller.address, PATIENCE, &[("10.244.1.7", ""), ("10.244.1.9", "late")]).await;
    let changed = ask(controller.address, Some(first.cursor), &all).await;
    assert_eq!(changed.identities.keys().copied().collect::<Vec<_>>(), [ip("10.244.1.7"), ip("10.244.1.9")]);
    assert_eq!(changed.gone, [ip("10.244.1.7")]);
    assert_eq!(changed.identities[&ip("10.244.1.7")].previous[0].owner.name, "web-6d4cf56db6-abcde");
    let again = ask(controller.address, Some(changed.cursor), &all).await;
    assert_eq!((again.identities.len(), again.gone.len()), (0, 0));
}

#[tokio::test]
async fn new_addresses_are_answered_whatever_the_cursor() {
    let (_server, controller) = cluster().await;
    let first = ask(controller.address, None, &["10.96.0.10"]).await;
    let request = ResolveRequest {
        cursor: Some(first.cursor),
        ips: vec![ip("10.96.0.10")],
        new: vec![ip("10.244.1.7"), ip("10.244.1.9")],
        ..ResolveRequest::default()
    };
    let answer = resolve(controller.address, &request).await;
    assert_eq!(answer.identities.keys().copied().collect::<Vec<_>>(), [ip("10.244.1.7"), ip("10.244.1.9")]);
    assert_eq!(answer.gone, Vec::<IpAddr>::new());
}

#[tokio::test]
async fn node_ports_are_answered_with_their_service_whatever_the_cursor() {
    let (server, controller) = cluster().await;
    let node_port = |port, protocol| NodePort { port, protocol };
    let asked = [(30080, Protocol::Tcp), (30080, Protocol::Udp), (30053, Protocol::Udp), (31000, Protocol::Tcp)];
    let asked: Vec<NodePort> = asked.map(|(port, protocol)| node_port(port, protocol)).into();
    let ask = async |cursor| {
        let request = ResolveRequest { cursor, node_ports: asked.clone(), ..ResolveRequest::default() };
        let answer = resolve(controller.address, &request).await;
        let named = |port: &ServicePort| (port.node_port(), format!("{}/{}", port.ns, port.name));
        (answer.cursor, answer.node_ports.iter().map(named).collect::<Vec<_>>())
    };
    let (cursor, none) = ask(None).await;
    assert_eq!(none, []);
    server.put(balanced(
        "web",
        &[json!({"port": 80, "nodePort": 30080}), json!({"port": 81, "nodePort": 0}), json!({"port": 82})],
    ));
    server.put(balanced("dns", &[json!({"port": 53, "protocol": "UDP", "nodePort": 30053})]));
    let expected = [
        (node_port(30080, Protocol::Tcp), "shop/web".to_owned()),
        (node_port(30053, Protocol::Udp), "shop/dns".to_owned()),
    ];
    within(PATIENCE, async || ask(None).await.1.eq(&expected).then_some(()).ok_or("not yet named")).await;
    assert_eq!(ask(Some(cursor)).await.1, expected);
    // The port of the balancer's health check is not a service's.
    let mut local = balanced("web", &[json!({"port": 80, "nodePort": 31111})]);
    local["spec"]["healthCheckNodePort"] = 31000.into();
    server.put(local);
    within(PATIENCE, async || ask(None).await.1.eq(&expected[1..]).then_some(()).ok_or("still named")).await;
    server.delete(balanced("dns", &[]));
    within(PATIENCE, async || ask(None).await.1.is_empty().then_some(()).ok_or("still named")).await;
}

#[tokio::test]
async fn more_node_ports_than_a_cluster_has_are_refused() {
    let (_server, controller) = cluster().await;
    let node_ports = (0..).map(|port| NodePort { port, protocol: Protocol::Tcp }).take(MAX_NODE_PORTS + 1).collect();
    let request = ResolveRequest { node_ports, ..ResolveRequest::default() };
    let (status, answer) = post(controller.address, routes::RESOLVE, json!(request).to_string()).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{answer}");
    assert_eq!(parse(&answer)["error"], "more than 4096 node ports");
}

fn balanced(name: &str, ports: &[Value]) -> Value {
    let mut service = service("shop", name, &[]);
    let ip = if name == "web" { "10.96.0.10" } else { "10.96.0.53" };
    service["spec"] = json!({"type": "LoadBalancer", "clusterIP": ip, "clusterIPs": [ip], "ports": ports});
    service
}

#[tokio::test]
async fn another_epoch_or_an_impossible_cursor_brings_everything() {
    let (_server, controller) = cluster().await;
    let first = ask(controller.address, None, &[]).await;
    let Cursor { epoch, revision } = first.cursor;
    for cursor in [Cursor { epoch: epoch ^ 1, revision }, Cursor { epoch, revision: revision + 1 }] {
        let answer = ask(controller.address, Some(cursor), &["10.244.1.7", "10.244.1.9", "8.8.8.8"]).await;
        assert_eq!(answer.cursor, first.cursor);
        assert_eq!(answer.identities[&ip("10.244.1.7")].owner.name, "web-6d4cf56db6-abcde");
        // What the asker may still hold from before is withdrawn.
        assert_eq!(answer.gone, [ip("10.244.1.9"), ip("8.8.8.8")]);
    }
}

#[tokio::test]
async fn a_restart_and_a_second_replica_answer_everything_once() {
    let (server, first) = cluster().await;
    let second = watching(&server).await;
    until_ready(second.address).await;
    let asked = ["10.244.1.7"];
    let from_first = ask(first.address, None, &asked).await;
    let from_second = ask(second.address, Some(from_first.cursor), &asked).await;
    assert_eq!(from_second.identities, from_first.identities, "replicas agree");
    assert_ne!(from_second.cursor.epoch, from_first.cursor.epoch);
    let again = ask(second.address, Some(from_second.cursor), &asked).await;
    assert!(again.identities.is_empty());
}

#[tokio::test]
async fn both_spellings_of_an_ipv4_address_are_one_and_answered_as_asked() {
    let (_server, controller) = cluster().await;
    let answer = ask(controller.address, None, &["::ffff:10.244.1.7"]).await;
    assert_eq!(answer.identities[&ip("::ffff:10.244.1.7")].owner.name, "web-6d4cf56db6-abcde");
}

#[tokio::test]
async fn what_is_not_a_request_is_refused_with_the_reason() {
    let (_server, controller) = cluster().await;
    for (body, told) in [
        ("", "EOF"),
        ("[]", "not a resolve request"),
        (r#"{"cursor":null}"#, "missing field `ips`"),
        (r#"{"cursor":null,"ips":["10.0.0.300"]}"#, "invalid IP address"),
        (r#"{"cursor":null,"ips":["example.org"]}"#, "invalid IP address"),
        (r#"{"cursor":"yesterday","ips":[]}"#, "not a cursor"),
    ] {
        let (status, answer) = post(controller.address, routes::RESOLVE, body.into()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(parse(&answer)["error"].as_str().unwrap().contains(told), "{body}: {answer}");
    }
    let (status, _) = get(controller.address, routes::RESOLVE).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_million_addresses_are_too_many() {
    let (_server, controller) = cluster().await;
    for count in [MAX_ADDRESSES + 1, 1_000_000] {
        let ips: Vec<String> = (0..count).map(|n| IpAddr::V4(u32::try_from(n).unwrap().into()).to_string()).collect();
        let (status, answer) =
            post(controller.address, routes::RESOLVE, json!({"cursor": null, "ips": ips}).to_string()).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
        assert!(parse(&answer)["error"].as_str().unwrap().contains("more than 100000 addresses"), "{answer}");
    }
    let ips = (0..MAX_ADDRESSES).map(|n| IpAddr::V4((0x0af4_0000 + u32::try_from(n).unwrap()).into())).collect();
    let answer = resolve(controller.address, &ResolveRequest { ips, ..ResolveRequest::default() }).await;
    assert_eq!(answer.identities.len(), 256, "the node's range, all known or unknown on n1");
}

#[tokio::test]
async fn ranges_cover_what_is_known_and_not_the_internet() {
    let (_server, controller) = cluster().await;
    let answer = ask(controller.address, None, &[]).await;
    assert_eq!(answer.ranges, ["10.96.0.10/32", "10.244.1.0/24", "192.168.0.1/32"]);
}

#[tokio::test]
async fn people_see_history_and_rivals() {
    let (server, controller) = cluster().await;
    let mut young = pod("shop", "young", &["10.244.1.7"]);
    young["status"]["startTime"] = "2026-11-22T11:00:00Z".into();
    server.put(young);
    until_names(controller.address, PATIENCE, &[("10.244.1.7", "young")]).await;
    let (status, body) = get(controller.address, "/v1/identities/10.244.1.7").await;
    assert_eq!(status, StatusCode::OK);
    let story = parse(&body);
    assert_eq!((&story["ip"], &story["type"], &story["name"]), (&json!("10.244.1.7"), &json!("pod"), &json!("young")));
    assert_eq!(story["previous"][0]["name"], "web-6d4cf56db6-abcde");
    assert_eq!(story["previous"][0]["until"], "2026-11-22T11:00:00Z");
    let rivals: Vec<&str> =
        story["claimants"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(rivals, ["young", "web-6d4cf56db6-abcde"]);

    let (status, body) = get(controller.address, "/v1/identities/8.8.8.8").await;
    assert_eq!((status, &parse(&body)["type"]), (StatusCode::OK, &json!("external")));
    let (status, body) = get(controller.address, "/v1/identities/web").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(parse(&body)["error"], "\"web\" is not an IP address");
    assert_eq!(identity(controller.address, "10.244.1.7").await.unwrap().owner.kind, Kind::Pod);
}

#[tokio::test]
async fn original_agents_get_their_map() {
    let (_server, controller) = cluster().await;
    let (status, body) = get(controller.address, routes::CACHE).await;
    assert_eq!(status, StatusCode::OK);
    let host = |r#type, namespace, name, app, node| json!({"type": r#type, "namespace": namespace, "name": name, "app": app, "nodeIP": node});
    assert_eq!(
        parse(&body),
        json!({
            "10.244.1.7": host("pod", "shop", "web-6d4cf56db6-abcde", "web", "192.168.0.1"),
            "10.96.0.10": host("service", "shop", "web", "web", ""),
            "192.168.0.1": host("node", "", "n1", "", "192.168.0.1"),
            "10.244.1.0": host("network", "", "n1", "", "192.168.0.1"),
            "10.244.1.1": host("gateway", "", "n1", "", "192.168.0.1"),
        })
    );
}
