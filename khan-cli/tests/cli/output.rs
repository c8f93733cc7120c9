//! Formats and manners of the printed output.

use std::process::Stdio;

use tokio::io::AsyncReadExt;

use crate::khan::{agent, khan, ok, snapshot, two_nodes};

async fn printed(arguments: &[&str]) -> String {
    let [n1, _] = two_nodes();
    let server = agent(ok(&n1)).await;
    let ended = khan(&[arguments, &["--once", "--agent", &server.uri()]].concat()).run().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

#[tokio::test]
async fn every_format_is_what_it_says() {
    let columns = ["top", "--columns", "source,conns"];
    let with = |format| async move { printed(&[&columns[..], &["-o", format]].concat()).await };
    assert_eq!(with("table").await, "SOURCE     CONNS\nshop/web       7\nshop/db        2\n");
    assert_eq!(with("csv").await, "source,conns\nshop/web,7\nshop/db,2\n");
    assert_eq!(with("tsv").await, "source\tconns\nshop/web\t7\nshop/db\t2\n");
    assert_eq!(with("markdown").await, "| SOURCE | CONNS |\n| --- | ---: |\n| shop/web | 7 |\n| shop/db | 2 |\n");
    assert_eq!(with("name").await, "shop/web->shop/db:5432\nshop/db->shop/web:80\n");
    assert_eq!(with("custom-columns=N:.conns,P:.port").await, "N   P\n7   5432\n2   80\n");
    let yaml: serde_json::Value = serde_saphyr::from_str(&with("yaml").await).unwrap();
    assert_eq!((&yaml["apiVersion"], &yaml["kind"]), (&"khan.dev/v1".into(), &"ConnectionList".into()));
    assert_eq!(with("ndjson").await.lines().count(), 2);
}

#[tokio::test]
async fn every_format_in_full() {
    for format in ["table", "wide", "json", "ndjson", "yaml", "csv", "tsv", "markdown"] {
        let text = printed(&["top", "-o", format]).await;
        // What depends on when the test runs.
        let moment = |line: &str| line.split_once("snapshot").map(|(indent, _)| format!("{indent}snapshot ..."));
        let lines: Vec<_> = text.lines().map(|line| moment(line).unwrap_or_else(|| line.to_owned())).collect();
        insta::assert_snapshot!(format!("output_{format}"), lines.join("\n"));
    }
}

#[tokio::test]
async fn a_limit_keeps_the_rest_visible() {
    let text = printed(&["top", "--limit", "1", "--columns", "source,conns", "--sort-by", "-conns"]).await;
    assert_eq!(text, "SOURCE           CONNS\nshop/db              2\n(other: 1 row)       7\n");
}

#[tokio::test]
async fn nothing_found_is_said_on_stderr() {
    let [n1, _] = two_nodes();
    let server = agent(ok(&n1)).await;
    let ended = khan(&["top", "--once", "-n", "empty", "--agent", &server.uri()]).run().await;
    assert_eq!((ended.code, &*ended.stdout), (Some(0), ""));
    assert_eq!(ended.stderr, "No connections found in namespace empty.\n");
}

#[tokio::test]
async fn a_reader_that_leaves_is_no_failure() {
    let rows: Vec<_> = (1..=5_000).map(|port| ("web", "n1", "db", "n1", port, 1)).collect();
    let server = agent(ok(&snapshot("n1", &rows))).await;
    let mut khan = khan(&["top", "--once", "--agent", &server.uri()]);
    let mut child = khan.command.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 10];
    stdout.read_exact(&mut first).await.unwrap();
    drop(stdout);
    let ended = child.wait_with_output().await.unwrap();
    assert_eq!((ended.status.code(), String::from_utf8(ended.stderr).unwrap()), (Some(0), String::new()));
}

/// As in `khan top --once 2>&1 >/dev/null | head -n 0`.
#[tokio::test]
async fn a_note_that_nobody_reads_changes_no_exit_code() {
    let [n1, _] = two_nodes();
    let server = agent(ok(&n1)).await;
    for (more, code) in [("--namespace=empty", 0), ("--record=/dev/full", 1), ("--columns=nosuch", 64)] {
        let mut khan = khan(&["top", "--once", "--agent", &server.uri(), more]);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = khan.command.stderr(writer).output().await.unwrap();
        assert_eq!(ended.status.code(), Some(code), "{more}");
    }
}

#[tokio::test]
async fn nothing_that_a_name_holds_reaches_the_terminal_raw() {
    let server = agent(ok(&snapshot("n1", &[("we\u{1b}[2Jb", "n1", "=db", "n1", 80, 1)]))).await;
    for format in ["table", "csv", "markdown", "name", "custom-columns=X:.source.text", "json", "yaml"] {
        let ended = khan(&["top", "--once", "-o", format, "--agent", &server.uri()]).run().await;
        assert!(!ended.stdout.contains('\u{1b}') && ended.stdout.contains("[2Jb"), "{format}: {}", ended.stdout);
    }
}
