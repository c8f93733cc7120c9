//! `khan diff` and `khan replay` on recordings.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::khan::{Ended, agent, khan, ok};
use crate::shop::{Agent, node, snapshots};
use crate::tape::{shop_tape, tape};

/// Recordings of the shop at its begin and a quarter of an hour later, in a folder of their own.
fn recorded() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    shop_tape(&folder.path().join("before.khan"), 0..1);
    shop_tape(&folder.path().join("after.khan"), 28..31);
    folder
}

async fn run(folder: &Path, arguments: &[&str]) -> Ended {
    let mut khan = khan(arguments);
    khan.command.current_dir(folder);
    khan.run().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_recordings_are_compared() {
    let folder = tokio::task::spawn_blocking(recorded).await.unwrap();
    let diff = ["diff", "before.khan", "after.khan"];
    let ended = run(folder.path(), &diff).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    insta::assert_snapshot!("diff_table", format!("{}---\n{}", ended.stdout, ended.stderr));
    let ended = run(folder.path(), &[&diff[..], &["-o", "json", "--limit", "2"]].concat()).await;
    insta::assert_snapshot!("diff_json", ended.stdout);
    let new = [&diff[..], &["--show", "new", "-o", "name"]].concat();
    let ended = run(folder.path(), &new).await;
    assert_eq!((ended.code, &*ended.stdout), (Some(0), "?10.40.7.19->pay/ledger:8443\n"));
    let ended = run(folder.path(), &[&new[..], &["--exit-code"]].concat()).await;
    assert_eq!(ended.code, Some(5));
    assert!(ended.stderr.ends_with("1 difference (--exit-code)\n"), "{}", ended.stderr);
    let ended = run(folder.path(), &[&new[..], &["--exit-code", "--to", "data/redis"]].concat()).await;
    assert_eq!((ended.code, &*ended.stdout), (Some(0), ""));
    let large =
        [&diff[..], &["--min-change", "500", "--group-by", "dst", "--sort-by", "destination", "-o", "csv"]].concat();
    let ended = run(folder.path(), &large).await;
    assert_eq!(ended.stdout.lines().next(), Some("change,destination,before,after,delta"));
    assert!(ended.stdout.contains("\ngrown,data/postgres-main,"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_compared_with_now_and_with_its_own_past() {
    let folder = tokio::task::spawn_blocking(recorded).await.unwrap();
    let mut snapshot = serde_json::to_value(&snapshots(30)[0]).unwrap();
    snapshot["taken"] = serde_json::to_value(khan_api::Timestamp::now()).unwrap();
    let server = agent(ok(&snapshot)).await;
    let ended = run(folder.path(), &["diff", "before.khan", "--agent", &server.uri(), "-o", "json"]).await;
    let found: Value = ended.json();
    assert_eq!(found["items"][0]["source"]["text"], "shop/checkout", "{found}");
    assert_eq!((&found["items"][0]["before"], &found["items"][0]["after"]), (&5_682.into(), &8_442.into()));
    assert_eq!(found["metadata"]["after"]["source"], "agents");
    // One agent was named, and what became of the other node is not known.
    let missing = found["metadata"]["missing"][0].as_str().unwrap();
    assert_eq!(
        (missing, &found["metadata"]["counts"]["gone"]),
        ("node node-07 is not compared: only one side knows it", &0.into())
    );

    let back = ["diff", "--replay", "after.khan", "--against", "1m", "--from", "shop/checkout", "-o", "json"];
    let ended = run(folder.path(), &back).await;
    let found: Value = ended.json();
    assert_eq!(found["metadata"]["apartSeconds"], 60.0);
    assert!(found["items"][0]["delta"].as_i64().unwrap() > 100, "{found}");
    let ended = run(folder.path(), &["diff", "--replay", "after.khan", "--against", "1h"]).await;
    assert_eq!(ended.code, Some(64));
    assert!(ended.stderr.contains("--against 1h: after.khan holds 1m only"), "{}", ended.stderr);
}

#[tokio::test]
async fn what_cannot_be_compared_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let refused = async |arguments: &[&str]| {
        let ended = run(folder.path(), arguments).await;
        assert_eq!(ended.code, Some(64), "{ended:?}");
        ended.stderr
    };
    assert!(refused(&["diff"]).await.contains("nothing to compare: give two recordings"));
    assert!(refused(&["diff", "a", "--against", "1d"]).await.contains("give it without recordings"));
    assert!(refused(&["diff", "a.khan", "b.khan"]).await.contains("a.khan: No such file"));
    assert!(refused(&["diff", "--against", "1d"]).await.contains("--against needs a source that knows the past"));
    assert!(
        refused(&["top", "--since", "6h", "--agent", "n1"])
            .await
            .contains("--since needs a source that knows the past")
    );
    assert!(refused(&["diff", "--against", "soon"]).await.contains("expected a duration such as"));
    assert!(refused(&["top", "--once", "--record-for", "1m"]).await.contains("--record-for bounds a recording"));
}

/// Khan's own connections are in no count unless they are asked for, and how many those are is said.
#[tokio::test(flavor = "multi_thread")]
async fn what_watching_adds_is_no_difference_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let agents = |step: i64| {
        let own = 3 + step.unsigned_abs() * 2;
        let agent = node("n1", step).row("shop/web@n1", "svc:data/db", 5432, 7);
        vec![agent.row("khan/khan-agent@n1", "svc:khan/khan-controller", 14719, own).snapshot]
    };
    tokio::task::spawn_blocking(move || {
        tape(&path.join("before.khan"), [agents(0)]);
        tape(&path.join("after.khan"), (0..31).map(agents));
    })
    .await
    .unwrap();
    let diff = ["diff", "before.khan", "after.khan", "-o", "json"];
    let ended = run(folder.path(), &diff).await;
    let found = ended.json();
    let own = |found: &Value, side: &str| found["metadata"][side]["leftOutOwnConns"].clone();
    assert_eq!((&found["items"], own(&found, "before")), (&serde_json::json!([]), 3.into()));
    assert_eq!((own(&found, "after"), &found["metadata"]["after"]["conns"]), (63.into(), &7.into()));
    assert!(ended.stderr.contains("note: 63 connections of Khan itself left out (--own shows them)"), "{ended:?}");
    let found = run(folder.path(), &[&diff[..], &["--own"]].concat()).await.json();
    assert_eq!((&found["items"][0]["delta"], own(&found, "after")), (&60.into(), Value::Null));

    let leaks = ["leaks", "--replay", "after.khan", "-o", "json"];
    let ended = run(folder.path(), &leaks).await;
    let found = ended.json();
    assert_eq!((&found["items"], &found["metadata"]["leftOutOwnConns"]), (&serde_json::json!([]), &63.into()));
    assert!(ended.stderr.contains("note: 63 connections of Khan itself left out (--own shows them)"), "{ended:?}");
    let ended = run(folder.path(), &[&leaks[..], &["--own"]].concat()).await;
    let found = ended.json();
    assert_eq!((&found["items"][0]["before"], &found["items"][0]["growth"]), (&3.into(), &60.into()), "{found}");
    assert!(!ended.stderr.contains("left out"), "{ended:?}");
}

/// A recording knows since when a row is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_recording_says_when_a_row_was_first_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("day.khan");
    tokio::task::spawn_blocking(move || shop_tape(&path, 0..31)).await.unwrap();
    let top = ["top", "--replay", "day.khan", "--once", "--columns", "source,first-seen", "-o", "csv"];
    let ended = run(folder.path(), &top).await;
    let seen: Vec<_> = ended.stdout.lines().filter(|line| !line.ends_with(',')).collect();
    assert_eq!(seen, ["source,firstSeen", "?10.40.7.19,2026-11-22T14:15:30Z"], "{ended:?}");
}

/// A node that did not answer makes nothing gone, and `--strict` refuses what is not whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_partial_side_is_said_and_makes_nothing_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let web = |agent: Agent| agent.row("shop/web@n1", "svc:data/db", 5432, 7);
    let job = |step| node("n2", step).row("ops/job@n2", "svc:data/db", 5432, 3).snapshot;
    let mut short = web(node("n1", 1));
    short.snapshot.rest = Some(khan_api::snapshot::Rest { rows: 4, client: 9, server: 0, unknown: 0 });
    tokio::task::spawn_blocking(move || {
        tape(&path.join("before.khan"), [vec![web(node("n1", 0)).snapshot, job(0)]]);
        tape(&path.join("after.khan"), [vec![short.snapshot]]);
    })
    .await
    .unwrap();
    let diff = ["diff", "before.khan", "after.khan", "--strict"];
    let ended = run(folder.path(), &diff).await;
    assert_eq!((ended.code, &*ended.stdout), (Some(3), ""), "{ended:?}");
    assert!(ended.stderr.contains("1 undecided"), "{}", ended.stderr);
    assert!(ended.stderr.contains("after: agents left out 9 connections in 4 small rows"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_are_listed_with_what_is_in_them() {
    let folder = tokio::task::spawn_blocking(recorded).await.unwrap();
    std::fs::write(folder.path().join("notes.txt"), "not a recording").unwrap();
    let whole = std::fs::read(folder.path().join("after.khan")).unwrap();
    std::fs::write(folder.path().join("torn.khan"), &whole[..whole.len() - 20]).unwrap();
    let ended = run(folder.path(), &["replay", "--columns", "file,start,span,rounds,nodes,sources,problem"]).await;
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{ended:?}");
    let cells: Vec<_> = lines[1].split_whitespace().collect();
    assert_eq!(cells, ["after.khan", "2026-11-22T14:16:00Z", "1m", "3", "2", "agents", "-"]);
    assert!(lines[3].starts_with("torn.khan") && lines[3].contains("breaks off at line"), "{}", lines[3]);
    assert!(ended.stderr.contains("khan top --replay after.khan plays it"), "{}", ended.stderr);
    let ended = run(folder.path(), &["replay", "notes.txt", "before.khan", "-o", "json"]).await;
    let found: Value = ended.json();
    assert_eq!((ended.code, &found["metadata"]["unreadable"]), (Some(1), &1.into()));
    assert_eq!((&found["items"][1]["rounds"], &found["items"][1]["contexts"][0]), (&1.into(), &"prod-eu1".into()));
    let ended = run(tempfile::tempdir().unwrap().path(), &["replay"]).await;
    assert_eq!(ended.stderr, "No recordings found in this folder; khan top --record FILE makes one.\n");
}

/// What somebody has recorded is not lost by recording again.
#[tokio::test]
async fn a_recording_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let server = agent(ok(&serde_json::to_value(&crate::khan::two_nodes()[0]).unwrap())).await;
    let record = ["top", "--once", "--agent", &server.uri(), "--record", "kept.khan"];
    assert_eq!(run(folder.path(), &record).await.code, Some(0));
    let kept = std::fs::read(folder.path().join("kept.khan")).unwrap();
    let asked = server.received_requests().await.unwrap().len();
    let ended = run(folder.path(), &record).await;
    assert_eq!((ended.code, &*ended.stdout), (Some(64), ""), "{ended:?}");
    let sentence = "--record kept.khan exists already, and is not overwritten: give another name, or remove it first";
    assert!(ended.stderr.contains(sentence), "{}", ended.stderr);
    assert_eq!(std::fs::read(folder.path().join("kept.khan")).unwrap(), kept);
    assert_eq!(server.received_requests().await.unwrap().len(), asked, "nobody is asked");
    let into_the_void = [&record[..5], &["/dev/null"]].concat();
    assert_eq!(run(folder.path(), &into_the_void).await.code, Some(0));
}

/// The file is bounded, and what it holds is said when the program ends.
#[tokio::test]
async fn a_recording_ends_at_its_bound_and_the_program_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let server = agent(ok(&serde_json::to_value(&crate::khan::two_nodes()[0]).unwrap())).await;
    let record = ["top", "--once", "--agent", &server.uri(), "--record", "small.khan", "--record-size", "100B"];
    let ended = run(folder.path(), &record).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("shop/web"), "{ended:?}");
    assert!(ended.stderr.contains("note: recorded 0 rounds"), "{}", ended.stderr);
    assert!(ended.stderr.contains("complete: 100 B (--record-size)"), "{}", ended.stderr);
    assert_eq!(std::fs::metadata(folder.path().join("small.khan")).unwrap().len(), 0);
}
