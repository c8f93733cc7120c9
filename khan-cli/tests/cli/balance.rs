//! `khan balance` at an agent that sees who answers for a service, and a controller that lists who could.

use khan_api::Timestamp;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::khan::{Ended, agent, khan, ok, snapshot};

fn ago(minutes: i64) -> Timestamp {
    Timestamp::from_millis(Timestamp::now().millis() - 60_000 * minutes)
}

/// Two clients hold 4 and 40 connections to one of a service's endpoints, and the second 2 to another.
pub(crate) fn dialling() -> Value {
    let held = |client, answers, n| (client, "n1", answers, "n2", 8080, n);
    let rows = [held("web", "api-x", 4), held("cart", "api-x", 40), held("cart", "api-y", 2)];
    let mut snapshot = snapshot("n1", &rows);
    snapshot["since"] = json!(ago(1));
    let endpoints = snapshot["endpoints"].as_array_mut().unwrap();
    for (number, name) in [("7", "api-x"), ("8", "api-y")] {
        let at = endpoints.iter().position(|end| end["app"] == name).unwrap();
        endpoints[at]["ip"] = json!(format!("10.2.0.{number}"));
    }
    endpoints.push(json!({"ip": "10.96.0.9", "type": "service", "ns": "data", "app": "api", "name": "api"}));
    let service = endpoints.len() - 1;
    for row in snapshot["rows"].as_array_mut().unwrap() {
        (row["dst"], row["port"]) = (json!(service), json!(80));
    }
    snapshot
}

/// A controller that lists five endpoints of the service, the last ready for a minute.
async fn controller() -> MockServer {
    let endpoint = |number: i64, name: &str, minutes: i64| {
        json!({"ip": format!("10.2.0.{number}"), "port": 8080, "pod": name, "node": "n2", "since": ago(minutes),
            "conditions": {"ready": true, "serving": true, "terminating": false}})
    };
    let endpoints = [(7, "api-x", 200), (8, "api-y", 180), (9, "api-1", 120), (10, "api-2", 30), (11, "api-3", 1)];
    let endpoints = endpoints.map(|(number, name, minutes)| endpoint(number, name, minutes));
    let body = json!({"ns": "data", "name": "api", "endpoints": endpoints});
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_json(body);
    Mock::given(method("GET")).and(path("/v1/services/data/api")).respond_with(answer).mount(&server).await;
    server
}

/// An agent and a controller.
pub(crate) async fn uneven() -> [MockServer; 2] {
    [agent(ok(&dialling())).await, controller().await]
}

async fn balance(more: &[&str]) -> Ended {
    let [agent, controller] = uneven().await;
    let (agent, controller) = (agent.uri(), controller.uri());
    khan(&[&["balance", "--agent", &agent, "--controller", &controller], more].concat()).run().await
}

#[tokio::test]
async fn endpoints_without_a_connection_are_counted_and_it_fails_when_asked_to() {
    let ended = balance(&["svc/api", "--exit-code"]).await;
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert_eq!(
        ended.stdout,
        "SPREAD   SERVICE    ENDPOINTS   CONNS   SKEW   HELD-BY\n\
         UNEVEN   data/api           5      46    3.8   44 on api-x, 2 on api-y, none on three (the oldest ready for 2h)\n"
    );
    assert!(ended.stderr.ends_with("khan: 1 service is uneven (--exit-code)\n"), "{}", ended.stderr);
    let wide = balance(&["-o", "wide"]).await;
    assert!(wide.stdout.contains("44 api-x, 2 api-y, 0 api-1, 0 api-2, 0 api-3"), "{wide:?}");
    let few = balance(&["--balance-min", "47", "--exit-code"]).await;
    assert!(few.code == Some(0) && few.stdout.contains("TOO FEW"), "{few:?}");
    let nobody = balance(&["svc/other"]).await;
    assert_eq!((nobody.code, &*nobody.stderr), (Some(0), "No established connections to services.\n"), "{nobody:?}");
}

#[tokio::test]
async fn where_nobody_knows_the_endpoints_that_is_said() {
    let server = agent(ok(&dialling())).await;
    let alone = khan(&["balance", "--agent", &server.uri()]).run().await;
    assert_eq!((alone.code, &*alone.stdout), (Some(0), ""), "{alone:?}");
    let reason = "not known from here: who answers for services (khan-controller is not known: give --controller URL)";
    assert!(alone.stderr.contains(reason), "{alone:?}");
    let away = khan(&["problems", "--agent", &server.uri(), "--controller", "http://127.0.0.1:1"]).run().await;
    assert!(
        away.stderr.contains("not known from here: imbalance (http://127.0.0.1:1 refused the connection)"),
        "{away:?}"
    );
    let [agent, controller] = uneven().await;
    let (agent_url, controller_url) = (agent.uri(), controller.uri());
    let found = khan(&["problems", "--agent", &agent_url, "--controller", &controller_url, "-o", "json"]).run().await;
    let worst = &found.json()["items"][0];
    assert_eq!((&worst["kind"], &worst["severity"]), (&json!("imbalance"), &json!("WARNING")), "{found:?}");
}
