use std::sync::Arc;

use khan_api::service::Conditions;
use khan_api::{Service, ServiceEndpoint, Timestamp};

use super::*;
use crate::model::fixture::{Agent, START, view};
use crate::model::services::Services;

/// The service `data/api` with endpoints of these names, each ready for so many minutes.
pub(crate) fn services(agent: &Agent, endpoints: &[(&str, i64)]) -> Services {
    let address = |name: &str| {
        let known = agent.snapshot.endpoints.iter().find(|end| *end.owner.name == *name);
        let code = name.bytes().fold(7_u32, |code, byte| code.wrapping_mul(31).wrapping_add(u32::from(byte)));
        known.and_then(|end| end.ip).unwrap_or_else(|| std::net::Ipv4Addr::from(0x0b00_0000 | code & 0xffff).into())
    };
    let endpoint = |(name, minutes): &(&str, i64)| ServiceEndpoint {
        ip: address(name),
        port: Some(8080),
        ports: Vec::new(),
        conditions: Conditions { ready: true, serving: true, terminating: false },
        pod: (*name).into(),
        node: "n2".into(),
        since: Some(Timestamp::from_seconds(START - 60 * minutes)),
    };
    let endpoints = endpoints.iter().map(endpoint).collect();
    Services {
        list: vec![Arc::new(Service { ns: "data".into(), name: "api".into(), endpoints })],
        unknown: None,
        left_out: 0,
    }
}

/// Connections to `data/api`: client, who answers, how many.
pub(crate) fn dialling(rows: &[(&str, &str, u64)]) -> Agent {
    let mut agent = Agent::new("n1", 0);
    agent.snapshot.since = Some(Timestamp::from_seconds(START - 10));
    for (client, backend, n) in rows {
        // The second row names who answers.
        agent = agent.row(&format!("shop/{client}:web@n1"), "svc:data/api", 80, *n);
        agent = agent.row("shop/x@n1", &format!("data/{backend}:api@n2"), 1, 0);
        let place = agent.snapshot.rows.pop().unwrap().dst;
        agent = agent.but(|row| (row.backend, row.backend_port) = (place, 8080));
    }
    agent
}

fn of(rows: &[(&str, &str, u64)], endpoints: &[(&str, i64)]) -> Balance {
    with(dialling(rows), endpoints).remove(0)
}

fn with(agent: Agent, endpoints: &[(&str, i64)]) -> Vec<Balance> {
    let services = services(&agent, endpoints);
    let mut view = View::clone(&view(&[agent]));
    view.services = Arc::new(services);
    balances(&view, &Query { limit: 0, ..Query::default() }, &BalanceRule::default())
}

const FIVE: [(&str, i64); 5] = [("api-x", 200), ("api-y", 180), ("api-1", 120), ("api-2", 100), ("api-3", 30)];

#[test]
fn a_backend_that_came_later_gets_nothing_and_is_counted() {
    let found = of(&[("web-0", "api-x", 201), ("web-1", "api-x", 200), ("web-1", "api-y", 11)], &FIVE);
    let now = Timestamp::from_seconds(START);
    assert_eq!(
        (found.spread, found.clients, found.numbers()),
        (Spread::Uneven, 2, "5 endpoints, 412 connections".into())
    );
    assert_eq!(found.sentence(now, 2), "401 on api-x, 11 on api-y, none on three (the oldest ready for 2h)");
    assert_eq!(found.sentence(now, 1), "401 on api-x, 11 on 1 more, none on three (the oldest ready for 2h)");
    assert!((found.skew.unwrap() - 401.0 * 5.0 / 412.0).abs() < 1e-9);
}

#[test]
fn one_that_is_left_out_of_many_is_unused_and_not_uneven() {
    let rows: Vec<_> = ["api-x", "api-y", "api-1", "api-2"]
        .into_iter()
        .flat_map(|backend| [("web-0", backend, 10), ("web-1", backend, 9)])
        .collect();
    let found = of(&rows, &FIVE);
    assert_eq!((found.spread, found.skew), (Spread::Unused, Some(1.25)), "{found:?}");
    assert!(found.sentence(Timestamp::from_seconds(START), 1).ends_with("none on api-3 (ready for 30m)"));
}

#[test]
fn what_is_innocent_is_no_verdict() {
    let even = [("web-0", "api-x", 40), ("web-0", "api-y", 30), ("web-1", "api-x", 31), ("web-1", "api-y", 39)];
    let spread = |rows: &[(&str, &str, u64)], endpoints: &[(&str, i64)]| of(rows, endpoints).spread;
    let two = [("api-x", 200), ("api-y", 180)];
    assert_eq!(spread(&even, &two), Spread::Even);
    // It came four minutes ago.
    assert_eq!(spread(&even, &[two[0], two[1], ("api-1", 4)]), Spread::Even);
    assert_eq!(spread(&even, &[two[0], two[1], ("api-1", 5)]), Spread::Unused);
    // Few connections.
    assert_eq!(spread(&[("web-0", "api-x", 10), ("web-1", "api-x", 9)], &FIVE), Spread::TooFew);
    // One endpoint, and one that only connections to the other know.
    assert_eq!(spread(&even, &two[..1]), Spread::TooFew);
    // Sessions of a few clients, each of which keeps to one endpoint.
    assert_eq!(spread(&[("web-0", "api-x", 300), ("web-1", "api-x", 20), ("web-2", "api-y", 20)], &two), Spread::Even);
    // So many clients keep to the same one that sessions would not explain it.
    let names: Vec<_> = (0..20).map(|n| format!("web-{n}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "api-x", 2)).collect();
    assert_eq!(spread(&many, &two), Spread::Uneven);
}

#[test]
fn connections_that_end_soon_are_no_evidence() {
    // Forty are open and four end in ten seconds: one lasts a hundred seconds. With eight it is fifty.
    let ending = |ended: u64| {
        let agent = dialling(&[("web-0", "api-x", 20), ("web-1", "api-x", 20)]).but(|row| row.ended = ended);
        let found = with(agent, &FIVE).remove(0);
        (found.connections, found.short, found.spread)
    };
    assert_eq!(ending(4), (40, 0, Spread::TooFew), "two clients that keep to one endpoint");
    assert_eq!(ending(8), (0, 40, Spread::TooFew));
}
