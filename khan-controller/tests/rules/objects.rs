//! What is read of an object, and which objects are refused.

use khan_api::{NodePort, Protocol};
use khan_controller::index::Settings;
use khan_controller::kubernetes::{Object, ObjectError};
use serde_json::{Value, json};

use crate::manifests::{node, pod, service};
use crate::world::{World, manifest, read, resource, time};

fn error(object: &Value) -> String {
    Object::read(resource(object), manifest(object)).unwrap_err().to_string()
}

fn workload(owner: &Value, labels: &Value) -> String {
    let mut object = pod("shop", "web-0", &["10.244.1.7"]);
    object["metadata"]["ownerReferences"] = owner.clone();
    object["metadata"]["labels"] = labels.clone();
    read(&object).workload
}

#[test]
fn the_workload_behind_a_pod() {
    let owner = |kind: &str, name: &str| json!([{"kind": kind, "name": name, "controller": true}]);
    let hash = json!({"pod-template-hash": "6d4cf56db6"});
    for (kind, name, labels, expected) in [
        ("ReplicaSet", "web-6d4cf56db6", &hash, "web"),
        ("ReplicaSet", "my-6d4cf56db6-web-6d4cf56db6", &hash, "my-6d4cf56db6-web"),
        ("ReplicaSet", "standalone", &json!({}), "standalone"),
        ("ReplicaSet", "standalone", &hash, "standalone"),
        ("ReplicaSet", "roll-77f9", &json!({"rollouts-pod-template-hash": "77f9"}), "roll"),
        ("StatefulSet", "db", &json!({}), "db"),
        ("DaemonSet", "node-exporter", &json!({}), "node-exporter"),
        ("Job", "import", &json!({}), "import"),
        ("Job", "import-2026", &json!({}), "import-2026"),
        ("Job", "backup-29367360", &json!({}), "backup"),
        ("Job", "backup-1732269600", &json!({}), "backup"),
        ("ReplicationController", "old", &json!({}), "old"),
        ("Cluster", "postgres", &json!({}), "postgres"),
    ] {
        assert_eq!(workload(&owner(kind, name), labels), expected, "{kind} {name}");
    }
    assert_eq!(workload(&json!(null), &json!({})), "web-0", "a bare pod");
    assert_eq!(workload(&json!([]), &json!({})), "web-0");
    let two = json!([{"kind": "Config", "name": "x"}, {"kind": "StatefulSet", "name": "db", "controller": true}]);
    assert_eq!(workload(&two, &json!({})), "db", "the controller among several owners");
    let mut static_pod = pod("kube-system", "etcd-n1", &["10.244.1.8"]);
    static_pod["metadata"]["ownerReferences"] = owner("Node", "n1");
    assert_eq!(read(&static_pod).workload, "etcd");
}

#[test]
fn a_limit_is_part_of_an_answer_and_an_odd_one_spoils_nothing() {
    let annotated = |object: &Value, value: Value| {
        let mut object = object.clone();
        object["metadata"]["annotations"] = json!({"a": {"b": 1}, "khan/max-connections": value, "z": "1"});
        object
    };
    let (db, web) = (pod("data", "db-0", &["10.244.1.7", "fd00::7"]), service("data", "web", &["10.96.0.9"]));
    let mut world = World::of(&[annotated(&db, json!("100")), annotated(&web, json!("5000"))]);
    let limit = |world: &World, ip: &str| world.identity(ip).unwrap().limit.map(std::num::NonZeroU32::get);
    for (ip, expected) in [("10.244.1.7", 100), ("fd00::7", 100), ("10.96.0.9", 5_000)] {
        assert_eq!(limit(&world, ip), Some(expected), "{ip}");
    }
    let before = world.index.cursor();
    world.apply(&annotated(&db, json!("200")));
    assert!(world.index.changed_since("10.244.1.7".parse().unwrap(), before), "agents hear of it");
    assert!(!world.index.changed_since("10.96.0.9".parse().unwrap(), before));
    assert_eq!(limit(&world, "10.244.1.7"), Some(200));
    assert!(world.previous("10.244.1.7").is_empty(), "the same owner with another limit");
    for odd in [json!("0"), json!("-3"), json!("many"), json!("5000000000"), json!(100), json!({}), json!("")] {
        let object = annotated(&db, odd.clone());
        assert_eq!(
            read(&object).flaw().map(|flaw| flaw.to_string()).as_deref(),
            Some(
                "metadata.annotations[khan/max-connections] is not a whole number from 1 to 4294967295, in quotation \
                 marks"
            ),
            "{odd}"
        );
        world.apply(&object);
        assert_eq!((limit(&world, "10.244.1.7"), world.owner("10.244.1.7")), (None, "pod db-0".to_owned()), "{odd}");
    }
    for fine in [annotated(&db, json!(null)), db.clone()] {
        assert_eq!(read(&fine).flaw(), None);
    }
    let mut odder = db;
    odder["metadata"]["annotations"] = json!("no map");
    assert_eq!(read(&odder).flaw(), None);
}

#[test]
fn app_labels_are_ordered() {
    let mut object = pod("shop", "web", &["10.244.1.7"]);
    for (labels, app) in [
        (json!({"app": "a", "app.kubernetes.io/name": "b", "k8s-app": "c"}), "a"),
        (json!({"app.kubernetes.io/name": "b", "k8s-app": "c"}), "b"),
        (json!({"app": "", "k8s-app": "c"}), "c"),
        (json!({}), ""),
        (json!(null), ""),
    ] {
        object["metadata"]["labels"] = labels;
        assert_eq!(World::of(std::slice::from_ref(&object)).identity("10.244.1.7").unwrap().owner.app, app);
    }
    let mut world =
        World::with(Settings { app_labels: vec!["team/app".into(), "k8s-app".into()], ..Settings::default() });
    for (labels, app) in [(json!({"app": "a", "k8s-app": "c"}), "c"), (json!({"k8s-app": "c", "team/app": "t"}), "t")] {
        object["metadata"]["labels"] = labels;
        world.apply(&object);
        assert_eq!(world.identity("10.244.1.7").unwrap().owner.app, app);
    }
}

#[test]
fn a_pod_has_its_addresses_once_it_runs_on_its_own_network() {
    let both = read(&pod("shop", "web", &["10.244.1.7", "fd00::7"]));
    assert_eq!(both.claims.len(), 2);
    assert_eq!(both.started, Some(time("2026-11-22T10:00:00Z")), "when the kubelet took it on");
    let mut only_old_field = pod("shop", "web", &["10.244.1.7"]);
    only_old_field["status"].as_object_mut().unwrap().remove("podIPs");
    assert_eq!(World::of(&[only_old_field]).owner("10.244.1.7"), "pod web");
    let mut pending = pod("shop", "web", &[]);
    pending["status"] = json!({"phase": "Pending"});
    let pending = read(&pending);
    assert_eq!((pending.claims.len(), pending.started), (0, Some(time("2026-11-22T09:59:58Z"))));
}

#[test]
fn services_without_an_address_of_their_own() {
    let mut headless = service("shop", "headless", &["None"]);
    headless["spec"]["externalIPs"] = json!(["203.0.113.9"]);
    let mut external_name = service("shop", "alias", &[]);
    external_name["spec"] =
        json!({"type": "ExternalName", "externalName": "example.org", "externalIPs": ["203.0.113.9"]});
    let world = World::of(&[headless, external_name]);
    assert_eq!(world.owner("203.0.113.9"), "");
    assert_eq!(world.index.counts().objects, [0; 5]);
}

#[test]
fn external_and_load_balancer_addresses() {
    let mut object = service("shop", "web", &["10.96.0.10", "fd00:96::a"]);
    object["spec"]["externalIPs"] = json!(["203.0.113.9"]);
    object["status"]["loadBalancer"]["ingress"] =
        json!([{"hostname": "lb.example.org"}, {"ip": "198.51.100.4", "ipMode": "VIP"}]);
    let world = World::of(&[object]);
    for ip in ["10.96.0.10", "fd00:96::a", "203.0.113.9", "198.51.100.4"] {
        assert_eq!(world.owner(ip), "service web", "{ip}");
    }
}

#[test]
fn node_ports() {
    let mut object = service("shop", "web", &["10.96.0.10"]);
    let mut ports = |ports: Value| {
        object["spec"]["ports"] = ports;
        Object::read(resource(&object), manifest(&object))
    };
    let both = json!([
        {"port": 53, "nodePort": 30053, "protocol": "UDP"}, {"port": 53, "nodePort": 30053}, {"port": 80}, {"nodePort": 0},
    ]);
    let named = ports(both).unwrap().holdings.node_ports;
    let named: Vec<_> = named.iter().map(|port| (port.port, port.protocol.as_str())).collect();
    assert_eq!(named, [(30053, "udp"), (30053, "tcp")]);
    for (odd, reason) in [
        (json!([{"nodePort": 65536}]), "spec.ports[].nodePort is not a number from 0 to 65535"),
        (json!([{"nodePort": "30080"}]), "spec.ports[].nodePort is not a number from 0 to 65535"),
        (
            json!([{"nodePort": 1, "protocol": "ICMP"}]),
            "spec.ports[].protocol is \"ICMP\", which is not TCP, UDP or SCTP",
        ),
        (json!({}), "spec.ports is not a list"),
    ] {
        assert_eq!(ports(odd).unwrap_err().to_string(), reason);
    }
}

#[test]
fn the_oldest_service_has_a_contested_node_port() {
    let with_port = |name: &str, created: &str| {
        let mut object = service("shop", name, &["10.96.0.10"]);
        object["metadata"]["creationTimestamp"] = json!(created);
        object["spec"]["ports"] = json!([{"port": 80, "nodePort": 30080}]);
        object
    };
    let (old, young) = (with_port("old", "2026-11-20T00:00:00Z"), with_port("young", "2026-11-21T00:00:00Z"));
    let mut world = World::of(&[young, old.clone()]);
    let port = NodePort { port: 30080, protocol: Protocol::Tcp };
    assert_eq!(world.index.service_port(port).unwrap().name, "old");
    world.delete(&old);
    assert_eq!(world.index.service_port(port).unwrap().name, "young");
    let udp = NodePort { protocol: Protocol::Udp, ..port };
    assert_eq!(world.index.service_port(udp), None);
}

#[test]
fn node_addresses_and_ranges() {
    let mut object = node("n1", &["192.168.0.1", "fd00:1::1"], &["10.244.1.0/24", "fd00:244:1::/64", "10.250.0.0/25"]);
    let more = [
        json!({"type": "ExternalIP", "address": "203.0.113.1"}),
        json!({"type": "InternalDNS", "address": "n1.local"}),
    ];
    object["status"]["addresses"].as_array_mut().unwrap().extend(more);
    let world = World::of(&[object]);
    for (ip, owner) in [
        ("192.168.0.1", "node n1"),
        ("fd00:1::1", "node n1"),
        ("203.0.113.1", "node n1"),
        ("10.244.1.0", "network n1"),
        ("10.244.1.1", "gateway n1"),
        ("fd00:244:1::", "network n1"),
        ("fd00:244:1::1", "gateway n1"),
        ("10.250.0.0", "network n1"),
        ("10.250.0.1", "gateway n1"),
    ] {
        assert_eq!(world.owner(ip), owner, "{ip}");
    }
}

#[test]
fn ranges_of_one_address_ipv6_only_nodes_and_host_bits() {
    let world = World::of(&[
        node("n6", &["fd00:1::6"], &["fd00:244:6::7/128"]),
        node("n4", &[], &["10.244.9.9/32", "10.244.7.5/24"]),
    ]);
    assert_eq!(world.owner("fd00:244:6::7"), "network n6");
    assert_eq!(world.owner("fd00:244:6::8"), "");
    assert_eq!(world.owner("10.244.9.9"), "network n4");
    assert_eq!(world.owner("10.244.7.0"), "network n4");
    assert_eq!(world.owner("10.244.7.1"), "gateway n4");
}

#[test]
fn what_is_refused_is_named() {
    let mut object = pod("shop", "web", &["10.244.1.7"]);
    object["metadata"]["name"] = json!("");
    assert_eq!(error(&object), "metadata.name is missing");
    object["metadata"] = json!([]);
    assert_eq!(error(&object), "metadata is not an object");
    let mut object = pod("shop", "web", &["10.244.1.7"]);
    object["spec"]["hostNetwork"] = json!("yes");
    assert_eq!(error(&object), "spec.hostNetwork is not true or false");
    let mut object = pod("shop", "web", &["10.244.1.7"]);
    object["status"]["startTime"] = json!("yesterday");
    assert_eq!(error(&object), "status.startTime is \"yesterday\", which is not an RFC 3339 time");
    let mut object = node("n1", &["n1.example.org"], &[]);
    assert_eq!(error(&object), "status.addresses[].address is \"n1.example.org\", which is not an IP address");
    object = node("n1", &[], &["10.244.1.0"]);
    assert_eq!(error(&object), "spec.podCIDRs is \"10.244.1.0\", which is not a CIDR");
    let mut object = service("shop", "web", &["10.96.0.1"]);
    object["spec"]["clusterIPs"] = json!("10.96.0.1");
    assert_eq!(error(&object), "spec.clusterIPs is not a list");
    assert_eq!(ObjectError::Missing("kind").to_string(), "kind is missing");
}

#[test]
fn any_json_at_all_is_read_without_an_error() {
    for text in ["null", "7", "[]", "\"x\"", "{}", "{\"metadata\":7}", "{\"status\":{\"podIPs\":[1,null,{\"ip\":[]}]}}"]
    {
        let value: Value = serde_json::from_str(text).unwrap();
        let manifest = manifest(&value);
        assert!(Object::read(khan_controller::kubernetes::Resource::Pods, manifest).is_err(), "{text}");
    }
}
