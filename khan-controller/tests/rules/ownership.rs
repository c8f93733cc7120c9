//! Who owns an address, whatever the order of events.

use khan_api::Kind;
use khan_controller::kubernetes::{Resource, Role};
use serde_json::{Value, json};

use crate::manifests::{node, pod, service, uid};
use crate::world::World;

const IP: &str = "10.244.1.7";

/// A pod that started so many seconds after ten o'clock.
fn started(name: &str, seconds: u32) -> Value {
    let mut object = pod("shop", name, &[IP]);
    object["status"]["startTime"] = json!(format!("2026-11-22T10:00:{seconds:02}Z"));
    object
}

#[test]
fn the_youngest_pod_wins_in_either_order() {
    let (old, young) = (started("old", 0), started("young", 9));
    assert_eq!(World::of(&[old.clone(), young.clone()]).owner(IP), "pod young");
    assert_eq!(World::of(&[young.clone(), old.clone()]).owner(IP), "pod young");
    let mut world = World::of(&[old.clone(), young.clone()]);
    assert_eq!(world.index.counts().conflicts, 1);
    world.delete(&young);
    assert_eq!(world.owner(IP), "pod old");
    assert_eq!(world.index.counts().conflicts, 0);
    world.delete(&old);
    assert_eq!(world.owner(IP), "");
}

#[test]
fn pods_of_one_age_are_decided_alike_in_either_order() {
    let (a, b) = (started("a", 0), started("b", 0));
    assert_eq!(World::of(&[a.clone(), b.clone()]).owner(IP), World::of(&[b, a]).owner(IP));
}

#[test]
fn node_then_service_then_pod_then_gateway_then_network() {
    let claims = [
        node("n1", &["10.0.0.1"], &[]),
        service("shop", "web", &["10.0.0.1"]),
        pod("shop", "web", &["10.0.0.1"]),
        node("n2", &[], &["10.0.0.0/24"]),
        node("n3", &[], &["10.0.0.1/32"]),
    ];
    let expected = [Kind::Node, Kind::Service, Kind::Pod, Kind::Gateway, Kind::Network];
    for backwards in [false, true] {
        let mut order: Vec<&Value> = claims.iter().collect();
        if backwards {
            order.reverse();
        }
        let mut world = World::new();
        for object in order {
            world.apply(object);
        }
        let all = world.index.claimants("10.0.0.1".parse().unwrap());
        assert_eq!(all.iter().map(|claim| claim.kind).collect::<Vec<_>>(), expected);
        for (object, kind) in claims.iter().zip(expected) {
            assert_eq!(world.identity("10.0.0.1").unwrap().owner.kind, kind);
            world.delete(object);
        }
        assert_eq!(world.owner("10.0.0.1"), "");
    }
}

#[test]
fn gateways_and_networks_give_way_without_a_conflict() {
    let world = World::of(&[node("n1", &["10.244.1.1"], &["10.244.1.0/24"]), pod("shop", "web", &["10.244.1.0"])]);
    assert_eq!((world.owner("10.244.1.1"), world.owner("10.244.1.0")), ("node n1".into(), "pod web".into()));
    assert_eq!(world.index.counts().conflicts, 0);
}

#[test]
fn a_delete_before_the_add_and_a_delete_of_a_stranger_change_nothing() {
    let mut world = World::of(&[started("web", 0)]);
    let before = world.index.cursor();
    world.delete(&started("never-seen", 0));
    // Another life of the same pod, as a StatefulSet's: its name is the same, its uid is not.
    let mut earlier_life = started("web", 0);
    earlier_life["metadata"]["uid"] = json!(uid("earlier life"));
    world.delete(&earlier_life);
    assert_eq!((world.owner(IP), world.index.cursor()), ("pod web".into(), before));
}

#[test]
fn the_new_owner_arrives_before_the_old_one_leaves() {
    let (old, new) = (started("old", 0), started("new", 30));
    let mut world = World::of(std::slice::from_ref(&old));
    world.apply(&new);
    assert_eq!((world.owner(IP), world.previous(IP)), ("pod new".into(), vec!["old".into()]));
    let before = world.index.cursor();
    world.delete(&old);
    assert_eq!(
        (world.owner(IP), world.previous(IP), world.index.cursor()),
        ("pod new".into(), vec!["old".into()], before)
    );
}

#[test]
fn the_old_one_finishes_with_the_address_still_in_its_status() {
    let old = started("job", 0);
    let mut world = World::of(std::slice::from_ref(&old));
    let mut finished = old;
    finished["status"]["phase"] = json!("Succeeded");
    world.apply(&finished);
    assert_eq!((world.owner(IP), world.previous(IP)), (String::new(), vec!["job".into()]));
    world.apply(&started("next", 5));
    world.apply(&finished);
    assert_eq!(world.owner(IP), "pod next");
}

#[test]
fn a_list_that_misses_objects_deletes_them() {
    let (a, b) = (pod("shop", "a", &["10.244.1.1"]), pod("shop", "b", &["10.244.1.2"]));
    let mut world = World::of(&[a.clone(), b.clone(), service("shop", "web", &["10.96.0.1"])]);
    world.relist(Resource::Pods, &[&b]);
    assert_eq!((world.owner("10.244.1.1"), world.owner("10.244.1.2")), (String::new(), "pod b".into()));
    assert_eq!(world.owner("10.96.0.1"), "service web", "other resources have their own lists");
    assert_eq!(world.index.counts().objects, [1, 1, 0, 0, 0]);
}

#[test]
fn a_list_that_is_begun_anew_forgets_nothing_that_the_second_one_has() {
    let (a, b) = (pod("shop", "a", &["10.244.1.1"]), pod("shop", "b", &["10.244.1.2"]));
    let mut world = World::of(&[a.clone(), b.clone()]);
    world.index.reset(Resource::Pods);
    world.apply(&a);
    // The connection broke; nothing may be deleted by half a list.
    world.relist(Resource::Pods, &[&a, &b]);
    assert_eq!((world.owner("10.244.1.1"), world.owner("10.244.1.2")), ("pod a".into(), "pod b".into()));
    assert!(world.previous("10.244.1.2").is_empty());
}

#[test]
fn a_list_that_holds_what_is_known_changes_nothing() {
    let (a, n) = (pod("shop", "a", &["10.244.1.1", "fd00::1"]), node("n1", &["10.0.0.1"], &["10.244.1.0/24"]));
    let mut world = World::of(&[a.clone(), n.clone()]);
    let before = world.index.cursor();
    world.relist(Resource::Pods, &[&a]);
    world.relist(Resource::Nodes, &[&n]);
    assert_eq!(world.index.cursor(), before);
}

#[test]
fn an_address_appears_later_changes_and_goes() {
    let mut world = World::of(&[pod("shop", "web", &[])]);
    assert_eq!(world.index.counts().objects, [0; 5]);
    world.apply(&pod("shop", "web", &[IP]));
    assert_eq!(world.identity(IP).unwrap().since, Some(crate::world::time("2026-11-22T10:00:00Z")));
    world.later(60);
    world.apply(&pod("shop", "web", &["10.244.1.8"]));
    assert_eq!((world.owner(IP), world.owner("10.244.1.8")), (String::new(), "pod web".into()));
    assert_eq!(world.identity("10.244.1.8").unwrap().since, Some(world.now), "it had another address before");
    assert_eq!(world.previous(IP), ["web"]);
    world.apply(&pod("shop", "web", &[]));
    assert_eq!(world.owner("10.244.1.8"), "");
}

#[test]
fn host_network_pods_never_own_an_address() {
    let mut host = pod("kube-system", "proxy", &["192.168.0.1"]);
    host["spec"]["hostNetwork"] = json!(true);
    let mut world = World::of(std::slice::from_ref(&host));
    assert_eq!(world.identity("192.168.0.1"), None);
    world.apply(&node("n1", &["192.168.0.1"], &[]));
    world.apply(&host);
    world.delete(&host);
    assert_eq!(world.owner("192.168.0.1"), "node n1");
    assert_eq!(world.index.counts().conflicts, 0);
}

#[test]
fn a_load_balancer_on_a_nodes_address_is_the_nodes() {
    let mut balanced = service("shop", "web", &["10.96.0.1"]);
    balanced["status"]["loadBalancer"]["ingress"] = json!([{"ip": "192.168.0.1"}]);
    let world = World::of(&[balanced, node("n1", &["192.168.0.1"], &[])]);
    assert_eq!(world.owner("192.168.0.1"), "node n1");
}

#[test]
fn of_services_that_share_an_address_the_oldest_keeps_it() {
    let shared = |name: &str, day: u32| {
        let mut object = service("shop", name, &[&format!("10.96.0.{day}")]);
        object["metadata"]["creationTimestamp"] = json!(format!("2026-11-{day:02}T00:00:00Z"));
        object["status"]["loadBalancer"]["ingress"] = json!([{"ip": "203.0.113.1"}]);
        object
    };
    let (old, new) = (shared("old", 1), shared("new", 20));
    assert_eq!(World::of(&[old.clone(), new.clone()]).owner("203.0.113.1"), "service old");
    assert_eq!(World::of(&[new, old]).owner("203.0.113.1"), "service old");
}

#[test]
fn a_new_label_renames_without_a_previous_owner() {
    let mut object = pod("shop", "web", &[IP]);
    let mut world = World::of(std::slice::from_ref(&object));
    let before = world.index.cursor();
    object["metadata"]["labels"]["app"] = json!("shop-web");
    world.apply(&object);
    assert_eq!(world.identity(IP).unwrap().owner.app, "shop-web");
    assert!(world.previous(IP).is_empty());
    assert!(world.index.changed_since(IP.parse().unwrap(), before));
}

#[test]
fn nobodys_address_in_a_pod_range_is_still_its_nodes() {
    let first = node("n1", &["10.0.0.1"], &["10.244.1.0/24"]);
    let mut world = World::of(std::slice::from_ref(&first));
    let unknown = world.identity("10.244.1.99").unwrap();
    assert_eq!((unknown.owner.kind, unknown.owner.node, unknown.owner.name), (Kind::Unknown, "n1", ""));
    // A younger node takes the range over before the old one is deleted.
    let mut second = node("n2", &["10.0.0.2"], &["10.244.1.0/24"]);
    second["metadata"]["creationTimestamp"] = json!("2026-11-22T00:00:00Z");
    world.apply(&second);
    assert_eq!(world.identity("10.244.1.99").unwrap().owner.node, "n2");
    world.delete(&first);
    assert_eq!(world.identity("10.244.1.99").unwrap().owner.node, "n2");
    assert_eq!(world.owner("10.244.1.1"), "gateway n2");
    world.delete(&second);
    assert_eq!(world.identity("10.244.1.99"), None);
}

#[test]
fn sizes_follow_every_change() {
    let objects = [
        node("n1", &["10.0.0.1"], &["10.244.1.0/24"]),
        service("shop", "web", &["10.96.0.1"]),
        started("a", 0),
        started("b", 1),
    ];
    let mut world = World::of(&objects);
    let counts = world.index.counts();
    assert_eq!((counts.objects, counts.conflicts), ([2, 1, 1, 0, 0], 1));
    assert_eq!(Role::ALL.map(|role| counts.addresses[role as usize]), [1, 1, 1, 1, 1]);
    for object in &objects {
        world.delete(object);
    }
    let counts = world.index.counts();
    assert_eq!((counts.objects, counts.addresses, counts.conflicts), ([0; 5], [0; 5], 0));
}
