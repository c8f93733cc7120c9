//! `ServiceCIDR` objects: ranges where the cluster has them, and no trouble where it has not.

use std::time::Duration;

use khan_api::routes;
use reqwest::StatusCode;
use serde_json::json as value;

use crate::client::{PATIENCE, ask, get, json, metric, until_metric, until_ready, within};
use crate::manifests::{service, service_cidr};
use crate::program::{Controller, Process, text, watching};
use khan_lab::api_server::ApiServer;

const SYNCED: &str = r#"khan_controller_watch_synced{resource="servicecidrs"}"#;
const AGE: &str = r#"khan_controller_watch_age_seconds{resource="servicecidrs"}"#;

async fn until_ranges(controller: &Controller, expected: &[&str]) {
    within(PATIENCE, async || {
        let ranges = ask(controller.address, None, &[]).await.ranges;
        if ranges == expected { Ok(()) } else { Err(ranges) }
    })
    .await;
}

async fn kind(controller: &Controller, ip: &str) -> String {
    let (_, body) = get(controller.address, &format!("/v1/identities/{ip}")).await;
    json(&body)["type"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn both_versions_are_ranges() {
    for version in ["v1", "v1beta1"] {
        let server = ApiServer::start().await;
        server.serve_service_cidrs(version);
        server.put(service("shop", "web", &["10.96.0.10"]));
        server.put(service_cidr("kubernetes", &["10.96.0.0/16", "fd00:96::/112"]));
        let controller = watching(&server).await;
        until_ready(controller.address).await;
        // Ready means that they are in: an answer never takes a deleted service's address for a stranger's first.
        assert_eq!(ask(controller.address, None, &[]).await.ranges, ["10.96.0.0/16", "fd00:96::/112"], "{version}");
        assert_eq!(kind(&controller, "10.96.77.7").await, "unknown");
        assert_eq!(kind(&controller, "10.97.0.1").await, "external");
        assert_eq!(metric(controller.address, SYNCED).await, Some(1.0));
        assert!(metric(controller.address, AGE).await.is_some());
        server.put(service_cidr("more", &["10.100.0.0/16"]));
        until_ranges(&controller, &["10.96.0.0/16", "10.100.0.0/16", "fd00:96::/112"]).await;
        server.delete(service_cidr("more", &[]));
        until_ranges(&controller, &["10.96.0.0/16", "fd00:96::/112"]).await;
    }
}

#[tokio::test]
async fn a_cluster_without_them_is_asked_rarely_and_is_no_trouble() {
    let server = ApiServer::start().await;
    server.put(service("shop", "web", &["10.96.0.10"]));
    let kubeconfig = server.kubeconfig();
    let process = Process::start(&["--kubeconfig", text(kubeconfig.path())]);
    until_ready(process.address).await;
    assert_eq!(get(process.address, routes::READYZ).await, (StatusCode::OK, "ready\n".into()));
    assert_eq!(server.asked("servicecidrs").absent, 2, "once for each version");
    assert_eq!((metric(process.address, SYNCED).await, metric(process.address, AGE).await), (None, None));
    let log = process.log();
    let told: Vec<_> = log.iter().filter(|line| line.contains("servicecidrs")).collect();
    assert!(told.len() == 1 && told[0].contains("INFO"), "{log:?}");
}

#[tokio::test]
async fn they_appear_later_and_go_again() {
    let server = ApiServer::start().await;
    server.put(service("shop", "web", &["10.96.0.10"]));
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    until_ranges(&controller, &["10.96.0.10/32"]).await;
    server.put(service_cidr("kubernetes", &["10.96.0.0/12"]));
    server.serve_service_cidrs("v1beta1");
    until_ranges(&controller, &["10.96.0.0/12"]).await;
    until_metric(controller.address, SYNCED, |synced| synced >= 1.0).await;
    // The next version, while the controller watches the old one.
    server.serve_service_cidrs("v1");
    server.put(service_cidr("kubernetes", &["10.96.0.0/13"]));
    until_ranges(&controller, &["10.96.0.0/13"]).await;
    server.serve_service_cidrs("");
    until_ranges(&controller, &["10.96.0.10/32"]).await;
    within(PATIENCE, async || {
        let (_, body) = get(controller.address, routes::READYZ).await;
        if body == "ready\n" { Ok(()) } else { Err(body) }
    })
    .await;
}

#[tokio::test]
async fn who_may_not_list_them_is_told_and_is_ready() {
    let server = ApiServer::start().await;
    server.put(service("shop", "web", &["10.96.0.10"]));
    server.faults("servicecidrs", |faults| faults.forbid = vec!["list", "watch"]);
    let controller = watching(&server).await;
    let told = "without the list of servicecidrs: not allowed to list servicecidrs: grant the verbs list and watch on \
                servicecidrs.networking.k8s.io";
    within(PATIENCE, async || {
        let (status, body) = get(controller.address, routes::READYZ).await;
        if status == StatusCode::OK && body.contains(told) { Ok(()) } else { Err((status, body)) }
    })
    .await;
    until_ranges(&controller, &["10.96.0.10/32"]).await;
}

#[tokio::test]
async fn a_server_error_keeps_nobody_from_being_ready() {
    let server = ApiServer::start().await;
    server.serve_service_cidrs("v1");
    server.put(service_cidr("kubernetes", &["10.96.0.0/16"]));
    server.faults("servicecidrs", |faults| faults.fail = Some((500, 100_000)));
    let controller = watching(&server).await;
    within(Duration::from_secs(10), async || {
        let (status, body) = get(controller.address, routes::READYZ).await;
        if status == StatusCode::OK && body.contains("without the list of servicecidrs") { Ok(()) } else { Err(body) }
    })
    .await;
    server.faults("servicecidrs", |faults| faults.fail = None);
    until_ranges(&controller, &["10.96.0.0/16"]).await;
}

#[tokio::test]
async fn one_that_cannot_be_understood_is_refused_counted_and_named_once() {
    let server = ApiServer::start().await;
    server.serve_service_cidrs("v1");
    server.put(service("shop", "web", &["10.96.0.10"]));
    server.put(service_cidr("odd", &["10.96.0.0/33"]));
    let kubeconfig = server.kubeconfig();
    let process = Process::start(&["--kubeconfig", text(kubeconfig.path())]);
    until_ready(process.address).await;
    let refused = r#"khan_controller_objects_refused_total{resource="servicecidrs"}"#;
    assert_eq!(metric(process.address, refused).await, Some(1.0));
    let mut again = service_cidr("odd", &["10.96.0.0/33"]);
    again["metadata"]["labels"] = value!({"changed": "yes"});
    server.put(again);
    until_metric(process.address, refused, |count| count >= 2.0).await;
    assert_eq!(ask(process.address, None, &[]).await.ranges, ["10.96.0.10/32"], "and nothing covers everything");
    let log = process.log();
    let told = log.iter().filter(|line| line.contains(r#"spec.cidrs is "10.96.0.0/33", which is not a CIDR"#));
    assert_eq!(told.count(), 1, "{log:?}");
}
