//! Half an hour of ordinary life in snapshots half a minute apart, through the rules as the programs do it: nothing is wrong.
//! And that each rule would find something there if it were more eager.

use std::time::Duration;

use khan_api::{Protocol, Timestamp};

use super::*;
use crate::model::fixture::{Agent, START, view};
use crate::model::growth::LeakRule;
use crate::model::{History, Query, leaks};

/// Seconds between two snapshots.
const PERIOD: i64 = 30;
/// Half an hour.
const STEPS: i64 = 60;
/// A quarter of an hour before: growth is judged over so much, and a program that begins to look in the middle of a rise
/// cannot know that it will end.
const BEFORE: i64 = 30;

/// Up to `most`, the same in every run.
fn chance(what: u64, step: i64, most: u64) -> u64 {
    let mut x = (what << 32 | step.unsigned_abs()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x ^ (x >> 29)) % (most + 1)
}

fn agent(step: i64) -> Agent {
    let mut agent = Agent::new("n1", PERIOD * step);
    agent.snapshot.since = Some(Timestamp::from_seconds(START + PERIOD * (step - 1)));
    agent.snapshot.names.controller = "http://controller:14719".into();
    agent.snapshot.table.entries = 120_000 + chance(1, step, 20_000);
    agent
}

/// Adds connections of which some are open and the others in `TIME_WAIT`, and how many ended since the snapshot before.
fn row(agent: Agent, [src, dst]: [&str; 2], port: u16, [open, waiting, ended]: [u64; 3]) -> Agent {
    agent.row(src, dst, port, open + waiting).established(open).but(|row| row.ended = ended)
}

/// Clients that open and close a few a second, a pool whose connections live for seconds, visitors, and a busy DNS.
fn churn(step: i64) -> Agent {
    let agent = row(
        agent(step),
        ["shop/cart@n1", "svc:data/db"],
        5432,
        [30 + chance(2, step, 20), 1_700 + chance(3, step, 200), 400 + chance(4, step, 150)],
    );
    let agent = row(
        agent,
        ["shop/api@n1", "svc:data/redis"],
        6379,
        [180 + chance(5, step, 40), 3_000 + chance(6, step, 900), 900 + chance(7, step, 300)],
    );
    let agent = row(
        agent,
        ["198.51.100.7", "web/front@n1"],
        443,
        [300 + chance(8, step, 100), 9_000 + chance(9, step, 900), 9_000 + chance(10, step, 900)],
    )
    .but(|row| (row.stalled, row.unanswered) = (chance(11, step, 20), chance(12, step, 40)));
    let lost = chance(13, step, 25);
    agent.row("shop/cart@n1", "svc:kube-system/dns", 53, 900).but(|row| {
        row.protocol = Protocol::Udp;
        row.states = [("REPLIED".into(), 900 - lost), ("UNREPLIED".into(), lost)].into();
        row.unanswered = lost;
    })
}

/// Ten pods of a client, replaced one a minute from the third minute on; each leaves connections in `TIME_WAIT`, and each new
/// one tries a server before that is ready.
fn rollout(step: i64) -> Agent {
    (0..10).fold(agent(step), |agent, pod| {
        let replaced = BEFORE + 6 + 2 * pod;
        let generation = i64::from(step >= replaced);
        let name = |generation: i64| format!("shop/web-{generation}-{pod}:web@n1");
        let held = 18 + chance(20 + pod.unsigned_abs(), step, 4);
        let agent = row(agent, [&name(generation), "svc:data/db"], 5432, [held, 0, 0]);
        let agent = if (replaced..replaced + 4).contains(&step) {
            row(agent, [&name(0), "svc:data/db"], 5432, [0, 18, if step == replaced { 18 } else { 0 }])
        } else {
            agent
        };
        if step != replaced {
            return agent;
        }
        agent.row("edge/gateway@n1", &format!("shop/web-1-{pod}:web@n1"), 8080, 2).but(|row| {
            row.states = [("SYN_SENT".into(), 2)].into();
            row.unanswered = 2;
        })
    })
}

/// Load that doubles within eight minutes, stays for ten, and goes; pods are added on the way.
fn rush_hour(step: i64) -> Agent {
    let load = |low: u64, high: u64| {
        let (up, down) = (step - BEFORE - 10, step - BEFORE - 46);
        let share = (up.clamp(0, 16) - down.clamp(0, 16)).unsigned_abs();
        low + (high - low) * share / 16
    };
    let outside = load(600, 2_000);
    let agent = row(
        agent(step),
        ["198.51.100.7", "web/front@n1"],
        443,
        [outside + chance(40, step, outside / 8), outside * 3, outside * 2],
    );
    let pods = load(4, 12);
    (0..pods).fold(agent, |agent, pod| {
        let held = 20 + chance(50 + pod, step, 5);
        row(agent, [&format!("web/front-{pod}:front@n1"), "svc:data/db"], 5432, [held, 10, 4])
    })
}

/// A pool that fills for eight minutes and is emptied, again and again.
fn saw_tooth(step: i64) -> Agent {
    let held = 20 + 10 * (step % 16).unsigned_abs();
    row(agent(step), ["batch/etl@n1", "svc:data/db"], 5432, [held + chance(60, step, 3), 0, 0]).row(
        "shop/cart@n1",
        "svc:data/db",
        5432,
        40,
    )
}

/// What the agent of a node tells at a step.
type Life = fn(i64) -> Agent;

const SCENES: [(&str, Life); 4] =
    [("churn", churn), ("a rollout", rollout), ("a rush hour", rush_hour), ("a saw-tooth", saw_tooth)];

/// Everything that is found in a scene, each once: the time, kind and sentence.
fn found(scene: Life, rules: &Rules) -> Vec<(ProblemKind, String)> {
    let query = Query { limit: 0, rule: rules.leak, ..Query::default() };
    let (mut history, mut memory) = (History::default(), Memory::default());
    history.track(&query);
    let mut all: Vec<(ProblemKind, String)> = Vec::new();
    for step in 0..BEFORE + STEPS {
        let view = view(&[scene(step)]);
        history.push(std::sync::Arc::clone(&view));
        memory.push(&view);
        if step < BEFORE {
            continue;
        }
        let leaks = leaks(&view, &query, &history, &rules.leak);
        let scene = Scene { view: &view, query: &query, history: &history, memory: &memory, leaks: &leaks, rules };
        let problems = Problems::of(&scene, &ProblemKind::ALL);
        assert!(problems.unknown.is_empty(), "{:?}", problems.unknown);
        memory.note(&problems.list, view.assembled);
        let minute = (step - BEFORE) * PERIOD / 60;
        all.extend(problems.list.into_iter().map(|one| (one.kind, format!("minute {minute}: {}", one.sentence))));
    }
    all
}

#[test]
fn ordinary_life_is_no_problem() {
    for (name, scene) in SCENES {
        let found = found(scene, &Rules::default());
        assert!(found.is_empty(), "{name}: {found:#?}");
    }
}

#[test]
fn rules_that_are_too_eager_find_something_there() {
    let usual = Rules::default();
    let eager = |kind: ProblemKind, rules: Rules| {
        let mut found = SCENES.iter().flat_map(|(_, scene)| found(*scene, &rules));
        assert!(found.any(|(found, _)| found == kind), "{kind} with {rules:?}");
    };
    eager(ProblemKind::Unanswered, Rules { unanswered: 2, ..usual });
    eager(ProblemKind::Unanswered, Rules { unanswered_udp: 0.01, ..usual });
    eager(ProblemKind::Stalled, Rules { stalled_outside: 0.001, ..usual });
    eager(ProblemKind::Churn, Rules { churn: 10, ..usual });
    eager(ProblemKind::Churn, Rules { churn_lasts: 10.0, ..usual });
    eager(ProblemKind::Table, Rules { table: 0.5, ..usual });
    let leak = LeakRule::default();
    eager(ProblemKind::Leak, Rules { leak: LeakRule { window: Duration::from_mins(5), ..leak }, ..usual });
}
