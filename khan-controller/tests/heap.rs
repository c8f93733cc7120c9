//! What a pod and an endpoint of a service cost in memory: fails when either grows by more than a tenth.

use khan_api::Timestamp;
use khan_controller::index::{Index, Settings};
use khan_controller::kubernetes::{Object, Resource};

#[path = "../benches/cluster/generate.rs"]
#[allow(dead_code, reason = "the benchmark uses the rest")]
mod generate;

#[global_allocator]
static HEAP: dhat::Alloc = dhat::Alloc;

/// Just below the count at which the hash tables double, so that their spare room is the same in each run.
const PODS: usize = 3_500;
/// Measured when this was last changed on purpose; a change for the better belongs here too.
const BYTES_A_POD: usize = 260;
/// So few that the tables of the pods do not double.
const SLICES: usize = 80;
/// The same of an endpoint, in slices of ten.
const BYTES_AN_ENDPOINT: usize = 109;

#[test]
fn the_index_holds_a_pod_in_a_few_hundred_bytes() {
    let read = |resource, json: &str| Object::read(resource, serde_json::from_str(json).unwrap()).unwrap();
    let pods: Vec<Object> = (0..PODS).map(|n| read(Resource::Pods, &generate::pod(n, 0, 1))).collect();
    let slice = |n| read(Resource::EndpointSlices, &generate::slice(n, &[0; PODS], None, 1));
    let slices: Vec<Object> = (0..SLICES).map(slice).collect();
    // Started only now: what reading the JSON takes has gone when the next page comes.
    let _profiler = dhat::Profiler::builder().testing().build();
    let mut index = Index::new(Settings::default(), 1);
    // What does not depend on the number of pods is counted apart.
    let empty = dhat::HeapStats::get().curr_bytes;
    for pod in &pods {
        index.apply(pod.clone(), Timestamp::from_seconds(1_795_341_600));
    }
    let held = (dhat::HeapStats::get().curr_bytes - empty) / PODS;
    assert_eq!(index.counts().objects[Resource::Pods as usize], PODS);
    println!("{held} bytes a pod");
    assert!(held * 10 <= BYTES_A_POD * 11, "{held} bytes a pod, {BYTES_A_POD} before");

    // A new list of what is known holds nothing more, and needs little while it is read.
    index.reset(Resource::Pods);
    for pod in &pods {
        index.apply(pod.clone(), Timestamp::from_seconds(1_795_341_600));
    }
    index.settle(Resource::Pods, Timestamp::from_seconds(1_795_341_600));
    let again = (dhat::HeapStats::get().curr_bytes - empty) / PODS;
    assert!(again <= held, "{again} bytes a pod after a new list");

    let before = dhat::HeapStats::get().curr_bytes;
    for slice in &slices {
        index.apply(slice.clone(), Timestamp::from_seconds(1_795_341_600));
    }
    let held = (dhat::HeapStats::get().curr_bytes - before) / (SLICES * 10);
    assert_eq!(index.service("team-0", "service-0").map(|service| service.endpoints.len()), Some(10));
    println!("{held} bytes an endpoint");
    assert!(held * 10 <= BYTES_AN_ENDPOINT * 11, "{held} bytes an endpoint, {BYTES_AN_ENDPOINT} before");
}
