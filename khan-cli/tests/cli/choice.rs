//! The source is chosen by what is configured; where it fails, nothing else is asked instead. This host is Linux with a
//! table that root may read, and a Prometheus is configured: both would answer, and both would answer another question.

use serde_json::json;
use wiremock::matchers::{any, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::cluster::{api_server, forbidden, kubeconfig};
use crate::khan::khan;

/// Every command that shows connections.
const COMMANDS: [&[&str]; 5] = [
    &["top", "--once"],
    &["leaks", "--window", "2s", "--exit-code", "--strict"],
    &["conns"],
    &["who", "127.0.0.1"],
    &["agents"],
];

async fn refusing(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(path_regex("pods$")).respond_with(answer).mount(&server).await;
    server
}

#[tokio::test]
async fn what_was_configured_fails_and_nothing_answers_in_its_place() {
    let tempting = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&tempting).await;
    let unauthorized = json!({"kind": "Status", "reason": "Unauthorized", "message": "Unauthorized", "code": 401});
    let scenes = [
        (refusing(ResponseTemplate::new(401).set_body_json(unauthorized)).await, "does not accept the credentials"),
        (refusing(forbidden("pods is forbidden")).await, "may not list pods in all namespaces"),
        (api_server(&[]).await, "no Khan agents found"),
    ];
    let down = "http://127.0.0.1:1".to_owned();
    let scenes =
        scenes.iter().map(|(server, reason)| (server.uri(), *reason)).chain([(down, "refused the connection")]);
    for (url, reason) in scenes {
        let config = kubeconfig(&url);
        let config = config.path().to_str().unwrap();
        for command in COMMANDS {
            let ended = khan(command).env("KUBECONFIG", config).env("PROMETHEUS_URL", &tempting.uri()).run().await;
            assert_eq!((ended.code, &*ended.stdout), (Some(4), ""), "{command:?}: {ended:?}");
            assert!(ended.stderr.contains(reason), "{command:?}: {}", ended.stderr);
            for remedy in ["--source prometheus", "--source local (this host's own table)"] {
                assert!(ended.stderr.contains(remedy), "{command:?}: {}", ended.stderr);
            }
        }
    }
    assert_eq!(tempting.received_requests().await.unwrap().len(), 0, "Prometheus was asked though nobody chose it");
}

#[tokio::test]
async fn the_kubeconfig_at_its_usual_place_counts_and_an_empty_one_does_not() {
    let prometheus = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(500)).mount(&prometheus).await;
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".kube")).unwrap();
    let place = home.path().join(".kube/config");
    let top = async || {
        let top = khan(&["top", "--once"]).env("HOME", home.path().to_str().unwrap());
        top.env("PROMETHEUS_URL", &prometheus.uri()).run().await
    };
    std::fs::copy(kubeconfig("http://127.0.0.1:1").path(), &place).unwrap();
    let ended = top().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stderr.contains("the API server at http://127.0.0.1:1 refused"), "{}", ended.stderr);
    assert_eq!(prometheus.received_requests().await.unwrap().len(), 0);
    // What is left when the last cluster was deleted.
    std::fs::write(&place, "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers: []\n").unwrap();
    let ended = top().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stderr.contains(&format!("{} answered 500", prometheus.uri())), "{}", ended.stderr);
    assert!(ended.stderr.contains("use --source agents or --source local"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_prometheus_that_fails_is_not_replaced_either() {
    let ended = khan(&["top", "--once", "--prometheus-url", "http://127.0.0.1:1"]).run().await;
    assert_eq!((ended.code, &*ended.stdout), (Some(4), ""), "{ended:?}");
    assert!(ended.stderr.contains("http://127.0.0.1:1 refused the connection"), "{}", ended.stderr);
    assert!(ended.stderr.contains("--source local"), "{}", ended.stderr);
}
