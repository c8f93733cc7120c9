//! `khan leaks` on recordings, which need no waiting, and at an agent whose watch is cut short.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use khan_api::{Snapshot, Timestamp};
use khan_cli::feed::channel;
use khan_cli::model::{NodeInput, NodeState, NodeStatus, NodeTable, Pool, SourceInfo, View, merge};
use khan_cli::sources::recording::{Bounds, Recording, record};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::khan::{Ended, agent, khan, ok, snapshot};

const STEP: i64 = 30;
const STEPS: i64 = 30;

/// What is heard at each step: `web` on n1 with so many connections to `db` on n3, and 100 of `web` on n2 unless that is
/// silent. Nothing at all when n1 is silent, too.
struct Heard {
    leaker: Option<u64>,
    other: bool,
}

fn view(step: i64, heard: &Heard) -> Arc<View> {
    let start = Timestamp::from_seconds(1_795_341_600);
    let taken = Timestamp::from_millis(start.millis() + 1000 * STEP * step);
    let mut pool = Pool::default();
    let rows = [("n1", heard.leaker), ("n2", heard.other.then_some(100))];
    let inputs = rows.into_iter().filter_map(|(node, connections)| {
        let mut snapshot: Snapshot =
            serde_json::from_value(snapshot(node, &[("web", node, "db", "n3", 5432, connections?)])).unwrap();
        (snapshot.taken, snapshot.id) = (taken, format!("{node}-{step}").into());
        snapshot.endpoints[0].owner.name = format!("web-of-{node}").into();
        let mut status = NodeStatus::waiting("", "agent");
        (status.state, status.answered) = (NodeState::Ok, Some(taken));
        status.describe(&snapshot);
        Some(NodeInput { status, table: Some(Arc::new(NodeTable::new(&snapshot, &mut pool).0)) })
    });
    Arc::new(merge(SourceInfo::default(), inputs.collect(), taken))
}

/// A recording of a quarter of an hour.
async fn recording(scene: impl Fn(i64) -> Heard) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let (feeder, feed) = channel(View::default());
    let mut recorded = record(feed, file.path(), Recording::default(), Bounds { span: None, bytes: u64::MAX }).unwrap();
    for step in 0..=STEPS {
        let view = view(step, &scene(step));
        feeder.show(Arc::clone(&view));
        recorded.views.wait_for(|seen| seen.id == view.id && seen.assembled == view.assembled).await.unwrap();
    }
    file
}

/// A recording in which one client leaks.
pub(crate) async fn leaking() -> NamedTempFile {
    recording(|step| Heard { leaker: Some(grown(1_200, step)), other: true }).await
}

async fn leaks(file: &Path, more: &[&str]) -> Ended {
    let arguments = [&["leaks", "--replay", file.to_str().unwrap(), "--exit-code", "-o", "json"], more].concat();
    khan(&arguments).run().await
}

fn grown(base: u64, step: i64) -> u64 {
    base + 30 * step.unsigned_abs()
}

type Scene = fn(i64) -> Heard;

#[tokio::test]
async fn a_leak_is_found_at_any_size_and_through_any_gap() {
    let scenes: [(&str, Scene); 5] = [
        ("on 1,200", |step| Heard { leaker: Some(grown(1_200, step)), other: true }),
        ("on 50,000", |step| Heard { leaker: Some(grown(50_000, step)), other: true }),
        ("beside an agent that flaps", |step| Heard { leaker: Some(grown(1_200, step)), other: step % 3 < 2 }),
        ("beside one that is rolled out", |step| Heard { leaker: Some(grown(1_200, step)), other: step > 20 }),
        ("while Khan is installed again", |step| {
            let here = !(10..22).contains(&step);
            Heard { leaker: here.then_some(grown(1_200, step)), other: here }
        }),
    ];
    for (name, scene) in scenes {
        let ended = leaks(recording(scene).await.path(), &[]).await;
        assert_eq!(ended.code, Some(5), "{name}: {ended:?}");
        let found = ended.json();
        let item = &found["items"][0];
        assert_eq!((&item["verdict"], &item["growth"]), (&"LIKELY".into(), &900.into()), "{name}: {found}");
        assert!(item["evidence"][0].as_str().unwrap().starts_with("1 of 2 pods holds"), "{name}: {found}");
        assert_eq!(found["metadata"]["rule"]["growth"], 20);
        assert_eq!(found["metadata"]["spanSeconds"], 900);
    }
}

#[tokio::test]
async fn what_is_none_says_how_near_it_was() {
    let scenes: [(&str, Scene, &str); 3] = [
        ("flapping agent", |step| Heard { leaker: Some(1_000), other: step % 3 > 0 }, ""),
        ("step", |step| Heard { leaker: Some(if step < 12 { 300 } else { 900 }), other: true }, "came in one step"),
        (
            "pool that fills",
            |step| Heard { leaker: Some(grown(300, step.min(15))), other: true },
            "grew in 2 of 4 quarters of the window",
        ),
    ];
    for (name, scene, reason) in scenes {
        let ended = leaks(recording(scene).await.path(), &[]).await;
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        let found = ended.json();
        assert_eq!(found["items"].as_array().map(Vec::len), Some(0), "{name}: {found}");
        let near = found["metadata"]["near"].as_array().unwrap();
        assert_eq!(near.is_empty(), reason.is_empty(), "{name}: {near:?}");
        assert!(near.iter().all(|near| near["reason"].as_str().unwrap().contains(reason)), "{name}: {near:?}");
    }
}

#[tokio::test]
async fn every_threshold_is_a_flag_and_in_the_output() {
    let file = recording(|step| Heard { leaker: Some(grown(1_200, step)), other: true }).await;
    for (flag, name, value) in [
        ("--leak-growth", "growth", "901"),
        ("--leak-samples", "samples", "32"),
        ("--leak-step", "step", "0.1"),
        ("--leak-rising", "rising", "1"),
        ("--leak-concentration", "concentration", "1"),
        ("--leak-faster", "faster", "1.5"),
        ("--leak-idle", "idle", "0.25"),
    ] {
        let found = leaks(file.path(), &[flag, value]).await.json();
        let expected: f64 = value.parse().unwrap();
        assert_eq!(found["metadata"]["rule"][name].as_f64(), Some(expected), "{found}");
        let suspects = found["items"].as_array().map(Vec::len);
        let stops = matches!(name, "growth" | "samples");
        assert_eq!(suspects, Some(usize::from(!stops)), "{flag}: {found}");
    }
    let text = khan(&["leaks", "--replay", file.path().to_str().unwrap()]).run().await;
    for word in ["--leak-samples", "--leak-growth", "--leak-rising", "--leak-step", "--leak-idle"] {
        assert!(text.stderr.contains(word), "{text:?}");
    }
    for wrong in [
        ["--leak-rising", "3"],
        ["--leak-rising", "NaN"],
        ["--leak-growth", "0"],
        ["--leak-samples", "2"],
        ["--leak-step", "2"],
        ["--leak-faster", "0"],
    ] {
        let ended = leaks(file.path(), &wrong).await;
        assert_eq!(ended.code, Some(64), "{wrong:?}: {ended:?}");
        assert!(ended.stderr.contains(wrong[0]), "{wrong:?}: {ended:?}");
    }
}

#[tokio::test]
async fn ctrl_c_gives_the_verdict_that_there_is() {
    let agent = agent(ok(&snapshot("n1", &[("web", "n1", "db", "n2", 5432, 7)]))).await;
    let mut started = khan(&["leaks", "--agent", &agent.uri(), "--window", "10m", "-o", "json"]);
    let mut child = started.command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let said = stderr.next_line().await.unwrap().unwrap();
    assert!(said.starts_with("watching for 10m") && said.contains("Ctrl-C"), "{said}");
    kill_process(Pid::from_raw(child.id().unwrap().cast_signed()).unwrap(), Signal::INT).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(30), child.wait()).await.expect("it ends").unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
    assert_eq!(ended.code(), Some(130));
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&report["kind"], &report["metadata"]["samples"]), (&"LeakList".into(), &1.into()));
}
