//! What the API server tells reaches answers: soon, completely, and only what is true.

use std::collections::BTreeSet;
use std::time::Duration;

use khan_api::{Kind, routes};

use crate::client::{PATIENCE, get, identity, metric, names, until_metric, until_names, until_ready, within};
use crate::manifests::{node, pod, service};
use crate::program::watching;
use khan_lab::api_server::{ApiServer, Streaming};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_new_pod_is_named_within_a_second_and_a_deleted_one_is_gone() {
    let server = ApiServer::start().await;
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    let web = pod("shop", "web-6d4cf56db6-abcde", &["10.244.1.7"]);
    server.put(web.clone());
    until_names(controller.address, SECOND, &[("10.244.1.7", "web-6d4cf56db6-abcde")]).await;
    let found = identity(controller.address, "10.244.1.7").await.unwrap();
    assert_eq!(
        serde_json::to_value(&found).unwrap(),
        serde_json::json!({"type": "pod", "ns": "shop", "app": "web", "workload": "web", "name": "web-6d4cf56db6-abcde",
            "node": "n1", "since": "2026-11-22T10:00:00Z", "previous": []})
    );
    server.delete(web);
    until_names(controller.address, SECOND, &[("10.244.1.7", "")]).await;
    let ghost = identity(controller.address, "10.244.1.7").await.unwrap();
    assert_eq!((ghost.owner.kind, ghost.previous[0].owner.name.as_str()), (Kind::Unknown, "web-6d4cf56db6-abcde"));
}

#[tokio::test]
async fn a_limit_follows_its_annotation_and_an_odd_one_is_counted() {
    let server = ApiServer::start().await;
    let annotated = |value: &str| {
        let mut db = pod("data", "db-0", &["10.244.1.7"]);
        db["metadata"]["annotations"] = serde_json::json!({"khan/max-connections": value});
        db
    };
    server.put(annotated("100"));
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    let limit = async || identity(controller.address, "10.244.1.7").await.and_then(|found| found.limit);
    assert_eq!(limit().await.map(std::num::NonZeroU32::get), Some(100));
    let refused = r#"khan_controller_limits_refused_total{resource="pods"}"#;
    assert_eq!(metric(controller.address, refused).await, None);
    server.put(annotated("a hundred"));
    until_metric(controller.address, refused, |n| n >= 1.0).await;
    let found = identity(controller.address, "10.244.1.7").await.unwrap();
    assert_eq!((found.owner.name.as_str(), found.limit), ("db-0", None));
    let skipped = r#"khan_controller_objects_refused_total{resource="pods"}"#;
    assert_eq!(metric(controller.address, skipped).await, None, "the object itself is fine");
}

/// More destinations than one piece of the page holds, and two with the same labels.
#[tokio::test]
async fn every_limit_is_on_the_page_once() {
    let server = ApiServer::start().await;
    let annotated = |mut object: serde_json::Value, value: &str| {
        object["metadata"]["annotations"] = serde_json::json!({"khan/max-connections": value});
        object
    };
    for n in 0..300 {
        server
            .put(annotated(pod("data", &format!("db-{n}"), &[&format!("10.244.{}.{}", n / 200, 1 + n % 200)]), "100"));
    }
    server.put(pod("data", "free", &["10.244.9.1"]));
    let mut twin = annotated(pod("data", "twin", &["10.244.9.2"]), "70");
    twin["metadata"]["labels"]["app"] = "twin".into();
    server.put(twin);
    server.put(annotated(service("data", "twin", &["10.96.0.10"]), "60"));
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    let page = async || get(controller.address, routes::METRICS).await.1;
    let lines = |page: &str| -> Vec<String> {
        page.lines().filter(|line| line.starts_with("khan_connection_limit{")).map(str::to_owned).collect()
    };
    let first = page().await;
    assert_eq!(first.matches("# TYPE khan_connection_limit gauge\n").count(), 1);
    let told = lines(&first);
    let labels: BTreeSet<_> = told.iter().filter_map(|line| line.split_once("} ")).map(|(labels, _)| labels).collect();
    assert_eq!((told.len(), labels.len()), (301, 301), "{told:#?}");
    let series =
        |app: &str, name: &str| format!(r#"khan_connection_limit{{dst_ns="data",dst_app="{app}",dst_name="{name}"}}"#);
    assert!(told.contains(&format!("{} 100", series("web", "db-7"))), "{told:#?}");
    assert_eq!(metric(controller.address, &series("twin", "twin")).await, Some(60.0), "the smaller of the two");
    server.delete(service("data", "twin", &["10.96.0.10"]));
    until_metric(controller.address, &series("twin", "twin"), |limit| limit > 60.0).await;
    server.put(pod("data", "db-7", &["10.244.0.8"]));
    within(PATIENCE, async || match metric(controller.address, &series("web", "db-7")).await {
        None => Ok(()),
        Some(limit) => Err(limit),
    })
    .await;
}

#[tokio::test]
async fn all_five_types_of_both_families() {
    let server = ApiServer::start().await;
    server.put(node("n1", &["192.168.0.1", "fd00:1::1"], &["10.244.1.0/24", "fd00:244:1::/64"]));
    server.put(service("shop", "web", &["10.96.0.10", "fd00:96::a"]));
    server.put(pod("shop", "web-6d4cf56db6-abcde", &["10.244.1.7", "fd00:244:1::7"]));
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    for (ip, kind, name) in [
        ("192.168.0.1", Kind::Node, "n1"),
        ("fd00:1::1", Kind::Node, "n1"),
        ("10.96.0.10", Kind::Service, "web"),
        ("fd00:96::a", Kind::Service, "web"),
        ("10.244.1.7", Kind::Pod, "web-6d4cf56db6-abcde"),
        ("fd00:244:1::7", Kind::Pod, "web-6d4cf56db6-abcde"),
        ("10.244.1.0", Kind::Network, "n1"),
        ("fd00:244:1::", Kind::Network, "n1"),
        ("10.244.1.1", Kind::Gateway, "n1"),
        ("fd00:244:1::1", Kind::Gateway, "n1"),
    ] {
        let found = identity(controller.address, ip).await.unwrap();
        assert_eq!((found.owner.kind, found.owner.name.as_str()), (kind, name), "{ip}");
    }
    let nobody = identity(controller.address, "10.244.1.99").await.unwrap();
    assert_eq!((nobody.owner.kind, nobody.owner.node.as_str()), (Kind::Unknown, "n1"));
    assert_eq!(identity(controller.address, "8.8.8.8").await, None);
}

#[tokio::test]
async fn host_network_and_finished_pods_never_appear() {
    let server = ApiServer::start().await;
    server.put(node("n1", &["192.168.0.1"], &["10.244.1.0/24"]));
    let mut host = pod("kube-system", "kube-proxy-x", &["192.168.0.1"]);
    host["spec"]["hostNetwork"] = true.into();
    let mut done = pod("shop", "job-1", &["10.244.1.8"]);
    done["status"]["phase"] = "Succeeded".into();
    server.put(host.clone());
    server.put(done);
    let mut running = pod("shop", "job-2", &["10.244.1.9"]);
    server.put(running.clone());
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    let all = ["192.168.0.1", "10.244.1.8", "10.244.1.9"];
    assert_eq!(names(controller.address, &all).await, ["n1", "", "job-2"]);
    // Both again as events, and one that finishes while it is watched.
    host["metadata"]["annotations"] = serde_json::json!({"x": "y"});
    server.put(host);
    running["status"]["phase"] = "Failed".into();
    server.put(running);
    until_names(controller.address, SECOND, &[("10.244.1.9", "")]).await;
    assert_eq!(names(controller.address, &all).await, ["n1", "", ""]);
}

#[tokio::test]
async fn lists_come_in_pages_where_the_server_does_not_stream() {
    let server = ApiServer::start().await;
    for resource in ["pods", "services", "nodes"] {
        server.faults(resource, |faults| faults.streaming = Streaming::Refused);
    }
    for number in 1..=20 {
        server.put(pod("shop", &format!("web-6d4cf56db6-{number:05}"), &[&format!("10.244.1.{number}")]));
    }
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    assert_eq!(
        names(controller.address, &["10.244.1.1", "10.244.1.20"]).await,
        ["web-6d4cf56db6-00001", "web-6d4cf56db6-00020"]
    );
    let asked = server.asked("pods");
    assert_eq!((asked.lists, asked.largest_page, asked.streamed), (7, 3, 1));
    // The watch goes on where the list ended.
    server.put(pod("shop", "late", &["10.244.1.99"]));
    until_names(controller.address, SECOND, &[("10.244.1.99", "late")]).await;
}

#[tokio::test]
async fn lists_are_streamed_where_the_server_can() {
    let server = ApiServer::start().await;
    server.put(pod("shop", "web", &["10.244.1.7"]));
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    assert_eq!(names(controller.address, &["10.244.1.7"]).await, ["web"]);
    let asked = server.asked("pods");
    assert_eq!((asked.lists, asked.streamed), (0, 1));
}

/// Whatever a server does instead of streaming a list, the list is read in pages, and nobody tries to stream it again.
#[tokio::test]
async fn a_list_that_cannot_be_streamed_is_read_in_pages_whatever_the_server_says() {
    let ways = [
        Streaming::Refused,
        Streaming::Unsupported,
        Streaming::Fails,
        Streaming::Silent,
        Streaming::Cut,
        Streaming::Short,
        Streaming::Endless,
    ];
    futures::future::join_all(ways.map(async |way| {
        let server = ApiServer::start().await;
        server.faults("pods", |faults| faults.streaming = way);
        server.put(pod("shop", "web", &["10.244.1.7"]));
        let controller = watching(&server).await;
        until_ready(controller.address).await;
        assert_eq!(names(controller.address, &["10.244.1.7"]).await, ["web"], "{way:?}");
        // Both ways take turns until one works, so on a busy machine there may be more than one of each.
        let first = server.asked("pods");
        assert!(first.lists >= 1 && first.streamed >= 1, "{way:?}: {first:?}");
        let restarts = r#"khan_controller_watch_restarts_total{reason="no_streaming",resource="pods"}"#;
        assert!(metric(controller.address, restarts).await.unwrap() >= 1.0, "{way:?}");
        server.put(pod("shop", "late", &["10.244.1.8"]));
        until_names(controller.address, PATIENCE, &[("10.244.1.8", "late")]).await;
        // The next list begins with pages.
        server.forget_silently(&pod("shop", "late", &["10.244.1.8"]));
        server.expire("pods");
        until_names(controller.address, PATIENCE, &[("10.244.1.7", "web"), ("10.244.1.8", "")]).await;
        let asked = server.asked("pods");
        assert!(asked.streamed == first.streamed && asked.lists > first.lists, "{way:?}: {first:?}, {asked:?}");
    }))
    .await;
}

/// A server that streams may be replaced by one that does not, while the controller runs.
#[tokio::test]
async fn a_server_that_streamed_once_may_refuse_later() {
    let server = ApiServer::start().await;
    let (kept, lost) = (pod("shop", "kept", &["10.244.1.7"]), pod("shop", "lost", &["10.244.1.8"]));
    server.put(kept);
    server.put(lost.clone());
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    assert_eq!(server.asked("pods").lists, 0);
    server.faults("pods", |faults| faults.streaming = Streaming::Unsupported);
    server.forget_silently(&lost);
    server.expire("pods");
    until_names(controller.address, PATIENCE, &[("10.244.1.7", "kept"), ("10.244.1.8", "")]).await;
    let asked = server.asked("pods");
    assert_eq!((asked.streamed, asked.lists), (2, 1));
}

#[tokio::test]
async fn what_vanished_while_nobody_watched_is_gone_after_the_next_list() {
    let server = ApiServer::start().await;
    let (kept, lost) = (pod("shop", "kept", &["10.244.1.7"]), pod("shop", "lost", &["10.244.1.8"]));
    server.put(kept);
    server.put(lost.clone());
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    server.forget_silently(&lost);
    server.expire("pods");
    until_names(controller.address, PATIENCE, &[("10.244.1.7", "kept"), ("10.244.1.8", "")]).await;
    until_metric(
        controller.address,
        r#"khan_controller_watch_restarts_total{reason="gone",resource="pods"}"#,
        |restarts| restarts >= 1.0,
    )
    .await;
}

#[tokio::test]
async fn the_page_of_metrics_tells_sizes() {
    let server = ApiServer::start().await;
    server.put(node("n1", &["192.168.0.1"], &["10.244.1.0/24"]));
    server.put(service("shop", "web", &["10.96.0.10"]));
    server.put(pod("shop", "web", &["10.244.1.7"]));
    server.put(pod("shop", "rival", &["10.244.1.7"]));
    server.put(pod("shop", "gone", &["10.244.1.8"]));
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    server.delete(pod("shop", "gone", &["10.244.1.8"]));
    until_metric(controller.address, "khan_controller_tombstones", |count| count >= 1.0).await;
    names(controller.address, &["10.244.1.7", "8.8.8.8"]).await;
    for (series, value) in [
        (r#"khan_controller_objects{resource="pods"}"#, 2.0),
        (r#"khan_controller_objects{resource="nodes"}"#, 1.0),
        (r#"khan_controller_addresses{type="pod"}"#, 1.0),
        (r#"khan_controller_addresses{type="gateway"}"#, 1.0),
        ("khan_controller_conflicts", 1.0),
        (r#"khan_controller_watch_synced{resource="services"}"#, 1.0),
        (r#"khan_controller_resolve_requests_total{code="200"}"#, 1.0),
        ("khan_controller_resolve_duration_seconds_count", 1.0),
        ("khan_controller_resolve_addresses_total", 2.0),
    ] {
        assert_eq!(metric(controller.address, series).await, Some(value), "{series}");
    }
    // Five addresses that got an owner, one that got a better one or not by who came first, one that lost its own, a range.
    assert!(metric(controller.address, "khan_controller_revision").await.unwrap() >= 7.0);
    assert!(metric(controller.address, r#"khan_controller_watch_age_seconds{resource="pods"}"#).await.unwrap() < 5.0);
}
