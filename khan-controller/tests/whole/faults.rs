//! The API server fails in every way it can; the controller keeps what it knows, says what is wrong, and comes back.

use std::time::Duration;

use khan_api::routes;
use reqwest::StatusCode;
use serde_json::json as value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::{
    PATIENCE, get, identity, json, metric, names, post, until_metric, until_names, until_ready, within,
};
use crate::manifests::{node, pod, service};
use crate::program::{Process, start, text, watching};
use khan_lab::api_server::{ApiServer, Streaming, kubeconfig};

fn restarts(reason: &str, resource: &str) -> String {
    format!("khan_controller_watch_restarts_total{{reason=\"{reason}\",resource=\"{resource}\"}}")
}

/// Waits until `/readyz` answers `status` with a body that holds every part of `told`.
async fn until_readyz(address: std::net::SocketAddr, status: StatusCode, told: &[&str]) {
    within(PATIENCE, async || {
        let (got, body) = get(address, routes::READYZ).await;
        if got == status && told.iter().all(|part| body.contains(part)) { Ok(()) } else { Err((got, body)) }
    })
    .await;
}

#[tokio::test]
async fn gone_at_the_start() {
    let address = ApiServer::free_address().await;
    let kubeconfig = kubeconfig(address);
    let controller = start(&["--kubeconfig", text(kubeconfig.path())]).await;
    let told = ["the list of pods: cannot", "the list of services: cannot", "the list of nodes: cannot"];
    until_readyz(controller.address, StatusCode::SERVICE_UNAVAILABLE, &told).await;
    assert_eq!(get(controller.address, routes::LIVEZ).await.0, StatusCode::OK, "it waits, it is not dead");
    // "Nobody has this address" would be a lie now, and take names away from agents that have them.
    let body = r#"{"cursor":"7-9","ips":["10.244.1.7"]}"#;
    for (status, body) in [
        post(controller.address, routes::RESOLVE, body.into()).await,
        get(controller.address, "/v1/identities/10.244.1.7").await,
        get(controller.address, routes::CACHE).await,
    ] {
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
        assert!(json(&body)["error"].as_str().unwrap().contains("not ready: waiting for the list of pods: cannot"));
    }
    let refused = r#"khan_controller_resolve_requests_total{code="503"}"#;
    assert_eq!(metric(controller.address, refused).await, Some(1.0));
    let server = ApiServer::start_on(address).await;
    server.put(pod("shop", "web", &["10.244.1.7"]));
    until_ready(controller.address).await;
    until_names(controller.address, PATIENCE, &[("10.244.1.7", "web")]).await;
    assert!(metric(controller.address, &restarts("connection", "pods")).await.unwrap() >= 1.0);
}

#[tokio::test]
async fn gone_later() {
    let server = ApiServer::start().await;
    server.put(pod("shop", "web", &["10.244.1.7"]));
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    server.stop();
    until_readyz(
        controller.address,
        StatusCode::OK,
        &["without the watch of pods: cannot", "without the watch of nodes: cannot", "serving stale data"],
    )
    .await;
    assert_eq!(names(controller.address, &["10.244.1.7"]).await, ["web"], "it keeps answering");
    until_metric(controller.address, r#"khan_controller_watch_age_seconds{resource="pods"}"#, |age| age > 1.0).await;
    // What happens meanwhile is told when it is back; a resource without news is no longer called lost either.
    server.put(pod("shop", "late", &["10.244.1.8"]));
    server.restart().await;
    until_names(controller.address, PATIENCE, &[("10.244.1.7", "web"), ("10.244.1.8", "late")]).await;
    within(PATIENCE, async || {
        let (_, body) = get(controller.address, routes::READYZ).await;
        if body == "ready\n" { Ok(()) } else { Err(body) }
    })
    .await;
}

#[tokio::test]
async fn too_many_requests_and_server_errors() {
    let server = ApiServer::start().await;
    server.put(pod("shop", "web", &["10.244.1.7"]));
    server.put(node("n1", &["192.168.0.1"], &[]));
    server.faults("pods", |faults| faults.fail = Some((429, 4)));
    server.faults("nodes", |faults| faults.fail = Some((500, 4)));
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    assert_eq!(names(controller.address, &["10.244.1.7", "192.168.0.1"]).await, ["web", "n1"]);
    assert!(metric(controller.address, &restarts("throttled", "pods")).await.unwrap() >= 1.0);
    assert!(metric(controller.address, &restarts("server_error", "nodes")).await.unwrap() >= 1.0);
}

#[tokio::test]
async fn forbidden_for_one_resource() {
    let server = ApiServer::start().await;
    server.put(pod("shop", "web", &["10.244.1.7"]));
    server.put(service("shop", "web-service", &["10.96.0.10"]));
    server.put(node("n1", &["192.168.0.1"], &[]));
    server.faults("nodes", |faults| faults.forbid = vec!["list", "watch"]);
    let controller = watching(&server).await;
    let told = ["without the list of nodes: not allowed to list nodes: grant the verbs list and watch on nodes"];
    until_readyz(controller.address, StatusCode::OK, &told).await;
    let all = ["10.244.1.7", "10.96.0.10", "192.168.0.1"];
    assert_eq!(names(controller.address, &all).await, ["web", "web-service", ""], "the rest is served");
    assert_eq!(metric(controller.address, r#"khan_controller_watch_synced{resource="nodes"}"#).await, Some(0.0));
    server.faults("nodes", |faults| faults.forbid.clear());
    until_names(controller.address, PATIENCE, &[("192.168.0.1", "n1")]).await;
}

#[tokio::test]
async fn forbidden_to_watch_what_it_may_list() {
    let server = ApiServer::start().await;
    server.put(node("n1", &["192.168.0.1"], &[]));
    server.faults("nodes", |faults| faults.forbid = vec!["watch"]);
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    until_names(controller.address, PATIENCE, &[("192.168.0.1", "n1")]).await;
    let told = ["without the watch of nodes: not allowed to watch nodes: grant the verbs list and watch on nodes"];
    until_readyz(controller.address, StatusCode::OK, &told).await;
}

#[tokio::test]
async fn forbidden_altogether() {
    let server = ApiServer::start().await;
    for resource in ["pods", "services", "nodes"] {
        server.faults(resource, |faults| faults.forbid = vec!["list", "watch"]);
    }
    let controller = watching(&server).await;
    let told = ["not allowed to list pods", "not allowed to list services", "not allowed to list nodes"];
    until_readyz(controller.address, StatusCode::SERVICE_UNAVAILABLE, &told).await;
}

#[tokio::test]
async fn a_watch_that_hangs_silently() {
    let server = ApiServer::start().await;
    server.put(pod("shop", "web", &["10.244.1.7"]));
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    until_metric(controller.address, r#"khan_controller_watch_synced{resource="pods"}"#, |synced| synced > 0.0).await;
    let before = server.asked("pods").watches;
    server.faults("pods", |faults| faults.hang = true);
    server.put(pod("shop", "late", &["10.244.1.8"]));
    // The open watch never speaks again; one that is opened later does.
    within(PATIENCE, async || {
        let now = server.asked("pods").watches;
        if now > before { Ok(()) } else { Err(now) }
    })
    .await;
    server.faults("pods", |faults| faults.hang = false);
    until_names(controller.address, PATIENCE, &[("10.244.1.7", "web"), ("10.244.1.8", "late")]).await;
}

#[tokio::test]
async fn a_list_that_is_cut_in_the_middle() {
    let server = ApiServer::start().await;
    server.faults("pods", |faults| {
        faults.streaming = Streaming::Refused;
        faults.cut_lists = 3;
    });
    for number in 1..=10 {
        server.put(pod("shop", &format!("web-{number}"), &[&format!("10.244.1.{number}")]));
    }
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    assert_eq!(names(controller.address, &["10.244.1.1", "10.244.1.10"]).await, ["web-1", "web-10"]);
}

#[tokio::test]
async fn a_list_that_does_not_go_on() {
    let server = ApiServer::start().await;
    server.faults("pods", |faults| {
        faults.streaming = Streaming::Refused;
        faults.stall_lists = true;
    });
    server.put(pod("shop", "web", &["10.244.1.7"]));
    let controller = watching(&server).await;
    let told = ["the list of pods: listing pods stalled"];
    until_readyz(controller.address, StatusCode::SERVICE_UNAVAILABLE, &told).await;
    server.faults("pods", |faults| faults.stall_lists = false);
    until_ready(controller.address).await;
    until_names(controller.address, PATIENCE, &[("10.244.1.7", "web")]).await;
}

#[tokio::test]
async fn a_new_list_that_is_cut_takes_nothing_away() {
    let server = ApiServer::start().await;
    server.faults("pods", |faults| faults.streaming = Streaming::Refused);
    let pods: Vec<_> = (1..=10).map(|n| pod("shop", &format!("web-{n}"), &[&format!("10.244.1.{n}")])).collect();
    for pod in &pods {
        server.put(pod.clone());
    }
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    server.forget_silently(&pods[0]);
    server.faults("pods", |faults| faults.cut_lists = 3);
    server.expire("pods");
    until_names(controller.address, PATIENCE, &[("10.244.1.1", ""), ("10.244.1.10", "web-10")]).await;
    // Whoever was gone for as long as half a list was known would be a previous owner.
    assert_eq!(metric(controller.address, "khan_controller_tombstones").await, Some(1.0));
}

#[tokio::test]
async fn a_streamed_list_and_a_watch_that_are_cut_in_the_middle_of_an_event() {
    let server = ApiServer::start().await;
    for number in 1..=10 {
        server.put(pod("shop", &format!("web-{number}"), &[&format!("10.244.1.{number}")]));
    }
    server.faults("pods", |faults| faults.cut_watches = 2);
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    assert_eq!(names(controller.address, &["10.244.1.1", "10.244.1.10"]).await, ["web-1", "web-10"]);
    assert!(metric(controller.address, &restarts("no_streaming", "pods")).await.unwrap() >= 1.0);
    // A watch that ends early is nothing unusual: it goes on where it was.
    let before = server.asked("pods").watches;
    server.faults("pods", |faults| faults.cut_watches = 1);
    server.put(pod("shop", "late", &["10.244.1.99"]));
    until_names(controller.address, PATIENCE, &[("10.244.1.1", "web-1"), ("10.244.1.99", "late")]).await;
    assert!(server.asked("pods").watches > before);
}

#[tokio::test]
async fn objects_that_cannot_be_understood() {
    let server = ApiServer::start().await;
    let mut odd = [
        pod("shop", "odd-status", &[]),
        pod("shop", "odd-address", &["10.244.1.600"]),
        pod("shop", "odd-label", &["10.244.1.6"]),
    ];
    odd[0]["status"] = value!(7);
    odd[2]["metadata"]["labels"] = value!({"app": ["web"]});
    for object in odd {
        server.put(object);
    }
    server.put(pod("shop", "web", &["10.244.1.7"]));
    let kubeconfig = server.kubeconfig();
    let process = Process::start(&["--kubeconfig", text(kubeconfig.path())]);
    until_ready(process.address).await;
    assert_eq!(names(process.address, &["10.244.1.7", "10.244.1.6"]).await, ["web", ""]);
    let refused = r#"khan_controller_objects_refused_total{resource="pods"}"#;
    assert_eq!(metric(process.address, refused).await, Some(3.0));
    let log = process.log().join("\n");
    for (name, reason) in [
        ("shop/odd-status", "status is not an object"),
        ("shop/odd-address", "status.podIPs[].ip is \"10.244.1.600\", which is not an IP address"),
        ("shop/odd-label", "metadata.labels is not text"),
    ] {
        assert!(log.lines().any(|line| line.contains(name) && line.contains(reason)), "{name}: {log}");
    }
    // An update that cannot be understood leaves what was known, also across a new list.
    let mut odd = pod("shop", "web", &["10.244.1.7"]);
    odd["status"] = value!("fine");
    server.put(odd);
    until_metric(process.address, refused, |count| count >= 4.0).await;
    server.expire("pods");
    until_metric(process.address, refused, |count| count >= 8.0).await;
    assert_eq!(identity(process.address, "10.244.1.7").await.unwrap().owner.name, "web");
}

#[tokio::test]
async fn sigterm_while_a_list_is_read() {
    let server = ApiServer::start().await;
    server.faults("pods", |faults| {
        faults.streaming = Streaming::Refused;
        faults.stall_lists = true;
    });
    server.put(pod("shop", "web", &["10.244.1.7"]));
    let kubeconfig = server.kubeconfig();
    let mut process = Process::start(&["--kubeconfig", text(kubeconfig.path())]);
    within(PATIENCE, async || if server.asked("pods").lists > 0 { Ok(()) } else { Err("no list yet") }).await;
    process.signal("TERM");
    assert_eq!(process.ended(PATIENCE).await, Some(0));
}

#[tokio::test]
async fn sigterm_while_a_new_list_is_read() {
    let server = ApiServer::start().await;
    server.put(pod("shop", "web", &["10.244.1.7"]));
    server.faults("pods", |faults| faults.streaming = Streaming::Refused);
    let kubeconfig = server.kubeconfig();
    let mut process = Process::start(&["--kubeconfig", text(kubeconfig.path())]);
    until_ready(process.address).await;
    let before = server.asked("pods").lists;
    server.faults("pods", |faults| faults.stall_lists = true);
    server.expire("pods");
    within(PATIENCE, async || if server.asked("pods").lists > before { Ok(()) } else { Err("no list yet") }).await;
    assert_eq!(names(process.address, &["10.244.1.7"]).await, ["web"], "it answers meanwhile");
    process.signal("TERM");
    assert_eq!(process.ended(PATIENCE).await, Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let server = ApiServer::start().await;
    let kubeconfig = server.kubeconfig();
    let mut process = Process::start(&["--kubeconfig", text(kubeconfig.path())]);
    // A request that is being served keeps it for the time that draining may take.
    let mut stream = TcpStream::connect(process.address).await.unwrap();
    stream.write_all(b"POST /v1/resolve HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{").await.unwrap();
    until_ready(process.address).await;
    process.signal("TERM");
    within(PATIENCE, async || {
        let log = process.log();
        if log.iter().any(|line| line.contains("Stopping")) { Ok(()) } else { Err(log) }
    })
    .await;
    process.signal("TERM");
    assert_eq!(process.ended(Duration::from_secs(2)).await, Some(128 + 15));
}
