//! `khan who` against agents that know previous owners, the outside world and loopback.

use serde_json::{Value, json};

use crate::khan::{agent, khan, ok, snapshot};

/// On n1 the pod `heir` has the address that `before` had: 2 connections of its own and 5 left over, to two hosts outside.
/// The node talks to itself.
fn inheritance() -> Value {
    let pod = |name: &str, gone: bool| {
        json!({"ip": "10.1.0.5", "type": "pod", "ns": "shop", "app": name, "name": format!("{name}-0"), "node": "n1",
            "gone": gone})
    };
    let outside = |ip: &str| json!({"ip": ip, "type": "external"});
    let node = |ip: &str| json!({"ip": ip, "type": "node", "name": "n1", "node": "n1"});
    let row = |src: u32, dst: u32, connections: u32| {
        json!({"src": src, "dst": dst, "backend": dst, "port": 443, "backend_port": 443, "protocol": "tcp",
            "side": "client", "connections": connections, "states": {"ESTABLISHED": connections}})
    };
    let mut snapshot = snapshot("n1", &[]);
    snapshot["endpoints"] = json!([
        pod("heir", false),
        pod("before", true),
        outside("203.0.113.9"),
        outside("203.0.113.10"),
        node("127.0.0.1"),
        node("10.9.0.1")
    ]);
    snapshot["rows"] = json!([row(0, 2, 2), row(1, 2, 4), row(1, 3, 1), row(4, 4, 3)]);
    snapshot
}

fn peers(list: &Value) -> Vec<(&str, u64, &str, bool)> {
    let text = |peer: &'_ Value, name: &str| -> &'static str {
        // Tests may keep their answers.
        peer[name].as_str().map_or("", |text| Box::leak(text.to_owned().into_boxed_str()))
    };
    let peers = list.as_array().unwrap().iter();
    peers
        .map(|peer| {
            let count = peer["conns"].as_u64().unwrap();
            (text(peer, "peer"), count, text(peer, "owner"), peer["previous"] == true)
        })
        .collect()
}

#[tokio::test]
async fn an_address_tells_its_owners_apart_and_the_outside_has_addresses() {
    let server = agent(ok(&inheritance())).await;
    let who = |subject: &'static str| khan(&["who", subject, "--agent", &server.uri(), "-o", "json"]);
    let answer = who("10.1.0.5").run().await.json();
    let expected = [
        ("203.0.113.9", 4, "shop/before-0", true),
        ("203.0.113.9", 2, "shop/heir-0", false),
        ("203.0.113.10", 1, "shop/before-0", true),
    ];
    assert_eq!(peers(&answer["connectsTo"]), expected);
    assert_eq!(answer["addresses"][0]["name"], "heir-0");
    assert_eq!(answer["addresses"][0]["previous"][0]["name"], "before-0");
    let answer = who("pod/heir-0").run().await.json();
    assert_eq!(peers(&answer["connectsTo"]), [("203.0.113.9", 2, "", false)]);
    let text = khan(&["who", "10.1.0.5", "--agent", &server.uri()]).run().await.stdout;
    let lines: Vec<_> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in ["203.0.113.9 (of the previous owner, shop/before-0) 443 4 100 0", "203.0.113.9 443 2 100 0"] {
        assert!(lines.iter().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn loopback_is_the_node_itself_whatever_the_controller_thinks_of_it() {
    let server = agent(ok(&inheritance())).await;
    let controller = wiremock::MockServer::start().await;
    let external = json!({"type": "external", "name": "", "since": "", "previous": []});
    wiremock::Mock::given(wiremock::matchers::any()).respond_with(ok(&external)).mount(&controller).await;
    let (agent, controller) = (server.uri(), controller.uri());
    let answer =
        khan(&["who", "node/n1", "--agent", &agent, "--controller", &controller, "-o", "json"]).run().await.json();
    let known: Vec<_> =
        answer["addresses"].as_array().unwrap().iter().map(|known| (&known["ip"], &known["type"])).collect();
    assert!(known.contains(&(&json!("127.0.0.1"), &json!("node"))), "{known:?}");
}
