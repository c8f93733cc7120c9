//! `--from-file` and `--external-names`: every form that kubectl writes, and reloading.

use std::io::Write;
use std::path::Path;

use khan_api::{Kind, NodePort, Protocol, ResolveRequest};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{PATIENCE, ask, identity, names, resolve, until_metric, until_names, until_ready};
use crate::manifests::{node, pod, service, service_cidr};
use crate::program::{Controller, start, text};

fn cluster() -> Vec<Value> {
    vec![
        pod("shop", "web", &["10.244.1.7", "fd00:244:1::7"]),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "not-of-interest"}}),
        service("shop", "shop-service", &["10.96.0.10"]),
        node("n1", &["192.168.0.1"], &["10.244.1.0/24"]),
    ]
}

fn list(items: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items})
}

/// Replaces the file in one step, as tools that are careful do.
fn replace(path: &Path, content: &str) {
    let mut new = tempfile::NamedTempFile::new_in(path.parent().unwrap()).unwrap();
    new.write_all(content.as_bytes()).unwrap();
    new.persist(path).unwrap();
}

async fn of(content: &str) -> (TempDir, Controller) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cluster");
    replace(&path, content);
    let controller = start(&["--from-file", text(&path)]).await;
    (folder, controller)
}

async fn has_all(content: &str) {
    let (_folder, controller) = of(content).await;
    until_ready(controller.address).await;
    let found =
        names(controller.address, &["10.244.1.7", "fd00:244:1::7", "10.96.0.10", "192.168.0.1", "10.244.1.1"]).await;
    assert_eq!(found, ["web", "web", "shop-service", "n1", "n1"], "{content}");
}

#[tokio::test]
async fn every_form_that_kubectl_writes() {
    has_all(&list(&cluster()).to_string()).await;
    has_all(&serde_json::to_string_pretty(&list(&cluster())).unwrap()).await;
    has_all(&serde_saphyr::to_string(&list(&cluster())).unwrap()).await;
    let documents = cluster().into_iter().map(|object| format!("---\n{}", serde_saphyr::to_string(&object).unwrap()));
    has_all(&documents.collect::<String>()).await;
    has_all(&format!("{}\n---\n", serde_saphyr::to_string(&list(&cluster())).unwrap())).await;
    has_all(&cluster().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")).await;
    // A raw answer of the API server, where the items have no kind of their own.
    let lists = cluster().into_iter().map(|mut object| {
        let kind = format!("{}List", object["kind"].as_str().unwrap());
        object.as_object_mut().unwrap().remove("kind");
        json!({"kind": kind, "items": [object]}).to_string()
    });
    has_all(&lists.filter(|text| !text.contains("ConfigMap")).collect::<Vec<_>>().join("\n")).await;
}

#[tokio::test]
async fn service_ranges_of_a_file() {
    let mut with_range = cluster();
    with_range.push(service_cidr("kubernetes", &["10.96.0.0/16"]));
    let (_folder, controller) = of(&list(&with_range).to_string()).await;
    let ranges = ask(controller.address, None, &[]).await.ranges;
    assert_eq!(ranges, ["10.96.0.0/16", "10.244.1.0/24", "192.168.0.1/32", "fd00:244:1::/112"]);
}

#[tokio::test]
async fn node_ports_of_a_file() {
    let mut service = service("shop", "web", &["10.96.0.10"]);
    service["spec"]["ports"] = json!([{"port": 80, "protocol": "TCP", "nodePort": 30080}]);
    for content in [service.to_string(), serde_saphyr::to_string(&service).unwrap()] {
        let (_folder, controller) = of(&content).await;
        let node_ports = vec![NodePort { port: 30080, protocol: Protocol::Tcp }];
        let request = ResolveRequest { node_ports, ..ResolveRequest::default() };
        let answer = resolve(controller.address, &request).await;
        assert_eq!(answer.node_ports[0].name, "web", "{content}");
    }
}

#[tokio::test]
async fn app_labels_in_the_order_given() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cluster");
    let mut labelled = pod("shop", "web", &["10.244.1.7"]);
    labelled["metadata"]["labels"] = json!({"app": "a", "team/app": "t", "k8s-app": "k"});
    replace(&path, &labelled.to_string());
    for (labels, app) in [("team/app,app", "t"), ("missing, k8s-app,app", "k"), ("missing", "")] {
        let controller = start(&["--from-file", text(&path), "--app-labels", labels]).await;
        assert_eq!(identity(controller.address, "10.244.1.7").await.unwrap().owner.app, app, "{labels}");
    }
}

#[tokio::test]
async fn a_change_is_read_and_a_bad_one_is_not() {
    let (folder, controller) = of(&list(&cluster()).to_string()).await;
    let path = folder.path().join("cluster");
    assert_eq!(names(controller.address, &["10.244.1.7", "10.244.1.8"]).await, ["web", ""]);

    let mut changed = cluster();
    changed[0] = pod("shop", "other", &["10.244.1.8"]);
    replace(&path, &list(&changed).to_string());
    until_names(controller.address, PATIENCE, &[("10.244.1.7", ""), ("10.244.1.8", "other")]).await;

    replace(&path, "{\"kind\": \"List\", \"items\": [");
    let failures = r#"khan_controller_file_reloads_total{flag="--from-file",result="failure"}"#;
    until_metric(controller.address, failures, |count| count >= 1.0).await;
    assert_eq!(names(controller.address, &["10.244.1.8"]).await, ["other"]);

    std::fs::remove_file(&path).unwrap();
    until_metric(controller.address, failures, |count| count >= 2.0).await;
    assert_eq!(names(controller.address, &["10.244.1.8"]).await, ["other"]);

    // The same length in the same second, written in place.
    changed[0] = pod("shop", "thero", &["10.244.1.8"]);
    std::fs::write(&path, list(&changed).to_string()).unwrap();
    until_names(controller.address, PATIENCE, &[("10.244.1.8", "thero")]).await;
}

#[tokio::test]
async fn operators_name_what_is_outside() {
    let folder = TempDir::new().unwrap();
    let (path, named) = (folder.path().join("cluster.json"), folder.path().join("names"));
    replace(&path, &list(&cluster()).to_string());
    replace(&named, "203.0.113.0/24 office\n203.0.113.128/25 lab\n10.0.0.0/8 corp\n");
    let controller = start(&["--from-file", text(&path), "--external-names", text(&named)]).await;
    let name = async |ip| identity(controller.address, ip).await.map(|found| (found.owner.kind, found.owner.name));
    assert_eq!(name("203.0.113.1").await, Some((Kind::External, "office".into())));
    assert_eq!(name("203.0.113.200").await, Some((Kind::External, "lab".into())));
    assert_eq!(name("10.9.9.9").await, Some((Kind::External, "corp".into())));
    assert_eq!(name("10.244.1.7").await, Some((Kind::Pod, "web".into())), "the cluster's own names come first");
    assert_eq!(
        name("10.244.1.99").await,
        Some((Kind::Unknown, khan_api::Name::default())),
        "also inside its pod ranges"
    );
    assert_eq!(name("8.8.8.8").await, None);

    replace(&named, "8.8.8.0/24 resolver khan/max-connections=40\n");
    until_names(controller.address, PATIENCE, &[("8.8.8.8", "resolver"), ("203.0.113.1", "")]).await;
    let limit = identity(controller.address, "8.8.8.8").await.and_then(|found| found.limit);
    assert_eq!(limit.map(std::num::NonZeroU32::get), Some(40));
    replace(&named, "8.8.8.0/24\n");
    let failures = r#"khan_controller_file_reloads_total{flag="--external-names",result="failure"}"#;
    until_metric(controller.address, failures, |count| count >= 1.0).await;
    assert_eq!(names(controller.address, &["8.8.8.8"]).await, ["resolver"]);
}
