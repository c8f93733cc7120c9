//! `khan problems` at agents that see something wrong, and at one that cannot tell.

use khan_api::Timestamp;
use serde_json::{Value, json};

use crate::khan::{Ended, agent, khan, ok, snapshot};

/// An agent of node n1 that compares its scans: web's data goes unacknowledged, and nobody answers its SYNs to redis.
pub(crate) fn troubled() -> Value {
    let mut snapshot = snapshot("n1", &[("web", "n1", "db", "n2", 5432, 7), ("web", "n1", "redis", "n2", 6379, 9)]);
    snapshot["since"] = json!(Timestamp::from_millis(Timestamp::now().millis() - 10_000));
    snapshot["rows"][0]["stalled"] = 2.into();
    snapshot["rows"][1]["unanswered"] = 9.into();
    snapshot["rows"][1]["states"] = json!({"SYN_SENT": 9});
    snapshot
}

async fn problems(snapshot: &Value, more: &[&str]) -> Ended {
    let server = agent(ok(snapshot)).await;
    let url = server.uri();
    let arguments = [&["problems", "--agent", &url], more].concat();
    khan(&arguments).run().await
}

#[tokio::test]
async fn what_is_wrong_is_said_worst_first_and_fails_when_asked_to() {
    let ended = problems(&troubled(), &["--exit-code", "-o", "json"]).await;
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stderr.ends_with("khan: 2 problems (--exit-code)\n"), "{}", ended.stderr);
    let found = ended.json();
    let items = found["items"].as_array().unwrap();
    let kinds: Vec<_> =
        items.iter().map(|item| (item["severity"].as_str().unwrap(), item["kind"].as_str().unwrap())).collect();
    assert_eq!(kinds, [("CRITICAL", "unanswered"), ("CRITICAL", "stalled")]);
    assert_eq!(items[0]["problem"], "shop/web gets no answer from shop/redis:6379: 9 tries wait, from its one pod");
    assert_eq!(
        items[0]["next"],
        json!(["khan conns --from app/shop/web --to app/shop/redis --port 6379 --state syn_sent"])
    );
    assert_eq!((&items[1]["owners"], &items[1]["nodes"]), (&json!(["shop/web", "shop/db"]), &json!(["n1"])));
    let unknown = found["metadata"]["unknown"].as_array().unwrap();
    assert_eq!(
        unknown.iter().map(|one| &one["kind"]).collect::<Vec<_>>(),
        ["dead-backend", "leak", "imbalance", "new-client"]
    );
}

#[tokio::test]
async fn a_limit_of_a_pod_is_told_with_its_clients() {
    let mut limited = snapshot("n1", &[("web", "n1", "db", "n2", 5432, 71), ("cart", "n1", "db", "n2", 5432, 12)]);
    limited["limits"] = json!([{"endpoint": 1, "connections": 100}, {"endpoint": 99, "connections": 1}]);
    let ended = problems(&limited, &["--exit-code", "--kind", "limit"]).await;
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stdout.contains("shop/db: 83 of 100 connections, shop/web holds 71 of them"), "{ended:?}");
    let lenient = problems(&limited, &["--limit-fill", "0.9", "--kind", "limit"]).await;
    assert_eq!(lenient.stdout, "", "{lenient:?}");
    limited.as_object_mut().unwrap().remove("limits");
    let old = problems(&limited, &["--kind", "limit"]).await;
    assert!(
        old.stderr.contains("not known from here: limit (the agents do not tell: they are older"),
        "{}",
        old.stderr
    );
}

#[tokio::test]
async fn ports_of_a_translated_address_run_out() {
    let mut full = snapshot("n1", &[("crawler", "n1", "api", "", 443, 500), ("web", "n1", "api", "", 443, 12)]);
    full["endpoints"][1] = json!({"ip": "203.0.113.9", "type": "external", "name": "payments"});
    let ports = |n: u32| {
        json!({"range": 600, "largest": [{"src": "172.18.0.1", "dst": "203.0.113.9", "port": 443,
        "protocol": "tcp", "used": n}]})
    };
    full["snat"] = ports(512);
    let sentence =
        "n1 uses 512 of 600 ports of 172.18.0.1 to 203.0.113.9:443 (payments), shop/crawler holds 500 of them";
    let ended = problems(&full, &["--exit-code", "--kind", "snat"]).await;
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stdout.contains(sentence), "{ended:?}");
    let found = problems(&full, &["--kind", "snat", "-o", "json"]).await.json();
    assert_eq!(found["items"][0]["severity"], "WARNING");
    assert_eq!(found["items"][0]["owners"], json!(["shop/crawler"]));
    let elsewhere = problems(&full, &["--kind", "snat", "-n", "data"]).await;
    assert_eq!(elsewhere.stdout, "", "{elsewhere:?}");
    full["snat"] = ports(600);
    let ended = problems(&full, &["--kind", "snat", "-o", "json"]).await.json();
    assert_eq!(ended["items"][0]["severity"], "CRITICAL");
    full["snat"] = ports(479);
    let ended = problems(&full, &["--kind", "snat"]).await;
    assert_eq!(ended.stdout, "", "{ended:?}");
}

#[tokio::test]
async fn people_get_a_line_each_and_what_is_not_known() {
    let ended = problems(&troubled(), &[]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("SEVERITY   KIND         PROBLEM"), "{}", lines[0]);
    assert!(lines[1].starts_with("CRITICAL   unanswered   shop/web gets no answer from"), "{}", lines[1]);
    assert!(ended.stderr.contains("not known from here: leak (needs 6 snapshots and has 1:"), "{}", ended.stderr);
    let wide = problems(&troubled(), &["-o", "wide", "--kind", "stalled"]).await;
    assert_eq!(wide.stdout.lines().count(), 2, "{wide:?}");
    assert!(wide.stdout.contains("stalled: shop/web-0 (2); seen on n1"), "{wide:?}");
    assert!(!wide.stderr.contains("not known"), "{wide:?}");
    let one = problems(&troubled(), &["--limit", "1", "-o", "json"]).await.json();
    assert_eq!(one["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn an_older_agent_is_not_taken_for_a_healthy_one() {
    let mut old = troubled();
    old.as_object_mut().unwrap().remove("since");
    let ended = problems(&old, &["--exit-code"]).await;
    assert_eq!((ended.code, &*ended.stdout), (Some(0), ""), "{ended:?}");
    assert!(ended.stderr.contains("No problems found.\n"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("not known from here: dead-backend, unanswered, stalled, churn (the agents do not tell"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_kind_that_is_none_is_refused() {
    let ended = khan(&["problems", "--kind", "colour"]).run().await;
    assert_eq!(ended.code, Some(64), "{ended:?}");
    assert!(
        ended.stderr.contains("kinds are dead-backend, unanswered, stalled, table, limit, blind, leak, snat, churn"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn tables_have_the_same_numbers_and_say_when_they_are_not_known() {
    let mut churning = troubled();
    churning["rows"][0]["states"] = json!({"ESTABLISHED": 2, "TIME_WAIT": 5});
    churning["rows"][0]["ended"] = 5.into();
    let table = async |snapshot: &Value, columns: &str| {
        let server = agent(ok(snapshot)).await;
        let url = server.uri();
        let ended = khan(&["top", "--once", "--agent", &url, "--sort-by", "closed", "--columns", columns]).run().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    };
    let columns = "destination,closed,stalled,unanswered";
    assert_eq!(
        table(&churning, columns).await,
        "DESTINATION   CLOSED/S   STALLED   UNANSWERED\n\
         shop/db            0.5         2            0\n\
         shop/redis         0.0         0            9\n"
    );
    churning.as_object_mut().unwrap().remove("since");
    assert_eq!(
        table(&churning, columns).await,
        "DESTINATION   CLOSED/S   STALLED   UNANSWERED\n\
         shop/redis           -         -            -\n\
         shop/db              -         -            -\n"
    );
}
