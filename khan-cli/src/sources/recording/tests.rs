//! What is written is read again, whole or not.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use khan_api::TableStats;

use super::*;
use crate::feed::{News, channel};
use crate::model::fixture::{Agent, view};
use crate::model::{History, Query, View, project};
use crate::sources::nodes::NodeChoice;

const ALL: Bounds = Bounds { span: None, bytes: u64::MAX };

#[tokio::test]
async fn what_is_recorded_is_seen_again() {
    let map = TableStats { name: "cilium_ct4_global".into(), entries: 9, limit: 10, scan_micros: 250 };
    let at = |seconds, n| {
        let mut agent = Agent::new("n1", seconds).row("shop/web@n1", "data/db@n2", 5432, n);
        agent.snapshot.tables = vec![map.clone()];
        view(&[agent])
    };
    let (first, second) = (at(0, 7), at(30, 9));
    let file = tempfile::NamedTempFile::new().unwrap();
    let (feeder, feed) = channel(View::default());
    let mut recorded = record(feed, file.path(), Recording::default(), ALL).unwrap();
    for view in [&first, &second] {
        feeder.show(Arc::clone(view));
        recorded.views.wait_for(|seen| seen.id == view.id).await.unwrap();
    }
    let mut feed = replay(file.path(), &NodeChoice::default()).unwrap();
    let query = Query::default();
    let last = Arc::clone(&feed.views.borrow());
    let rows = |view: &View| {
        let rows = project(view, &query, &History::default()).rows;
        rows.iter().map(|row| (row.key, row.sum.connections)).collect::<Vec<_>>()
    };
    assert_eq!(rows(&last), rows(&second));
    assert_eq!((last.id, &last.nodes[0].tables), (second.id, &vec![map.clone()]));
    let Some(News::Past(past)) = feed.news.recv().await else { panic!("no past") };
    assert_eq!(past.last().map(|view| rows(view)), Some(rows(&first)));
    assert!(matches!(feed.news.recv().await, Some(News::End)));
}

#[tokio::test]
async fn tables_of_two_nodes_with_one_id_stay_two() {
    let agent = |node: &str, n| {
        let mut agent = Agent::new(node, 0).row(&format!("shop/web@{node}"), "svc:data/db", 5432, n);
        agent.snapshot.id = "1".into();
        agent
    };
    let seen = view(&[agent("n1", 7), agent("n2", 100)]);
    let file = tempfile::NamedTempFile::new().unwrap();
    let (feeder, feed) = channel(View::default());
    let mut recorded = record(feed, file.path(), Recording::default(), ALL).unwrap();
    feeder.show(Arc::clone(&seen));
    recorded.views.wait_for(|view| view.id == seen.id).await.unwrap();
    assert_eq!(read(file.path(), &NodeChoice::default()).unwrap().pop().unwrap().totals, seen.totals);
}

#[tokio::test]
async fn one_that_breaks_off_is_read_as_far_as_it_is_whole() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (feeder, feed) = channel(View::default());
    let mut recorded = record(feed, file.path(), Recording::default(), ALL).unwrap();
    for seconds in [0, 30, 60] {
        let seen = view(&[Agent::new("n1", seconds).row("shop/web@n1", "data/db@n2", 5432, 7)]);
        feeder.show(Arc::clone(&seen));
        recorded.views.wait_for(|view| view.id == seen.id).await.unwrap();
    }
    let whole = std::fs::read(file.path()).unwrap();
    let ends_of_lines: Vec<_> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
    // Each view is a table's line and its own.
    let first = ends_of_lines[1] + 1;
    let ends = |bytes: &[u8]| {
        std::fs::write(file.path(), bytes).unwrap();
        read(file.path(), &NodeChoice::default()).map(|views| (views.len(), views.last().unwrap().gaps().join("; ")))
    };
    assert_eq!(ends(&whole).unwrap(), (3, String::new()));
    // Killed in the middle of its last line; between two bytes of one letter; a disk that gave zeroes.
    let torn = [&whole[..whole.len() - 20], &[&whole[..whole.len() - 20], "é".as_bytes().split_at(1).0].concat()];
    for torn in torn {
        let (views, gaps) = ends(torn).unwrap();
        assert!(views == 2 && gaps.contains("breaks off after") && gaps.contains("its last line is lost"), "{gaps}");
    }
    let mut zeroed = whole.clone();
    zeroed[first + 5..first + 50].fill(0);
    let (views, gaps) = ends(&zeroed).unwrap();
    assert!(views == 1 && gaps.contains("its last 4 lines are lost"), "{gaps}");
    let (views, gaps) = ends(&whole[..=ends_of_lines[4]]).unwrap();
    assert!(views == 2 && gaps.contains("the view of its last table is lost"), "{gaps}");
    // Nothing of it is whole.
    assert!(ends(&whole[..first - 20]).unwrap_err().to_string().contains("line 1"));
}

#[test]
fn a_line_without_an_end_is_not_read_to_its_end() {
    let error = read(Path::new("/dev/zero"), &NodeChoice::default()).unwrap_err().to_string();
    assert_eq!(error, "/dev/zero: a line is longer than the 32 MiB that lines of a recording have");
}

#[test]
fn other_files_are_refused_with_their_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "{\"khan\":2}\n").unwrap();
    assert!(read(file.path(), &NodeChoice::default()).unwrap_err().to_string().contains("line 1: missing field"));
    std::fs::write(file.path(), "").unwrap();
    assert!(replay(file.path(), &NodeChoice::default()).unwrap_err().to_string().ends_with("holds no view"));
}

fn at(seconds: i64) -> Arc<View> {
    view(&[Agent::new("n1", seconds).row("shop/web@n1", "data/db@n2", 5432, 7)])
}

/// Shows views to a recorder, one after the other, as a source would.
async fn seen(path: &Path, recording: &Recording, bounds: Bounds, views: &[Arc<View>]) {
    let (feeder, feed) = channel(View::default());
    let mut recorded = record(feed, path, recording.clone(), bounds).unwrap();
    for view in views {
        feeder.show(Arc::clone(view));
        recorded.views.wait_for(|seen| seen.id == view.id).await.unwrap();
    }
}

fn rounds(path: &Path) -> usize {
    read(path, &NodeChoice::default()).unwrap().len()
}

#[tokio::test]
async fn another_source_goes_on_in_the_same_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let recording = Recording::default();
    seen(file.path(), &recording, ALL, &[at(0), at(30)]).await;
    seen(file.path(), &recording, ALL, &[at(60)]).await;
    assert_eq!(rounds(file.path()), 3);
    let summary = recording.summary().unwrap();
    assert!(summary.starts_with("recorded 3 rounds, 1m, "), "{summary}");
}

#[tokio::test]
async fn it_ends_where_it_may_hold_no_more() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let recording = Recording::default();
    let bounds = Bounds { span: Some(Duration::from_secs(45)), ..ALL };
    seen(file.path(), &recording, bounds, &[at(0), at(30), at(60), at(90)]).await;
    assert_eq!((rounds(file.path()), recording.failure()), (2, None));
    assert!(recording.summary().unwrap().ends_with("complete: 45s (--record-for)"));

    let whole = std::fs::metadata(file.path()).unwrap().len();
    let file = tempfile::NamedTempFile::new().unwrap();
    let recording = Recording::default();
    let bounds = Bounds { bytes: whole + 10, ..ALL };
    seen(file.path(), &recording, bounds, &[at(0), at(30), at(60), at(90)]).await;
    assert_eq!(rounds(file.path()), 2);
    assert_eq!(std::fs::metadata(file.path()).unwrap().len(), whole, "half a round was left");
    assert!(recording.summary().unwrap().ends_with("(--record-size)"));
}

#[tokio::test]
async fn another_recording_is_not_overwritten() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let recording = Recording::default();
    recording.check(file.path()).unwrap();
    seen(file.path(), &recording, ALL, &[at(0)]).await;
    let another = Recording::default();
    let refused = record(channel(View::default()).1, file.path(), another.clone(), ALL).unwrap_err();
    assert_eq!(another.check(file.path()).unwrap_err().to_string(), refused.to_string());
    assert!(refused.to_string().contains("exists already, and is not overwritten"), "{refused}");
    assert_eq!(rounds(file.path()), 1);
    recording.check(file.path()).unwrap();
}

#[tokio::test]
async fn nobody_else_can_read_it_even_where_a_file_was() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::set_permissions(file.path(), Permissions::from_mode(0o644)).unwrap();
    record(channel(View::default()).1, file.path(), Recording::default(), ALL).unwrap();
    assert_eq!(std::fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
}
