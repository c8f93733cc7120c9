//! A part that is missing is said: on stderr, in the data, and with `--strict` by exit code 3.

use std::path::Path;

use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::khan::{Ended, agent, khan, ok, two_nodes};

/// What the JSON, stderr and `--strict` say of one answer; they must agree.
async fn missing(arguments: &[&str]) -> Vec<String> {
    let ended = khan(&[arguments, &["-o", "json"]].concat()).run().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let json = ended.json();
    let place = if json["kind"] == "Who" { &json } else { &json["metadata"] };
    let missing: Vec<String> = serde_json::from_value(place["missing"].clone()).unwrap();
    assert_eq!(place["partial"], !missing.is_empty(), "{json:#}");
    for gap in &missing {
        assert!(ended.stderr.contains(&format!("note: {gap}\n")), "{gap} is not in {}", ended.stderr);
    }
    let strict = khan(&[arguments, &["--strict"]].concat()).run().await;
    assert_eq!(strict.code, Some(if missing.is_empty() { 0 } else { 3 }), "{strict:?}");
    assert!(missing.is_empty() || strict.stderr.contains("khan: the answer is partial (--strict): "), "{strict:?}");
    missing
}

#[tokio::test]
async fn rows_that_cannot_be_read_and_names_that_are_old() {
    let [mut n1, _] = two_nodes();
    let whole = agent(ok(&n1)).await;
    assert_eq!(missing(&["top", "--agent", &whole.uri()]).await, [""; 0]);
    n1["names"] = json!({"controller": "http://c", "error": "cannot reach the controller"});
    let row = n1["rows"][0].clone();
    for end in ["src", "dst", "backend"] {
        let mut wrong = row.clone();
        wrong[end] = json!(99);
        n1["rows"].as_array_mut().unwrap().push(wrong);
    }
    let server = agent(ok(&n1)).await;
    let uri = server.uri();
    let expected = [
        "3 rows point to addresses that the snapshot of node n1 does not hold, and are left out",
        "names on node n1 are old or missing: cannot reach the controller",
    ];
    for command in [&["top"][..], &["who", "app/web"]] {
        assert_eq!(missing(&[command, &["--agent", &uri]].concat()).await, expected, "{command:?}");
    }
    let agents = khan(&["agents", "--agent", &uri, "--strict"]).run().await;
    assert_eq!(agents.code, Some(3), "{agents:?}");
    assert!(agents.stdout.contains("3 rows point to addresses that its snapshot does not hold"), "{agents:?}");
}

#[tokio::test]
async fn agents_that_fail_are_a_failure_of_the_commands_about_them() {
    let [n1, _] = two_nodes();
    let (good, bad) = (agent(ok(&n1)).await, agent(ResponseTemplate::new(500)).await);
    let both = format!("{},{}", good.uri(), bad.uri());
    let code = async |arguments: &[&str], agents: &str| {
        let ended = khan(&[arguments, &["--agent", agents]].concat()).run().await;
        assert!(ended.code == Some(0) || ended.stderr.contains("khan: "), "{ended:?}");
        ended.code
    };
    assert_eq!(code(&["agents"], &good.uri()).await, Some(0));
    assert_eq!(code(&["agents"], &both).await, Some(1));
    assert_eq!(code(&["agents", "--strict"], &both).await, Some(3));
    assert_eq!(code(&["agents"], &bad.uri()).await, Some(4));
    assert_eq!(code(&["doctor"], &good.uri()).await, Some(0));
    assert_eq!(code(&["doctor"], &both).await, Some(1));
    assert_eq!(code(&["doctor"], &bad.uri()).await, Some(1), "this host could still show its own table");
}

#[tokio::test]
async fn a_recording_that_cannot_be_written_is_a_failure() {
    let server = agent(ok(&two_nodes()[0])).await;
    let full = ["--agent", &server.uri(), "--record", "/dev/full"];
    for command in [&["top", "--once"][..], &["leaks", "--window", "1s"], &["who", "app/web"], &["agents"]] {
        let ended = khan(&[command, &full].concat()).run().await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let sentence = "khan: --record /dev/full: the recording stopped: No space left on device (os error 28)\n";
        assert!(ended.stderr.ends_with(sentence), "{ended:?}");
        assert!(!ended.stdout.is_empty() || command[0] == "leaks", "what was asked for is printed: {ended:?}");
    }
}

#[tokio::test]
async fn a_recording_that_breaks_off_is_shown_as_far_as_it_is_whole() {
    let server = agent(ok(&two_nodes()[0])).await;
    let folder = tempfile::tempdir().unwrap();
    let record = async |file: &Path| -> Ended {
        let file = file.to_str().unwrap();
        khan(&["top", "--once", "--agent", &server.uri(), "--record", file]).run().await
    };
    let file = folder.path().join("seen.khan");
    assert_eq!(record(&file).await.code, Some(0));
    let whole = std::fs::read(&file).unwrap();
    let replay = ["top", "--replay", file.to_str().unwrap()];
    assert_eq!(missing(&replay).await, [""; 0]);
    // A second view, of which the disk took half.
    std::fs::write(&file, [&whole[..], &whole[..whole.len() / 2]].concat()).unwrap();
    let gaps = missing(&replay).await;
    let [gap] = &gaps[..] else { panic!("one gap: {gaps:?}") };
    assert!(gap.contains("seen.khan breaks off after 20") && gap.contains("its last line is lost"), "{gap}");
    let shown: Value = khan(&[&replay[..], &["-o", "json"]].concat()).run().await.json();
    assert_eq!(shown["metadata"]["totals"]["conns"], 9);
    // Nothing of it is whole.
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let ended = khan(&replay).run().await;
    assert_eq!(ended.code, Some(64), "{ended:?}");
}
