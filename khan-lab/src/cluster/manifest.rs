//! The plan as `kubectl get pods,services,nodes,endpointslices -A -o json` would print it.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::Addresses;
use super::plan::{self, Plan, Pod, Service, Stage, Workload};

const CREATED: &str = "2026-11-20T08:00:00Z";

pub(super) fn list(plan: &Plan) -> Value {
    let pods = plan.pods.iter().filter(|pod| pod.stage != Stage::Deleted).map(|object| pod(plan, object));
    let services = plan.services.iter().map(|object| service(plan, object));
    let slices = plan.services.iter().flat_map(|object| slices(plan, object));
    let items: Vec<Value> = pods.chain(services).chain(slices).chain((1..=plan.nodes).map(node)).collect();
    json!({ "apiVersion": "v1", "kind": "List", "metadata": { "resourceVersion": "" }, "items": items })
}

fn pod(plan: &Plan, pod: &Pod) -> Value {
    let addresses = plan.pod_addresses(&pod.name).expect("a pod of this plan");
    let host = plan::node_addresses(pod.node);
    let hash = plan::template_hash(&pod.app);
    let mut labels = json!({ "app": pod.app });
    let (kind, owner) = match pod.workload {
        Workload::Deployment => {
            labels["pod-template-hash"] = json!(hash);
            ("ReplicaSet", format!("{}-{hash}", pod.app))
        }
        Workload::StatefulSet => ("StatefulSet", pod.app.clone()),
        Workload::DaemonSet => ("DaemonSet", pod.app.clone()),
    };
    let annotations = pod.max_connections.map(|n| json!({ "khan/max-connections": n.to_string() }));
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod.name,
            "namespace": pod.ns,
            "uid": format!("pod-{}-{}", pod.ns, pod.name),
            "creationTimestamp": CREATED,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": kind, "name": owner, "uid": format!("owner-{owner}"), "controller": true,
            }],
        },
        "spec": {
            "nodeName": plan::node_name(pod.node),
            "hostNetwork": pod.host_network,
            "containers": [{ "name": pod.app, "image": "demo" }],
        },
        "status": {
            "phase": "Running",
            "hostIP": host.v4,
            "podIP": addresses.v4,
            "podIPs": addresses.both().map(|ip| json!({ "ip": ip })),
            "startTime": CREATED,
        },
    })
}

fn service(plan: &Plan, service: &Service) -> Value {
    let addresses = plan.service_addresses(&service.ns, &service.app).expect("a service of this plan");
    let mut port = json!({
        "port": service.port,
        "targetPort": service.target,
        "protocol": service.protocol.as_str().to_uppercase(),
    });
    if let Some(node_port) = service.node_port {
        port["nodePort"] = json!(node_port);
    }
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": service.app,
            "namespace": service.ns,
            "uid": format!("service-{}-{}", service.ns, service.app),
            "creationTimestamp": CREATED,
            "labels": { "app": service.app },
        },
        "spec": {
            "type": if service.node_port.is_some() { "NodePort" } else { "ClusterIP" },
            "clusterIP": addresses.v4,
            "clusterIPs": addresses.both(),
            "ipFamilies": ["IPv4", "IPv6"],
            "ports": [port],
            "selector": { "app": service.app },
        },
        "status": { "loadBalancer": {} },
    })
}

/// One for each address family, as the endpoint slice controller makes them.
fn slices(plan: &Plan, service: &Service) -> [Value; 2] {
    ["IPv4", "IPv6"].map(|family| {
        let pick = |addresses: Addresses| match family {
            "IPv4" => IpAddr::from(addresses.v4),
            _ => addresses.v6.into(),
        };
        let endpoints: Vec<Value> = plan
            .pods_of(&service.ns, &service.app)
            .filter(|pod| pod.stage != Stage::Deleted)
            .map(|pod| {
                let addresses = plan.pod_addresses(&pod.name).expect("a pod of this plan");
                let ready = pod.stage == Stage::Serving;
                json!({
                    "addresses": [pick(addresses)],
                    "conditions": { "ready": ready, "serving": ready, "terminating": false },
                    "nodeName": plan::node_name(pod.node),
                    "targetRef": { "kind": "Pod", "namespace": pod.ns, "name": pod.name },
                })
            })
            .collect();
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": format!("{}-{}", service.app, family.to_lowercase()),
                "namespace": service.ns,
                "uid": format!("slice-{}-{}-{family}", service.ns, service.app),
                "creationTimestamp": CREATED,
                "labels": { "kubernetes.io/service-name": service.app },
            },
            "addressType": family,
            "endpoints": endpoints,
            "ports": [{ "name": "", "port": service.target, "protocol": service.protocol.as_str().to_uppercase() }],
        })
    })
}

fn node(number: u8) -> Value {
    let name = plan::node_name(number);
    let addresses = plan::node_addresses(number);
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": name, "uid": format!("node-{name}"), "creationTimestamp": CREATED },
        "spec": {
            "podCIDR": plan::pod_range_v4(number),
            "podCIDRs": [plan::pod_range_v4(number), plan::pod_range_v6(number)],
        },
        "status": {
            "addresses": [
                { "type": "InternalIP", "address": addresses.v4 },
                { "type": "InternalIP", "address": addresses.v6 },
                { "type": "Hostname", "address": name },
            ],
        },
    })
}
