use std::sync::Arc;

use super::*;
use crate::model::fixture::{Agent, Heard, view};
use crate::model::growth::Growth;

const SAMPLES: usize = 30;

/// Values of snapshots one every 30 s.
fn growth(values: &[u64]) -> Growth {
    Growth::of(&timed(values))
}

fn timed(values: &[u64]) -> Vec<Sample> {
    values.iter().enumerate().map(|(step, value)| (30.0 * step as f64, *value)).collect()
}

/// A report on 30 snapshots, one every 30 s, with `value(step)` connections spread over three pods as `share` says.
fn report(
    value: impl Fn(usize) -> u64,
    share: [f64; 3],
    change: impl Fn(&mut khan_api::snapshot::Row) + Copy,
) -> LeakReport {
    let query = Query::default();
    let mut history = History::default();
    history.track(&query);
    let mut last = Arc::default();
    for step in 0..SAMPLES {
        let mut agent = Agent::new("n1", 30 * i64::try_from(step).unwrap());
        let total = value(step) as f64;
        for (pod, share) in share.iter().enumerate() {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
            let n = (total * share).round() as u64;
            agent = agent.row(&format!("shop/web-{pod}:web@n1"), "data/db@n2", 5432, n).but(change);
        }
        last = view(&[agent]);
        history.push(Arc::clone(&last));
    }
    leaks(&last, &query, &history, &LeakRule::default())
}

fn even(value: impl Fn(usize) -> u64) -> Option<Verdict> {
    report(value, [0.34, 0.33, 0.33], |_| ()).leaks.first().map(|leak| leak.verdict)
}

fn noise(step: usize) -> u64 {
    (step as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59
}

#[test]
fn innocent_series_raise_no_alarm() {
    assert_eq!(even(|_| 500), None, "flat");
    assert_eq!(even(|step| 500 + noise(step)), None, "noise");
    assert_eq!(even(|step| 300 + 10 * (step as u64 % 8)), None, "saw-tooth");
    assert_eq!(even(|step| if step < 12 { 300 } else { 900 }), None, "step");
    assert_eq!(even(|step| 300 + 40 * (step as u64).min(15)), None, "ramp that levels out");
    assert_eq!(even(|step| 900 - 20 * step as u64), None, "fall");
    assert_eq!(even(|step| 2 + step as u64 / 3), None, "too little");
    assert_eq!(even(|step| if step == 14 { 0 } else { 500 }), None, "a missing scrape");
}

#[test]
fn steady_growth_is_watched_and_evidence_makes_it_likely() {
    assert_eq!(even(|step| 300 + 10 * step as u64), Some(Verdict::Watch));
    let slow = |step: usize| 100 + step as u64;
    assert_eq!(even(slow), Some(Verdict::Watch), "slow leak");
    let one_pod = report(slow, [0.8, 0.1, 0.1], |_| ());
    assert_eq!(one_pod.leaks[0].verdict, Verdict::Likely);
    assert_eq!(one_pod.leaks[0].reasons, ["1 of 3 pods holds 80%: shop/web-0 on n1"]);
    assert!(one_pod.leaks[0].skew.unwrap() > 5.0);
    let idle = report(slow, [0.34, 0.33, 0.33], |row| row.idle_connections = row.connections * 9 / 10);
    assert_eq!(idle.leaks[0].verdict, Verdict::Likely);
    let unclosed = report(slow, [0.34, 0.33, 0.33], |row| row.server_unclosed = row.connections);
    assert!(unclosed.leaks[0].reasons[0].ends_with("wait for the server to close"), "{:?}", unclosed.leaks[0].reasons);
}

#[test]
fn noise_on_top_of_growth_does_not_hide_it() {
    assert_eq!(even(|step| 300 + 40 * step as u64 + noise(step)), Some(Verdict::Watch));
}

#[test]
fn no_saw_tooth_that_falls_within_the_window_is_a_leak() {
    for (period, phase) in (2..SAMPLES as u64).flat_map(|period| (0..period).map(move |phase| (period, phase))) {
        for (base, slope) in [(0, 1), (0, 10), (300, 10), (300, 40), (5_000, 25)] {
            let tooth = |step: u64| base + slope * ((step + phase) % period);
            let values: Vec<_> = (0..SAMPLES as u64).map(tooth).collect();
            assert!(!growth(&values).rises(&LeakRule::default()), "every {period} from {phase}: {values:?}");
        }
    }
}

#[test]
fn no_noise_is_a_leak() {
    for seed in 0..500_u64 {
        for height in [1, 5, 50, 1_000] {
            let at = |step: u64| (seed * 1_000 + step + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) % height;
            let values: Vec<_> = (0..SAMPLES as u64).map(|step| 200 + at(step)).collect();
            assert!(!growth(&values).rises(&LeakRule::default()), "{values:?}");
        }
    }
}

/// The verdict when some steps have no data, because no scrape or answer came.
fn with_missing(value: impl Fn(usize) -> u64, missing: impl Fn(usize) -> bool) -> Option<Verdict> {
    let query = Query::default();
    let mut history = History::default();
    history.track(&query);
    let mut last = Arc::default();
    for step in (0..SAMPLES).filter(|step| !missing(*step)) {
        let agent = Agent::new("n1", 30 * i64::try_from(step).unwrap());
        last = view(&[agent.row("shop/web:web@n1", "data/db@n2", 5432, value(step))]);
        history.push(Arc::clone(&last));
    }
    leaks(&last, &query, &history, &LeakRule::default()).leaks.first().map(|leak| leak.verdict)
}

#[test]
fn missing_scrapes_neither_alarm_nor_hide() {
    for missing in [|step| (10..20).contains(&step), |step: usize| step % 3 == 1, |step| step == 14] {
        assert_eq!(with_missing(|_| 500, missing), None, "flat");
        assert_eq!(with_missing(|step| 300 + 10 * (step as u64 % 8), missing), None, "saw-tooth");
        assert_eq!(with_missing(|step| if step < 15 { 300 } else { 900 }, missing), None, "step");
        assert_eq!(with_missing(|step| 300 + 10 * step as u64, missing), Some(Verdict::Watch), "leak");
    }
}

#[test]
fn a_restart_begins_anew_instead_of_alarming() {
    let fallen = |step: usize| if step < 24 { 300 + 10 * step as u64 } else { 10 + (step as u64 - 24) };
    assert_eq!(even(fallen), None);
}

#[test]
fn growth_far_above_the_rows_own_past_is_evidence() {
    let values: Vec<u64> = (0..60).map(|step| if step < 30 { 100 + step } else { 130 + 10 * (step - 30) }).collect();
    assert!(faster(&timed(&values), 30).unwrap() >= 3.0);
    assert_eq!(faster(&timed(&values[..30]), 30), None);
}

/// Pseudo-random numbers from -1 to 1, the same for every run.
fn jitter(seed: u64, step: usize) -> f64 {
    let mixed = (seed * 1_000 + step as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and small")]
fn whole(value: f64) -> u64 {
    value.max(0.0).round() as u64
}

#[test]
fn sixty_a_minute_is_a_leak_at_any_size() {
    for base in [0.0, 1_000.0, 1_200.0, 2_580.0, 10_000.0, 50_000.0, 500_000.0] {
        // Agents are asked every 5 s, Prometheus for 60 points, and a scrape of 30 s gives 30.
        for (samples, step) in [(181, 5.0), (61, 15.0), (31, 30.0)] {
            let at = |noise: f64, seed: u64| -> Vec<Sample> {
                let value = |n: usize| whole(base + step * n as f64 + noise * jitter(seed, n));
                (0..samples).map(|n| (step * n as f64, value(n))).collect()
            };
            let steady = Growth::of(&at(0.0, 1));
            assert!(steady.rises(&LeakRule::default()), "{base} every {step}: {steady:?}");
            assert_eq!(steady.rising(), steady.steps());
            // Its other connections come and go by a tenth of what leaks in the window.
            let seen = (1..=100).filter(|seed| Growth::of(&at(90.0, *seed)).rises(&LeakRule::default())).count();
            assert!(seen >= 97, "{base} every {step}: {seen} of 100");
        }
    }
}

#[test]
fn what_comes_and_goes_or_comes_to_rest_is_no_leak() {
    const END: f64 = 900.0;
    type Scene = (&'static str, fn(f64) -> f64);
    let scenes: [Scene; 9] = [
        ("flat", |_| 0.0),
        ("step", |t| if t < 400.0 { 0.0 } else { 900.0 }),
        ("two steps", |t| 300.0 * (t / 400.0).floor()),
        ("saw-tooth", |t| t % 180.0),
        ("slow saw-tooth", |t| t % 600.0),
        ("rush hour", |t| if t < 450.0 { t } else { 900.0 - t }),
        ("rush hour that stays", |t| 900.0 * (1.0 - (-t / 120.0).exp())),
        ("pool that fills", |t| (2.0 * t).min(900.0)),
        ("recovery", |t| -900.0 * (-t / 60.0).exp()),
    ];
    for (name, scene) in scenes {
        // Where noise is a good part of the steps themselves, a few may pass.
        for (base, noise, passing) in [(1_000.0, 0.0, 0), (1_000.0, 20.0, 0), (50_000.0, 0.0, 0), (50_000.0, 90.0, 2)] {
            for step in [5.0, 15.0, 30.0] {
                let passes = |seed: &u64| {
                    let value = |n: usize| whole(base + scene(step * n as f64) + noise * jitter(*seed, n));
                    let times = (0..).map(|n| (step * n as f64, value(n)));
                    let samples: Vec<_> = times.take_while(|(at, _)| *at <= END).collect();
                    Growth::of(&samples).rises(&LeakRule::default())
                };
                let alarms = (1..=40).filter(passes).count();
                assert!(alarms <= passing, "{name} on {base} every {step} s with noise {noise}: {alarms} of 40");
            }
        }
    }
}

/// A leak on n1, and 100 steady connections of the same app on n2, whose agent is heard as `hears` says; or no leak.
fn with_agent(leaks: bool, hears: impl Fn(usize) -> bool) -> (Option<Verdict>, Option<i64>) {
    let query = Query { window: Duration::from_mins(15), ..Query::default() };
    let mut history = History::default();
    history.track(&query);
    let mut last = Arc::default();
    for step in 0..=SAMPLES {
        let at = 30 * i64::try_from(step).unwrap();
        let here = Agent::new("n1", at).row(
            "shop/web:web@n1",
            "data/db@n3",
            5432,
            if leaks { 1_000 + 30 * step as u64 } else { 1_000 },
        );
        let mut there = Agent::new("n2", at).row("shop/web-2:web@n2", "data/db@n3", 5432, 100);
        there.heard = if hears(step) { Heard::Now } else { Heard::Never };
        last = view(&[here, there]);
        history.push(Arc::clone(&last));
    }
    let found = leaks_of(&last, &query, &history);
    let change = project(&last, &query, &history).rows[0].change;
    (found.leaks.first().map(|leak| leak.verdict), change.map(|change| change.delta))
}

fn leaks_of(view: &View, query: &Query, history: &History) -> LeakReport {
    leaks(view, query, history, &LeakRule::default())
}

#[test]
fn agents_that_come_and_go_neither_alarm_nor_hide() {
    for (scene, hears) in [
        ("flaps", (|step| step % 3 != 1) as fn(usize) -> bool),
        ("flaps slowly", |step| step / 5 % 2 == 0),
        ("is rolled out", |step| step >= 12),
        ("is away for a while", |step| !(8..20).contains(&step)),
        ("stops answering", |step| step < 20),
        ("is heard for a moment", |step| step == 15),
    ] {
        assert_eq!(with_agent(false, hears), (None, Some(0)), "{scene}");
        let (verdict, change) = with_agent(true, hears);
        assert!(verdict <= Some(Verdict::Watch) && verdict.is_some(), "{scene}: {verdict:?}");
        assert_eq!(change, Some(900), "{scene}");
    }
}

#[test]
fn a_near_miss_says_what_is_missing() {
    let near = |value: fn(usize) -> u64, rule: &LeakRule| {
        let values: Vec<_> = (0..=SAMPLES).map(value).collect();
        growth(&values).miss(rule).map(|miss| miss.to_string())
    };
    let usual = LeakRule::default();
    assert_eq!(near(|step| 300 + step as u64, &usual), None);
    let strict = LeakRule { growth: 100, ..usual };
    assert_eq!(near(|step| 300 + step as u64, &strict).unwrap(), "below +100 (--leak-growth)");
    assert_eq!(near(|step| 300 + 20 * (step as u64).min(20), &usual).unwrap(), "grew in 3 of 4 quarters of the window");
    let step = near(|step| if step < 12 { 300 } else { 900 }, &usual).unwrap();
    assert_eq!(step, "more than 50% of it came in one step (--leak-step)");
}
