//! Which addresses answer for which service.

use khan_api::service::Conditions;
use khan_api::{Cursor, Service};
use khan_controller::kubernetes::{Object, Resource};
use serde_json::{Value, json};

use crate::manifests::{endpoint_slice, node, pod, service};
use crate::world::{World, manifest, read, resource, time};

fn slice(suffix: &str, endpoints: &[(&str, &str)]) -> Value {
    endpoint_slice("shop", "web", suffix, endpoints)
}

/// Address, pod, node, and seconds since 12:00 at which the conditions became what they are.
fn listed(service: &Service) -> Vec<String> {
    let noon = time("2026-11-22T12:00:00Z");
    let endpoint = |endpoint: &khan_api::ServiceEndpoint| {
        let Conditions { ready, serving, terminating } = endpoint.conditions;
        let letters = [(ready, 'r'), (serving, 's'), (terminating, 't')];
        let state: String = letters.into_iter().filter(|(is, _)| *is).map(|(_, letter)| letter).collect();
        let since = endpoint.since.map(|since| since.seconds() - noon.seconds());
        format!("{} {state} {}@{} {}", endpoint.ip, endpoint.pod, endpoint.node, since.unwrap_or(-1))
    };
    service.endpoints.iter().map(endpoint).collect()
}

fn web(world: &World) -> Vec<String> {
    listed(&world.index.service("shop", "web").expect("a slice of it"))
}

/// The services that list an address.
fn services(world: &World, ip: &str) -> Vec<String> {
    let services = world.identity(ip).expect("a pod's").services;
    services.iter().map(|service| format!("{}/{}", service.ns, service.name)).collect()
}

fn changed(world: &World, ip: &str, since: Cursor) -> bool {
    world.index.changed_since(ip.parse().unwrap(), since)
}

#[test]
fn endpoints_have_conditions_a_pod_a_node_and_a_time() {
    let mut world = World::of(&[
        pod("shop", "web-0", &["10.244.1.7"]),
        node("n2", &["192.168.0.2"], &[]),
        slice("a", &[("10.244.1.7", "ready"), ("192.168.0.2", "unready"), ("203.0.113.9", "ready")]),
    ]);
    assert_eq!(web(&world), ["10.244.1.7 rs web-0@n1 0", "192.168.0.2  @n2 0", "203.0.113.9 rs @ 0"]);
    let endpoint = &world.index.service("shop", "web").unwrap().endpoints[0];
    assert_eq!(endpoint.port, Some(8080), "the first");
    let ports = &endpoint.ports;
    assert_eq!((ports.len(), ports[0].name.as_str(), ports[0].port), (1, "http", Some(8080)));
    world.later(60);
    world.apply(&slice("a", &[("203.0.113.9", "ready"), ("10.244.1.7", "terminating")]));
    assert_eq!(web(&world), ["10.244.1.7 st web-0@n1 60", "203.0.113.9 rs @ 0"], "order says nothing");
    world.delete(&slice("a", &[]));
    assert_eq!(world.index.service("shop", "web"), None);
    assert_eq!(services(&world, "10.244.1.7"), [""; 0]);
}

#[test]
fn an_address_that_joins_or_leaves_a_service_is_news_and_a_condition_is_not() {
    let two = [("10.244.1.7", "ready"), ("10.244.1.8", "ready")];
    let mut world = World::of(&[
        pod("shop", "web-0", &["10.244.1.7"]),
        pod("shop", "web-1", &["10.244.1.8"]),
        slice("a", &two),
        endpoint_slice("shop", "admin", "a", &[("10.244.1.7", "ready")]),
    ]);
    assert_eq!(services(&world, "10.244.1.7"), ["shop/admin", "shop/web"]);
    assert_eq!(services(&world, "10.244.1.8"), ["shop/web"]);
    let before = world.index.cursor();
    world.later(10);
    world.apply(&slice("a", &[("10.244.1.7", "ready"), ("10.244.1.8", "unready")]));
    assert!(!changed(&world, "10.244.1.8", before), "it is an endpoint still");
    world.later(10);
    world.apply(&slice("a", &[("10.244.1.7", "ready")]));
    assert_eq!(services(&world, "10.244.1.8"), [""; 0]);
    assert!(changed(&world, "10.244.1.8", before) && !changed(&world, "10.244.1.7", before));
    let left = world.identity("10.244.1.8").unwrap().services_changed;
    assert_eq!(left, Some(time("2026-11-22T12:00:20Z")));
}

#[test]
fn slices_of_one_service_are_evened_out_without_news() {
    let mut world = World::of(&[
        pod("shop", "web-0", &["10.244.1.7"]),
        slice("a", &[("10.244.1.7", "ready"), ("10.244.1.8", "ready")]),
        slice("b", &[]),
    ]);
    let before = world.index.cursor();
    world.later(60);
    world.apply(&slice("b", &[("10.244.1.7", "ready")]));
    world.apply(&slice("a", &[("10.244.1.8", "ready")]));
    assert_eq!(web(&world), ["10.244.1.7 rs web-0@n1 0", "10.244.1.8 rs @ 0"]);
    assert!(!changed(&world, "10.244.1.7", before));
    assert_eq!(services(&world, "10.244.1.7"), ["shop/web"]);
    // The service of a slice is a label, which may change.
    let mut other = slice("a", &[("10.244.1.8", "ready")]);
    other["metadata"]["labels"]["kubernetes.io/service-name"] = "blog".into();
    world.apply(&other);
    assert_eq!(web(&world), ["10.244.1.7 rs web-0@n1 0"]);
    assert_eq!(listed(&world.index.service("shop", "blog").unwrap()), ["10.244.1.8 rs @ 60"]);
    world.relist(Resource::EndpointSlices, &[&other]);
    assert_eq!(world.index.service("shop", "web"), None);
    assert_eq!(services(&world, "10.244.1.7"), [""; 0]);
}

/// What leads to the ports of an address, as `port <- service:port`.
fn dialled(world: &World, ip: &str) -> Vec<String> {
    let ports = world.index.dialled(ip.parse().unwrap()).into_iter();
    ports.map(|one| format!("{}/{} <- {}:{}", one.port, one.protocol.as_str(), one.service, one.service_port)).collect()
}

#[test]
fn what_was_dialled_is_told_where_exactly_one_service_leads_there() {
    let ports = |ports: Value| {
        let mut web = service("shop", "web", &["10.96.0.10"]);
        web["spec"]["ports"] = ports;
        web
    };
    let web =
        ports(json!([{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}]));
    let both = [("10.244.1.7", "ready"), ("10.244.1.8", "terminating")];
    let mut world = World::of(&[
        pod("shop", "web-0", &["10.244.1.7"]),
        pod("shop", "web-1", &["10.244.1.8"]),
        slice("a", &both),
        web.clone(),
    ]);
    for ip in ["10.244.1.7", "10.244.1.8"] {
        assert_eq!(dialled(&world, ip), ["8080/tcp <- 10.96.0.10:80"]);
    }
    // Each change is news for the addresses that it is about, and for no others.
    let expect = |world: &mut World, change: &dyn Fn(&mut World), ip: &str, news: bool, want: &[&str]| {
        let before = world.index.cursor();
        world.later(10);
        change(world);
        assert_eq!(
            (changed(world, ip, before), dialled(world, ip)),
            (news, want.iter().map(|w| (*w).to_owned()).collect())
        );
    };
    let mut more = slice("a", &both);
    more["ports"] =
        json!([{"name": "http", "port": 8080, "protocol": "TCP"}, {"name": "dns", "port": 5353, "protocol": "UDP"}]);
    let two = ["5353/udp <- 10.96.0.10:53", "8080/tcp <- 10.96.0.10:80"];
    expect(&mut world, &|world| world.apply(&more), "10.244.1.7", true, &two);
    let moved = ports(json!([{"name": "http", "port": 81}, {"name": "dns", "port": 53, "protocol": "UDP"}]));
    expect(&mut world, &|world| world.apply(&moved), "10.244.1.8", true, &[two[0], "8080/tcp <- 10.96.0.10:81"]);
    expect(&mut world, &|world| world.apply(&moved), "10.244.1.8", false, &[two[0], "8080/tcp <- 10.96.0.10:81"]);
    // A second service with the same port: nobody can tell which was dialled.
    let admin = endpoint_slice("shop", "admin", "a", &[("10.244.1.7", "ready")]);
    expect(&mut world, &|world| world.apply(&admin), "10.244.1.7", true, &[two[0]]);
    expect(&mut world, &|world| world.delete(&admin), "10.244.1.7", true, &[two[0], "8080/tcp <- 10.96.0.10:81"]);
    // A headless service translates nothing, nor does one that is gone.
    expect(&mut world, &|world| world.apply(&ports(json!(null))), "10.244.1.7", true, &[]);
    expect(&mut world, &|world| world.apply(&web), "10.244.1.7", true, &two);
    expect(&mut world, &|world| world.delete(&web), "10.244.1.7", true, &[]);
    expect(&mut world, &|world| world.apply(&service("shop", "web", &["None"])), "10.244.1.7", false, &[]);
    // Services without slices are neither counted nor found.
    world.apply(&web);
    world.delete(&more);
    assert!(world.index.service("shop", "web").is_none() && world.index.service_counts(None, 10).is_empty());
    world.apply(&slice("b", &both));
    assert_eq!(dialled(&world, "10.244.1.7"), ["8080/tcp <- 10.96.0.10:80"], "in whatever order they come");
}

#[test]
fn of_two_ports_that_lead_to_one_the_lower_is_told_and_each_family_has_its_address() {
    let mut web = service("shop", "web", &["10.96.0.10", "fd00:96::10"]);
    web["spec"]["ports"] = json!([{"name": "alt", "port": 8000}, {"name": "http", "port": 80}]);
    let mut four = slice("a", &[("10.244.1.7", "ready")]);
    four["ports"] = json!([{"name": "alt", "port": 8080}, {"name": "http", "port": 8080}]);
    let mut six = slice("b", &[("fd00:244::7", "ready")]);
    six["addressType"] = "IPv6".into();
    let world = World::of(&[pod("shop", "web-0", &["10.244.1.7", "fd00:244::7"]), four, six, web]);
    assert_eq!(dialled(&world, "10.244.1.7"), ["8080/tcp <- 10.96.0.10:80"]);
    assert_eq!(dialled(&world, "fd00:244::7"), ["8080/tcp <- fd00:96::10:80"]);
}

#[test]
fn a_service_without_endpoints_is_known_and_counted() {
    let world = World::of(&[
        slice("a", &[("10.244.1.7", "ready"), ("10.244.1.8", "terminating")]),
        slice("b", &[("10.244.1.7", "ready"), ("10.244.1.9", "unready")]),
        endpoint_slice("shop", "admin", "a", &[]),
    ]);
    let counts = world.index.service_counts(None, 10);
    let counts: Vec<_> = counts.iter().map(|count| (&*count.service.1, count.endpoints)).collect();
    assert_eq!(counts, [("admin", [0, 0, 0]), ("web", [1, 2, 1])], "an address once, whatever ports it has");
    let after = world.index.service_counts(None, 1).remove(0).service;
    assert_eq!(&*world.index.service_counts(Some(&after), 10)[0].service.1, "web");
    assert_eq!(world.index.service("shop", "admin").unwrap().endpoints, []);
}

#[test]
fn what_a_slice_leaves_open_reads_as_it_does_for_kube_proxy() {
    let mut open = slice("a", &[("10.244.1.7", "unready"), ("10.244.1.8", "unready")]);
    open["endpoints"][0]["conditions"] = json!({});
    open["endpoints"][1]["conditions"] = json!({"ready": false});
    open["ports"] = json!([{"port": null}]);
    let world = World::of(&[open.clone()]);
    assert_eq!(web(&world), ["10.244.1.7 rs @ 0", "10.244.1.8  @ 0"]);
    open["endpoints"] = json!(null);
    assert_eq!(web(&World::of(&[open.clone()])), [""; 0]);
    for nobody in [json!({"app": "web"}), json!(null)] {
        let mut object = open.clone();
        object["metadata"]["labels"] = nobody;
        assert!(read(&object).holdings.slice.is_none(), "it is of no service");
    }
    let mut names = slice("a", &[("db.example.com", "ready")]);
    names["addressType"] = "FQDN".into();
    assert!(read(&names).holdings.slice.is_none());
    names["addressType"] = "IPv4".into();
    let error = Object::read(resource(&names), manifest(&names)).unwrap_err().to_string();
    assert_eq!(error, r#"endpoints[].addresses is "db.example.com", which is not an IP address"#);
}
