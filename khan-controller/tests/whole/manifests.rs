//! Small builders of manifests.
#![allow(dead_code, reason = "shared by test programs that each use some of it")]

use serde_json::{Value, json};

/// A UUID that is a function of `text`.
pub(crate) fn uid(text: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let a = hasher.finish();
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        a >> 4 & 0xfff,
        a >> 8 & 0xffff_ffff_ffff
    )
}

/// A running pod of the Deployment `web` on node `n1`.
pub(crate) fn pod(namespace: &str, name: &str, ips: &[&str]) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid(&format!("{namespace}/{name}")),
            "creationTimestamp": "2026-11-22T09:59:58Z",
            "labels": {"app": "web", "pod-template-hash": "6d4cf56db6"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-6d4cf56db6", "uid": "x", "controller": true}],
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {"f:podIPs": {}}}}],
        },
        "spec": {"nodeName": "n1", "containers": [{"name": "web", "image": "web:1"}]},
        "status": {
            "phase": "Running",
            "startTime": "2026-11-22T10:00:00Z",
            "podIP": ips.first(),
            "podIPs": ips.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>(),
        },
    })
}

pub(crate) fn service(namespace: &str, name: &str, cluster_ips: &[&str]) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid(&format!("service {namespace}/{name}")),
            "creationTimestamp": "2026-11-20T00:00:00Z",
            "labels": {"app.kubernetes.io/name": name},
        },
        "spec": {"type": "ClusterIP", "clusterIP": cluster_ips.first(), "clusterIPs": cluster_ips},
        "status": {"loadBalancer": {}},
    })
}

pub(crate) fn service_cidr(name: &str, ranges: &[&str]) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": name, "uid": uid(&format!("servicecidr {name}")), "creationTimestamp": "2026-11-01T00:00:00Z"},
        "spec": {"cidrs": ranges},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// A slice of the service's endpoints, each an address with its conditions: `ready`, `unready` or `terminating`.
pub(crate) fn endpoint_slice(namespace: &str, service: &str, suffix: &str, endpoints: &[(&str, &str)]) -> Value {
    let endpoint = |(ip, state): &(&str, &str)| {
        let terminating = *state == "terminating";
        json!({
            "addresses": [ip],
            "conditions": {"ready": *state == "ready", "serving": *state != "unready", "terminating": terminating},
            "nodeName": "n1",
            "targetRef": {"kind": "Pod", "namespace": namespace, "name": "web-0", "uid": "x"},
            "zone": "a",
        })
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{service}-{suffix}"),
            "namespace": namespace,
            "uid": uid(&format!("slice {namespace}/{service}-{suffix}")),
            "creationTimestamp": "2026-11-20T00:00:00Z",
            "labels": {"kubernetes.io/service-name": service, "app": "web"},
        },
        "addressType": "IPv4",
        "endpoints": endpoints.iter().map(endpoint).collect::<Vec<_>>(),
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    })
}

pub(crate) fn node(name: &str, addresses: &[&str], ranges: &[&str]) -> Value {
    let mut all = vec![json!({"type": "Hostname", "address": name})];
    all.extend(addresses.iter().map(|ip| json!({"type": "InternalIP", "address": ip})));
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "uid": uid(&format!("node {name}")), "creationTimestamp": "2026-11-01T00:00:00Z"},
        "spec": {"podCIDR": ranges.first(), "podCIDRs": ranges},
        "status": {"addresses": all},
    })
}
