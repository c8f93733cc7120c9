//! Previous owners: who, until when, for how long and how many.

use std::time::Duration;

use khan_api::Kind;
use khan_controller::index::Settings;
use khan_controller::kubernetes::Resource;
use serde_json::json;

use crate::manifests::{node, pod};
use crate::world::{World, time};

const IP: &str = "10.244.1.7";
const HOUR: i64 = 3600;

fn small(most_previous: usize) -> World {
    World::with(Settings { most_previous, ..Settings::default() })
}

#[test]
fn previous_owners_come_latest_first_with_their_times() {
    let mut world = World::new();
    for (name, start) in [("a", "2026-11-22T09:00:00Z"), ("b", "2026-11-22T09:30:00Z"), ("c", "2026-11-22T10:30:00Z")] {
        let mut object = pod("shop", name, &[IP]);
        object["metadata"]["creationTimestamp"] = json!(start);
        object["status"]["startTime"] = json!(start);
        world.apply(&object);
    }
    let identity = world.identity(IP).unwrap();
    let previous: Vec<_> = identity.previous.iter().map(|p| (p.owner.name, p.since, p.until)).collect();
    let [nine, half, ten] =
        ["2026-11-22T09:00:00Z", "2026-11-22T09:30:00Z", "2026-11-22T10:30:00Z"].map(|t| Some(time(t)));
    assert_eq!(previous, [("b", half, ten), ("a", nine, half)]);
    assert_eq!((identity.owner.name, identity.since), ("c", ten));
    assert_eq!((identity.previous[0].owner.kind, identity.previous[0].owner.workload), (Kind::Pod, "web"));
}

#[test]
fn a_start_that_a_wrong_clock_has_told_is_not_believed() {
    let created = "2026-11-22T11:30:00Z";
    for (name, start) in [("behind", "2026-11-22T10:30:01Z"), ("ahead", "2026-11-22T12:30:01Z")] {
        let mut world = World::new();
        let mut object = pod("shop", name, &[IP]);
        object["metadata"]["creationTimestamp"] = json!(created);
        object["status"]["startTime"] = json!(start);
        world.apply(&object);
        assert!(world.now < time(start) || time(start) < time(created));
        assert_eq!(world.identity(IP).unwrap().since, Some(time(created)), "{name}");
    }
}

#[test]
fn they_are_remembered_for_a_day() {
    let web = pod("shop", "web", &[IP]);
    let mut world = World::of(std::slice::from_ref(&web));
    world.delete(&web);
    assert_eq!(world.identity(IP).unwrap().previous[0].until, Some(world.now));
    world.later(24 * HOUR - 1);
    world.index.expire(world.now);
    assert_eq!(world.previous(IP), ["web"]);
    world.later(1);
    world.index.expire(world.now);
    assert_eq!(world.identity(IP), None);
    assert_eq!(world.index.counts().previous, 0);
}

#[test]
fn there_are_never_more_than_the_bound() {
    let mut world = small(10);
    for n in 0..1000 {
        let object = pod("shop", &format!("web-{n}"), &[&format!("10.244.{}.{}", n / 250, n % 250)]);
        world.apply(&object);
        world.delete(&object);
        assert!(world.index.counts().previous <= 10);
    }
    assert_eq!(world.previous("10.244.3.249"), ["web-999"]);
    assert_eq!(world.identity("10.244.0.0"), None, "the oldest go first");
    assert_eq!(&*world.index.ranges(), r#"["10.244.3.0/24"]"#);
}

#[test]
fn one_busy_address_does_not_keep_all_its_owners() {
    let mut world = World::new();
    for n in 0..100 {
        let object = pod("shop", &format!("web-{n}"), &[IP]);
        world.apply(&object);
        world.delete(&object);
    }
    let previous = world.previous(IP);
    assert_eq!((previous.len(), previous[0].as_str()), (8, "web-99"));
}

#[test]
fn an_owner_that_loses_a_range_or_a_label_keeps_the_name_of_its_time() {
    let mut world = World::of(&[pod("shop", "web", &[IP])]);
    let mut moved = pod("shop", "web", &["10.244.1.8"]);
    moved["metadata"]["labels"]["app"] = json!("renamed");
    world.apply(&moved);
    assert_eq!(world.identity(IP).unwrap().previous[0].owner.app, "web");
    let mut world = World::of(&[node("n1", &["10.0.0.1"], &["10.244.1.0/24"])]);
    world.apply(&node("n1", &["10.0.0.1"], &["10.244.2.0/24"]));
    assert_eq!(world.identity("10.244.1.1").unwrap().previous[0].owner.kind, Kind::Gateway);
    assert_eq!(world.owner("10.244.2.1"), "gateway n1");
}

#[test]
fn clocks_that_jump_neither_panic_nor_take_names_away() {
    let (web, next) = (pod("shop", "web", &[IP]), pod("shop", "next", &["10.244.1.8"]));
    let mut world = World::of(&[web.clone(), next.clone()]);
    world.delete(&web);
    // A year back: the previous owner is from the future now, and stays.
    world.later(-365 * 24 * HOUR);
    world.index.expire(world.now);
    world.delete(&next);
    assert_eq!((world.previous(IP), world.previous("10.244.1.8")), (vec!["web".into()], vec!["next".into()]));
    // Ten years ahead: both are over, what is owned is not touched.
    world.apply(&pod("shop", "owner", &["10.244.1.9"]));
    world.later(10 * 365 * 24 * HOUR);
    world.index.expire(world.now);
    assert_eq!((world.identity(IP), world.identity("10.244.1.8")), (None, None));
    assert_eq!(world.owner("10.244.1.9"), "pod owner");
    // Before 1970 and after 2106, where the short times end.
    for now in ["1960-01-01T00:00:00Z", "2200-01-01T00:00:00Z"] {
        world.now = time(now);
        let object = pod("shop", "odd", &["10.244.1.10"]);
        world.apply(&object);
        world.delete(&object);
        world.index.expire(world.now);
    }
}

#[test]
fn names_are_freed_with_the_last_who_bears_them() {
    let mut world = World::with(Settings { remember: Duration::from_hours(1), ..Settings::default() });
    for n in 0..50 {
        let mut object = pod("shop", &format!("job-{n}"), &[&format!("10.244.1.{n}")]);
        object["metadata"]["ownerReferences"] =
            json!([{"kind": "Job", "name": format!("job-{n}"), "controller": true}]);
        world.apply(&object);
    }
    assert_eq!(world.index.names(), 51, "fifty workloads and a node");
    world.relist(Resource::Pods, &[]);
    assert_eq!(world.index.names(), 51, "previous owners bear them still");
    world.later(HOUR);
    world.index.expire(world.now);
    assert_eq!(world.index.names(), 0);
}
