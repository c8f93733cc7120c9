//! When the controller is asked, and what is known in between.

use super::*;
use crate::model::fixture::{Agent, view};

fn key(name: &str) -> Key {
    ("data".into(), name.into())
}

/// A round that looked at these services and had answers for these.
fn round(looked_at: &[&str], answered: &[&str]) -> Round {
    let answer = |name: &&str| {
        let service = Service { ns: "data".into(), name: (*name).into(), endpoints: Vec::new() };
        (key(name), Some(Arc::new(service)))
    };
    Round {
        looked_at: looked_at.iter().copied().map(key).collect(),
        left_out: 0,
        answers: Ok(answered.iter().map(answer).collect()),
    }
}

fn after(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

#[test]
fn a_controller_that_failed_is_left_alone_for_a_minute() {
    let (mut known, start) = (Known::default(), Instant::now());
    assert!(known.is_due(start), "nothing is known");
    let failing = Round { answers: Err("no route to it".into()), ..round(&["api"], &[]) };
    known.take(failing, start);
    let services = Arc::clone(&known.add(&view(&[]), false).services);
    assert_eq!(services.unknown.as_deref(), Some("no route to it"));
    assert_eq!([10, 59, 60].map(|seconds| known.is_due(after(start, seconds))), [false, false, true]);
    known.take(round(&["api"], &["api"]), after(start, 60));
    assert_eq!(known.add(&view(&[]), false).services.unknown, None);
    assert_eq!([69, 70].map(|seconds| known.is_due(after(start, seconds))), [false, true], "and then as usual");
}

#[test]
fn an_answer_is_good_for_a_minute_and_forgotten_once_nobody_dials_the_service() {
    let (mut known, start) = (Known::default(), Instant::now());
    known.take(round(&["api", "cache", "gone"], &["api", "cache"]), start);
    known.take(round(&["api", "cache", "new"], &["new"]), after(start, 10));
    let fresh = |known: &Known, seconds| {
        let mut fresh: Vec<_> = known.fresh(after(start, seconds)).into_iter().map(|(_, name)| name).collect();
        fresh.sort();
        fresh.join(" ")
    };
    assert_eq!([59, 60, 69, 70].map(|seconds| fresh(&known, seconds)), ["api cache new", "new", "new", ""]);
    let listed = |known: &Known| {
        let mut names: Vec<_> =
            known.add(&view(&[]), false).services.list.iter().map(|service| service.name.to_string()).collect();
        names.sort();
        names.join(" ")
    };
    // What is not asked again stays until it is, also while the controller fails.
    assert_eq!(listed(&known), "api cache new");
    known.take(Round { answers: Err("away".into()), ..round(&["cache", "new"], &[]) }, after(start, 20));
    assert_eq!((listed(&known), fresh(&known, 20)), (String::new(), "cache new".to_owned()));
    known.take(round(&["cache", "new"], &[]), after(start, 80));
    assert_eq!(listed(&known), "cache new");
}

#[test]
fn the_first_view_is_settled_once_the_answers_are_there() {
    let (mut known, start) = (Known::default(), Instant::now());
    let mut first = View::clone(&view(&[Agent::new("n1", 0).row("shop/web@n1", "svc:data/api", 80, 7)]));
    first.settled = true;
    let first = Arc::new(first);
    assert!(!known.add(&first, true).settled);
    assert_eq!(known.add(&first, true).totals, first.totals, "its rows are there meanwhile");
    known.take(round(&["api"], &["api"]), start);
    let with = known.add(&first, false);
    assert!(with.settled && with.services.list.len() == 1);
    assert!(known.add(&first, true).settled, "later rounds hold nothing up");
}

/// Views pass, whether or not there is a controller; without one they say why.
#[tokio::test]
async fn views_pass_without_a_controller() {
    let (feeder, feed) = channel(View::default());
    let mut shown = listed(feed, Err("no khan-controller runs here".into()), Query::default()).views;
    for seconds in [0, 30] {
        let view = view(&[Agent::new("n1", seconds).row("shop/web@n1", "svc:data/api", 80, 7)]);
        feeder.show(Arc::clone(&view));
        let passed = shown.wait_for(|shown| shown.id == view.id).await.unwrap();
        assert_eq!(passed.services.unknown.as_deref(), Some("no khan-controller runs here"));
        assert_eq!(passed.settled, view.settled);
    }
    drop(feeder);
    assert!(shown.changed().await.is_err(), "the end of the source is the end of its views");
}
