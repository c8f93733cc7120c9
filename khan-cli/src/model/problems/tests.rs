use std::sync::Arc;

use khan_api::snapshot::{Endpoint, Limit, Row as Wire};
use khan_api::{Protocol, TableStats, Timestamp};

use super::*;
use crate::model::fixture::{Agent, Heard, START, view};
use crate::model::{History, LeakReport, Query, View, leaks};

/// An agent that compares its scans: the one before was ten seconds ago.
fn agent(node: &str, seconds: i64) -> Agent {
    let mut agent = Agent::new(node, seconds);
    agent.snapshot.since = Some(Timestamp::from_seconds(START + seconds - 10));
    agent.snapshot.names.controller = "http://controller:14719".into();
    agent
}

/// What is wrong in the last of some views.
fn among(views: &[Arc<View>], rules: &Rules) -> Problems {
    let query = Query { limit: 0, ..Query::default() };
    let (mut history, mut memory) = (History::default(), Memory::default());
    history.track(&query);
    let mut found = Problems::default();
    for view in views {
        history.push(Arc::clone(view));
        memory.push(view);
        let leaks = leaks(view, &query, &history, &rules.leak);
        found = Problems::of(
            &Scene { view, query: &query, history: &history, memory: &memory, leaks: &leaks, rules },
            &ProblemKind::ALL,
        );
        memory.note(&found.list, view.assembled);
    }
    found
}

fn found(agents: &[Agent]) -> Problems {
    among(&[view(agents)], &Rules::default())
}

/// Severity, kind and sentence of each problem.
fn sentences(problems: &Problems) -> Vec<String> {
    let text =
        |problem: &Problem| format!("{} {}: {}", problem.severity.as_str(), problem.kind.as_str(), problem.sentence);
    problems.list.iter().map(text).collect()
}

fn states(row: &mut Wire, states: &[(&str, u64)]) {
    row.states = states.iter().map(|(name, n)| ((*name).into(), *n)).collect();
    row.connections = states.iter().map(|(_, n)| n).sum();
}

/// `tries` SYNs of each of so many pods of a cart of three.
fn cart_without_redis(pods: u64, tries: u64) -> Agent {
    let agent = agent("n1", 0);
    (0..3).fold(agent, |agent, pod| {
        agent.row(&format!("shop/cart-{pod}:cart@n1"), "data/redis@n2", 6379, 0).but(|row| {
            states(row, &[("SYN_SENT", if pod < pods { tries } else { 0 }), ("ESTABLISHED", 2)]);
            row.unanswered = if pod < pods { tries } else { 0 };
        })
    })
}

#[test]
fn tries_without_an_answer_are_one_problem_of_a_pair() {
    let problems = found(&[cart_without_redis(3, 5)]);
    assert_eq!(
        sentences(&problems),
        ["CRITICAL unanswered: shop/cart gets no answer from data/redis:6379: 15 tries wait, from all 3 of its pods"]
    );
    let problem = &problems.list[0];
    assert_eq!(
        problem.evidence,
        [
            "tries: shop/cart-0 (5), shop/cart-1 (5), shop/cart-2 (5)",
            "seen on n1",
            "6 other connections of this pair are open"
        ]
    );
    assert_eq!(problem.next, ["khan conns --from app/shop/cart --to app/data/redis --port 6379 --state syn_sent"]);
    assert_eq!(
        (&problem.owners[..], &problem.nodes[..]),
        (&["shop/cart".into(), "data/redis".into()][..], &["n1".into()][..])
    );
    let some = found(&[cart_without_redis(2, 5)]);
    assert!(some.list[0].sentence.ends_with("from 2 of its 3 pods"), "{}", some.list[0].sentence);
    assert!(found(&[cart_without_redis(1, 2)]).list.is_empty(), "two tries are bad luck");
}

/// `n` connections of two carts to redis, `dead` of them to a backend that died so many seconds before [`START`].
fn dead_backend(dead: u64, seconds: i64, change: impl FnOnce(&mut khan_api::snapshot::Endpoint)) -> Agent {
    let agent = agent("n1", 0).row("shop/cart-0:cart@n1", "svc:data/redis", 6379, 26).row(
        "shop/cart-1:cart@n1",
        "svc:data/redis",
        6379,
        dead,
    );
    let mut agent = agent.row("shop/x@n1", "data/redis-0:redis@n2", 1, 0);
    let backend = agent.snapshot.endpoints.last_mut().unwrap();
    (backend.dead, backend.previous) = (Some(Timestamp::from_seconds(START - seconds)), true);
    backend.ip = Some([10, 1, 0, 5].into());
    change(backend);
    let place = agent.snapshot.rows.pop().unwrap().dst;
    agent.but(|row| (row.backend, row.stalled) = (place, dead))
}

#[test]
fn a_dead_backend_is_one_problem_and_its_connections_are_no_stalled_ones() {
    let problems = found(&[dead_backend(14, 13 * 3600 + 40, |_| ())]);
    assert_eq!(
        sentences(&problems),
        ["CRITICAL dead-backend: 14 of 40 connections from shop/cart to data/redis:6379 still go to data/redis-0 \
             (10.1.0.5), gone for 13h"]
    );
    let problem = &problems.list[0];
    assert_eq!(
        problem.evidence,
        ["data/redis-0 (10.1.0.5) (14), gone for 13h", "still sending: shop/cart-1 (14)", "seen on n1"]
    );
    assert_eq!(problem.since, Some(Timestamp::from_seconds(START - 13 * 3600 - 40)));
    assert_eq!(
        problem.next,
        ["khan conns --from app/shop/cart --to app/data/redis --port 6379 --to ip/10.1.0.5", "khan who 10.1.0.5"]
    );
    let left = found(&[dead_backend(1, 120, |backend| backend.previous = false)]);
    assert_eq!(
        sentences(&left),
        ["CRITICAL dead-backend: 1 of 27 connections from shop/cart to data/redis:6379 still goes to data/redis-0 \
             (10.1.0.5), no longer an endpoint for 2m"]
    );
    assert!(found(&[dead_backend(14, 59, |_| ())]).list.is_empty(), "everybody is about to notice");
    let alive = found(&[dead_backend(14, 99, |backend| backend.dead = None)]);
    assert_eq!(alive.list.iter().map(|problem| problem.kind.as_str()).collect::<Vec<_>>(), ["stalled"]);
    let mut nameless = dead_backend(14, 99, |_| ());
    nameless.snapshot.names.controller = "".into();
    let nameless = found(&[nameless]);
    assert_eq!(nameless.unknown[0].1, "the agents have no controller, which knows the pods");
}

#[test]
fn single_datagrams_get_lost() {
    let questions = |lost: u64, answered: u64| {
        agent("n1", 0).row("shop/cart@n1", "kube-system/dns@n2", 53, 0).but(|row| {
            row.protocol = Protocol::Udp;
            states(row, &[("UNREPLIED", lost), ("REPLIED", answered)]);
            row.unanswered = lost;
        })
    };
    assert!(found(&[questions(5, 995)]).list.is_empty());
    assert_eq!(
        sentences(&found(&[questions(100, 900)])),
        ["CRITICAL unanswered: shop/cart gets no answer from kube-system/dns:53/udp: 100 tries wait, from its one pod"]
    );
}

#[test]
fn who_comes_from_outside_may_be_gone() {
    let visitors =
        |stalled: u64| agent("n1", 0).row("1.1.1.1", "web/front@n1", 443, 100).but(|row| row.stalled = stalled);
    assert!(found(&[visitors(9)]).list.is_empty());
    assert_eq!(found(&[visitors(10)]).list[0].kind, ProblemKind::Stalled);
    let strangers = agent("n1", 0).row("1.1.1.1", "web/front@n1", 443, 50).but(|row| {
        states(row, &[("SYN_SENT", 50)]);
        row.unanswered = 50;
        row.ended = 5_000;
    });
    assert!(found(&[strangers]).list.is_empty());
}

#[test]
fn stalled_connections_are_a_problem_from_the_first() {
    let agents = [
        agent("n1", 0).row("shop/web@n1", "data/db@n2", 5432, 40).but(|row| row.stalled = 1),
        agent("n2", 0).row("shop/web@n1", "data/db@n2", 5432, 40).but(|row| row.stalled = 1),
    ];
    assert_eq!(
        sentences(&found(&agents)),
        ["CRITICAL stalled: 1 of 40 connections from shop/web to data/db:5432 is stalled: data is sent and nobody \
             acknowledges it"],
        "both nodes see it, and it counts once"
    );
    let rules = Rules { stalled: 2, ..Rules::default() };
    assert!(among(&[view(&agents)], &rules).list.is_empty());
}

#[test]
fn churn_is_many_short_connections() {
    let churning = |ended: u64, open: u64| {
        agent("n1", 0).row("shop/cart@n1", "data/db@n2", 5432, 0).but(|row| {
            states(row, &[("TIME_WAIT", ended), ("ESTABLISHED", open)]);
            row.ended = ended;
        })
    };
    let problems = found(&[churning(1_499, 12)]);
    assert_eq!(
        sentences(&problems),
        ["WARNING churn: shop/cart opens and closes 150 connections a second to data/db:5432 instead of keeping some"]
    );
    assert_eq!(problems.list[0].evidence[2], "12 are open now, so one lasts 0.1 s on average");
    assert!(found(&[churning(190, 0)]).list.is_empty(), "19 a second");
    assert!(found(&[churning(300, 61)]).list.is_empty(), "30 a second that last two seconds");
}

fn table(seconds: i64, entries: u64, drops: u64) -> Arc<View> {
    let mut agent = agent("n1", seconds).row("shop/web@n1", "data/db@n2", 5432, 700).row("a/b@n1", "c/d@n2", 1, 20);
    agent.snapshot.table.limit = 1_000;
    agent.snapshot.table.entries = entries;
    agent.snapshot.table.stat = [("early_drop".into(), drops)].into();
    view(&[agent])
}

#[test]
fn a_table_is_a_problem_before_it_is_full_and_more_so_when_it_drops() {
    let rules = Rules::default();
    assert!(among(&[table(0, 799, 7)], &rules).list.is_empty(), "what was dropped before anybody looked");
    let filling = among(&[table(0, 760, 7), table(60, 820, 7)], &rules);
    assert_eq!(
        sentences(&filling),
        ["WARNING table: the connection table of n1 is 82% full (820 of 1000), and full in 3m at this rate"]
    );
    assert_eq!(filling.list[0].evidence, ["shop/web -> data/db:5432 holds 700", "a/b -> c/d:1 holds 20"]);
    let dropping = among(&[table(0, 995, 7), table(60, 990, 107)], &rules);
    assert_eq!(
        sentences(&dropping),
        ["CRITICAL table: the connection table of n1 is 99% full (990 of 1000) and drops connections: 100 in 1m"]
    );
    assert_eq!(dropping.list[0].evidence.last().unwrap(), "100 entries were given up early in 1m");
    assert!(
        among(&[table(0, 995, 7), table(60, 990, 107), table(600, 500, 107)], &rules).list.is_empty(),
        "it is over"
    );
}

#[test]
fn each_map_is_a_table_of_its_own() {
    let with = |seconds, name: &str, entries| {
        let mut agent = agent("n1", seconds)
            .row("shop/web@n1", "data/db@n2", 5432, 700)
            .row("shop/web@n1", "kube/dns@n2", 53, 20)
            .but(|row| row.protocol = Protocol::Udp);
        agent.snapshot.table.stat = [("drop".into(), entries)].into();
        let stats = |name: &str, entries, limit| TableStats { name: name.into(), entries, limit, scan_micros: 9 };
        agent.snapshot.tables = vec![stats(TableStats::KERNEL, 5, 1_000), stats(name, entries, 2_000)];
        view(&[agent])
    };
    let rules = Rules::default();
    let growing = |name, entries| among(&[with(0, name, entries - 50), with(60, name, entries)], &rules);
    // What the kernel dropped has nothing to do with the map.
    let filling = growing("cilium_ct4_global", 1_640);
    assert_eq!(
        sentences(&filling),
        [
            "CRITICAL table: the connection table of n1 is 1% full (5 of 1000) and drops connections: 50 in 1m",
            "WARNING table: the connection table cilium_ct4_global of n1 is 82% full (1640 of 2000), and full in 7m at this \
             rate",
        ]
    );
    let evicts = "a full map evicts the entries used longest ago, and says nothing: idle connections can break";
    assert_eq!(filling.list[1].evidence, ["shop/web -> data/db:5432 holds 700", evicts]);
    assert_ne!(filling.list[0].key, filling.list[1].key);
    // Eviction begins before the last entry is taken.
    let full = growing("cilium_ct_any4_global", 1_940);
    assert!(
        sentences(&full)[0].starts_with("CRITICAL table: the connection table cilium_ct_any4_global of n1 is 97% full")
    );
    assert_eq!(full.list[0].evidence, ["shop/web -> kube/dns:53 holds 20", evicts]);
    let refusing = growing("cali_v4_ct3", 1_940);
    assert_eq!(refusing.list[1].severity, Severity::Warning);
    assert_eq!(refusing.list[1].evidence.last().unwrap(), "a full map takes no new entries: new connections fail");
    assert!(growing("cilium_ct4_global", 1_500).list.iter().all(|problem| problem.sentence.contains("drops")));
}

/// A node's agent that knows how many connections each of these can take.
fn limited(mut agent: Agent, limits: &[(&str, u32)]) -> Agent {
    let place = |name: &str| {
        let named = |endpoint: &Endpoint| format!("{}/{}", endpoint.owner.ns, endpoint.owner.name) == name;
        agent.snapshot.endpoints.iter().position(named).and_then(|at| u32::try_from(at).ok()).expect("it is there")
    };
    let limits = limits.iter().map(|(name, n)| Limit { endpoint: place(name), connections: (*n).try_into().unwrap() });
    agent.snapshot.limits = Some(limits.collect());
    agent
}

/// Postgres with this many connections of the shop's checkout and 12 of others; both nodes see them.
fn postgres(seconds: i64, checkout: u64) -> Arc<View> {
    let seen_by = |node: &str| {
        let agent = agent(node, seconds)
            .row("shop/checkout@n1", "data/postgres-0:postgres@n2", 5432, checkout + 30)
            .but(|row| states(row, &[("ESTABLISHED", checkout), ("TIME_WAIT", 30)]))
            .row("shop/cart@n1", "data/postgres-0:postgres@n2", 5432, 8)
            .row("shop/web@n1", "data/postgres-0:postgres@n2", 5432, 4);
        limited(agent, &[("data/postgres-0", 100)])
    };
    view(&[seen_by("n1"), seen_by("n2")])
}

#[test]
fn a_limit_is_a_problem_before_it_is_reached() {
    let rules = Rules::default();
    assert!(among(&[postgres(0, 67)], &rules).list.is_empty(), "79 of 100");
    let nearly = among(&[postgres(0, 63), postgres(60, 71)], &rules);
    assert_eq!(
        sentences(&nearly),
        [
            "WARNING limit: data/postgres: 83 of 100 connections, shop/checkout holds 71 of them, full in 2m at this rate"
        ]
    );
    let problem = &nearly.list[0];
    assert_eq!(
        problem.evidence,
        [
            "held by shop/checkout (71), shop/cart (8), shop/web (4)",
            "the limit is that of data/postgres-0",
            "seen on n1"
        ]
    );
    assert_eq!(problem.owners, ["data/postgres", "shop/checkout"]);
    assert_eq!(problem.next[0], "khan top --to app/data/postgres --group-by src-pod,dst");
    let full = among(&[postgres(0, 88)], &rules);
    assert_eq!(
        sentences(&full),
        ["CRITICAL limit: data/postgres: 100 of 100 connections, shop/checkout holds 88 of them: it is full"]
    );
    let lenient = Rules { limit: 0.9, ..rules };
    assert!(among(&[postgres(0, 71)], &lenient).list.is_empty());
}

#[test]
fn each_pod_has_its_own_limit_and_a_service_counts_who_dials_it() {
    let agent = agent("n1", 0)
        .row("shop/web@n1", "data/db-0:db@n2", 5432, 90)
        .row("shop/web@n1", "data/db-1:db@n2", 5432, 70)
        .row("shop/web@n1", "svc:data/db", 5432, 95)
        // The service leads to the first pod.
        .but(|row| row.backend = 1);
    let problems = found(&[limited(agent, &[("data/db-0", 200), ("data/db-1", 70), ("data/db", 100)])]);
    assert_eq!(
        sentences(&problems),
        [
            "CRITICAL limit: pod/data/db-1: 70 of 70 connections, shop/web holds all of them: it is full",
            "WARNING limit: svc/data/db: 95 of 100 connections, shop/web holds all of them",
            "WARNING limit: pod/data/db-0: 185 of 200 connections, shop/web holds all of them"
        ]
    );
}

#[test]
fn a_limit_counts_everybody_whoever_asks() {
    let query = Query { limit: 0, namespaces: vec!["shop".into()], ..Query::default() };
    let elsewhere = Query { namespaces: vec!["mon".into()], ..query.clone() };
    let agent = agent("n1", 0).row("shop/web@n1", "data/db@n2", 5432, 9).row("a/b@n1", "data/db@n2", 5432, 81);
    let view = view(&[limited(agent, &[("data/db", 100)])]);
    let of = |query: &Query| {
        let (history, memory, leaks, rules) =
            (History::default(), Memory::default(), LeakReport::default(), Rules::default());
        let scene = Scene { view: &view, query, history: &history, memory: &memory, leaks: &leaks, rules: &rules };
        sentences(&Problems::of(&scene, &[ProblemKind::Limit]))
    };
    assert_eq!(of(&query), ["WARNING limit: data/db: 90 of 100 connections, a/b holds 81 of them"]);
    assert!(of(&elsewhere).is_empty());
}

#[test]
fn agents_that_lack_the_same_are_one_problem() {
    let mut agents = ["n1", "n2", "n3", "n4", "n5"].map(|node| agent(node, 0));
    for agent in &mut agents[..4] {
        agent.snapshot.warnings = vec!["nothing is tracked here".into()];
    }
    assert_eq!(
        sentences(&found(&agents)),
        ["WARNING blind: the 4 agents on n1, n2, n3 and 1 more do not see everything: nothing is tracked here"]
    );
    agents[0].heard = Heard::Never;
    agents[1].snapshot.names.error = "no route to host".into();
    let all = sentences(&found(&agents));
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all.iter().any(|one| one.starts_with("WARNING blind: the agent on n1 does not answer: ")), "{all:?}");
    assert!(all.contains(&"WARNING blind: names on n2 are old or missing: no route to host".into()), "{all:?}");
}

#[test]
fn growth_is_a_problem_when_it_is_likely_a_leak_and_is_watched_before() {
    let growing = |pod: u64| {
        let views = (0..30).map(|step: i64| {
            let n = 100 + 10 * step.unsigned_abs();
            let share = |number: u64| if number == pod { n } else { 50 };
            let agent = agent("n1", 30 * step);
            view(&[(0..3).fold(agent, |agent, number| {
                agent.row(&format!("shop/web-{number}:web@n1"), "data/db@n2", 5432, share(number))
            })])
        });
        among(&views.collect::<Vec<_>>(), &Rules::default())
    };
    let problems = growing(0);
    assert_eq!(sentences(&problems), ["WARNING leak: shop/web leaks to data/db:5432: +20/min for 14m, 1 of 3 pods"]);
    let evidence = &problems.list[0].evidence;
    assert_eq!(evidence[0], "490 now, 290 more than 14m30s ago");
    assert!(evidence[1].starts_with("1 of 3 pods holds 80%"), "{evidence:?}");
    assert_eq!(problems.list[0].next, ["khan leaks --from app/shop/web --to app/data/db"]);
}

#[test]
fn what_is_not_known_is_said_and_not_taken_for_absent() {
    let mut old = Agent::new("n1", 0).row("shop/web@n1", "data/db@n2", 5432, 40).but(|row| row.ended = 900);
    (old.snapshot.limits, old.snapshot.snat) = (None, None);
    let problems = found(&[old]);
    assert!(problems.list.is_empty(), "{:?}", problems.list);
    let unknown: Vec<_> = problems.unknown.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        unknown,
        ["dead-backend", "unanswered", "stalled", "limit", "leak", "snat", "churn", "imbalance", "new-client"]
    );
    let mut only = problems.clone();
    only.keep(&[ProblemKind::Leak]);
    assert_eq!(only.unknown.len(), 1);
    let new = found(&[agent("n1", 0)]);
    let unknown: Vec<_> = new.unknown.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(unknown, [ProblemKind::Leak, ProblemKind::NewClient]);
    assert_eq!(
        new.not_known(),
        [
            "not known from here: leak (needs 6 snapshots and has 1: khan leaks watches for a window)",
            "not known from here: new-client (needs a baseline or 5m of the past)",
        ]
    );
}

#[test]
fn the_worst_comes_first_and_keeps_its_first_time() {
    let at = |seconds| {
        let agent = agent("n1", seconds)
            .row("shop/cart@n1", "data/db@n2", 5432, 0)
            .but(|row| {
                states(row, &[("TIME_WAIT", 900)]);
                row.ended = 900;
            })
            .row("shop/web@n1", "data/db@n2", 5432, 40)
            .but(|row| row.stalled = 3)
            .row("shop/web@n1", "data/redis@n2", 6379, 0)
            .but(|row| {
                states(row, &[("SYN_SENT", 9)]);
                row.unanswered = 9;
            });
        view(&[agent])
    };
    let problems = among(&[at(0), at(30), at(60)], &Rules::default());
    let kinds: Vec<_> = problems.list.iter().map(|problem| problem.kind.as_str()).collect();
    assert_eq!(kinds, ["unanswered", "stalled", "churn"]);
    assert_eq!(problems.alarming(), 3);
    let first = Some(Timestamp::from_seconds(START));
    assert!(problems.list.iter().all(|problem| problem.since == first), "{:?}", problems.list);
}

#[test]
fn the_connections_of_all_nodes_share_the_ports_of_a_gateway_where_somebody_says_so() {
    let node = |node: &str, held: u64| {
        let app = |app: &str| format!("shop/{app}@{node}");
        agent(node, 0)
            .row(&app("crawler"), "203.0.113.9", 443, 0)
            .but(|row| states(row, &[("ESTABLISHED", 10), ("TIME_WAIT", held)]))
            .row(&app("web"), "203.0.113.9", 443, 1)
            .row(&app("web"), "203.0.113.9", 8443, 9)
            // What stays in private networks, and who comes from outside, does not pass the gateway.
            .row(&app("web"), "10.250.0.1", 5432, 90)
            .row("198.51.100.7", "203.0.113.9", 443, 90)
    };
    let with = |ports| {
        let rules = Rules { gateway: std::num::NonZeroU32::new(ports), ..Rules::default() };
        among(&[view(&[node("n1", 30), node("n2", 40)])], &rules)
    };
    let problems = with(100);
    assert_eq!(
        sentences(&problems),
        ["WARNING snat: 2 nodes hold 92 connections to 203.0.113.9:443, for which their NAT gateway has 100 ports, \
             shop/crawler holds 90 of them"]
    );
    let problem = &problems.list[0];
    assert_eq!(
        problem.evidence,
        [
            "held by shop/crawler (90), shop/web (2), those that ended a moment ago included",
            "as if all nodes shared one gateway (--nat-gateway-ports)",
            "seen on n1, n2",
        ]
    );
    assert_eq!(problem.next[0], "khan top --to ip/203.0.113.9 --port 443 --group-by src-pod");
    assert!(sentences(&with(92))[0].starts_with("CRITICAL") && sentences(&with(92))[0].ends_with(": none is left"));
    assert!(with(116).list.is_empty(), "92 of 116 are 79 %");
    assert!(with(0).list.is_empty(), "nobody has said that there is one");
}

/// Names come from peers.
#[test]
fn a_command_to_copy_is_one_command() {
    let hostile = agent("n1", 0).row("shop/a;reboot@n1", "data/$(id)@n2", 5432, 40).but(|row| row.stalled = 3);
    assert_eq!(
        found(&[hostile]).list[0].next,
        ["khan conns --from 'app/shop/a;reboot' --to 'app/data/$(id)' --port 5432 --state established"]
    );
}

#[test]
fn connections_on_few_of_the_endpoints_are_a_problem_and_where_the_endpoints_are_not_known_that_is_said() {
    use crate::model::balance::tests::{dialling, services};
    use crate::model::services::Services;
    use crate::model::{SourceInfo, SourceKind};
    let agent = dialling(&[("web-0", "api-x", 201), ("web-1", "api-x", 200), ("web-1", "api-y", 11)]);
    let endpoints = [("api-x", 200), ("api-y", 180), ("api-1", 120), ("api-2", 100), ("api-3", 30)];
    let with = |services: Services, kind| {
        let source = SourceInfo { kind, ..SourceInfo::default() };
        Arc::new(View { services: Arc::new(services), source, ..View::clone(&view(std::slice::from_ref(&agent))) })
    };
    let known = with(services(&agent, &endpoints), SourceKind::Agents);
    let problems = among(&[known], &Rules::default());
    assert_eq!(
        sentences(&problems),
        [
            "WARNING imbalance: the connections to data/api are uneven: 5 endpoints, 412 connections: 401 on api-x, 11 on api-y, \
             none on three (the oldest ready for 2h)"
        ]
    );
    let problem = &problems.list[0];
    assert_eq!(
        problem.evidence,
        ["the largest holds 4.9 times the mean of those that are ready", "connections that last, of 2 clients"]
    );
    assert_eq!(problem.next[0], "khan balance svc/data/api -o wide");
    let reason = |services, kind| {
        let problems = among(&[with(services, kind)], &Rules::default());
        assert!(problems.list.is_empty(), "{:?}", problems.list);
        problems.unknown.into_iter().find(|(kind, _)| *kind == ProblemKind::Imbalance).unwrap().1
    };
    assert_eq!(reason(Services::unknown("it is away"), SourceKind::Agents), "it is away");
    assert_eq!(reason(Services::unknown("it is not held"), SourceKind::Replay), "it is not held");
}

/// Two apps at a database, and so many minutes later a report with so many connections, to a database of its own besides.
fn with_report(minute: i64, held: u64) -> Arc<View> {
    let agent =
        agent("n1", 60 * minute).row("shop/web@n1", "data/db@n2", 5432, 60).row("shop/cart@n1", "data/db@n2", 5432, 20);
    if held == 0 {
        return view(&[agent]);
    }
    view(&[agent.row("batch/report@n1", "data/db@n2", 5432, held).row("batch/report@n1", "data/own@n2", 5432, held)])
}

#[test]
fn a_client_that_was_not_there_is_watched_when_it_holds_much() {
    let after = |minutes: i64, held: u64| {
        let before = (0..minutes).map(|minute| with_report(minute, 0));
        among(&before.chain([with_report(minutes, held)]).collect::<Vec<_>>(), &Rules::default())
    };
    let problems = after(6, 70);
    assert_eq!(
        sentences(&problems),
        ["WATCH new-client: batch/report is a new client of data/db:5432 and holds 46% of its connections: 70 of 150"],
        "and its own database is as new as it"
    );
    let problem = &problems.list[0];
    assert_eq!(problem.since, Some(Timestamp::from_seconds(START + 360)));
    assert_eq!(problem.next, ["khan top --from app/batch/report --to app/data/db --group-by src-pod,dst,port"]);
    assert_eq!((after(6, 20).list.len(), after(6, 19).list.len()), (1, 0), "20 of 100, and fewer");
    assert!(after(4, 70).list.is_empty(), "it may have been there before");
}

#[test]
fn a_baseline_says_who_was_there() {
    let (query, rules) = (Query { limit: 0, ..Query::default() }, Rules::default());
    let (mut history, memory) = (History::default(), Memory::default());
    history.track(&query);
    let (before, now) = (with_report(0, 0), with_report(1, 70));
    history.push(Arc::clone(&before));
    history.set_baseline(Some(before));
    history.push(Arc::clone(&now));
    let leaks = leaks(&now, &query, &history, &rules.leak);
    let scene = Scene { view: &now, query: &query, history: &history, memory: &memory, leaks: &leaks, rules: &rules };
    let problems = Problems::of(&scene, &[ProblemKind::NewClient]);
    assert_eq!((problems.list.len(), problems.unknown.len()), (1, 0), "{problems:?}");
    assert_eq!(problems.list[0].since, Some(Timestamp::from_seconds(START)));
}

/// Gone for a moment, or hidden by a filter, it is the same problem; later it is another one.
#[test]
fn a_problem_is_the_same_for_five_minutes_after_it_went() {
    let stuck = |seconds: i64, stalled: u64| {
        view(&[agent("n1", seconds).row("shop/web@n1", "data/db@n2", 5432, 40).but(|row| row.stalled = stalled)])
    };
    let since = |views: &[Arc<View>]| {
        let since = among(views, &Rules::default()).list[0].since.expect("a time");
        since.seconds() - START
    };
    assert_eq!(since(&[stuck(0, 1), stuck(60, 0), stuck(240, 1)]), 0);
    assert_eq!(since(&[stuck(0, 1), stuck(60, 0), stuck(360, 0), stuck(420, 1), stuck(480, 1)]), 420);
}
