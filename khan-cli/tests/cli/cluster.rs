//! Agents found through an API server: look-up, pod proxy, and what is said when it refuses.

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use wiremock::matchers::{method, path, path_regex, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::khan::{khan, ok, snapshot, two_nodes};

/// A kubeconfig that leads to `server`.
pub(crate) fn kubeconfig(server: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "prod",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [{"name": "prod", "context": {"cluster": "c", "user": "u"}}]});
    std::fs::write(file.path(), config.to_string()).unwrap();
    file
}

pub(crate) fn pod(name: &str, node: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "khan", "uid": format!("uid-of-{name}")}, "spec": {"nodeName": node, "containers": []},
        "status": {"phase": "Running", "podIP": "10.9.0.1"}})
}

pub(crate) fn forbidden(message: &str) -> ResponseTemplate {
    ResponseTemplate::new(403).set_body_json(json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
        "reason": "Forbidden", "message": message, "code": 403}))
}

/// An API server that lists these pods.
pub(crate) async fn api_server(pods: &[Value]) -> MockServer {
    let server = MockServer::start().await;
    let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": pods});
    let selector = "app.kubernetes.io/name=khan,app.kubernetes.io/component=agent";
    Mock::given(method("GET"))
        .and(path("/api/v1/pods"))
        .and(query_param("labelSelector", selector))
        .respond_with(ResponseTemplate::new(200).set_body_json(list))
        .mount(&server)
        .await;
    server
}

async fn proxied(server: &MockServer, pod: &str, answer: ResponseTemplate) {
    let path = path(format!("/api/v1/namespaces/khan/pods/{pod}:14718/proxy/v1/snapshot"));
    Mock::given(method("GET")).and(path).respond_with(answer).mount(server).await;
}

#[tokio::test]
async fn agents_are_found_and_asked_through_the_pod_proxy() {
    let gone = json!({"metadata": {"name": "old", "namespace": "khan", "deletionTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"nodeName": "n1", "containers": []}, "status": {"phase": "Running"}});
    let server = api_server(&[pod("a1", "n1"), pod("a2", "n2"), gone]).await;
    let [n1, n2] = two_nodes();
    proxied(&server, "a1", ok(&n1)).await;
    proxied(&server, "a2", ok(&n2)).await;
    let config = kubeconfig(&server.uri());
    let once = ["top", "--once", "-o", "json", "--kubeconfig", config.path().to_str().unwrap()];
    let json = khan(&once).run().await.json();
    assert_eq!(json["metadata"]["agents"]["ok"], 2);
    assert_eq!(json["metadata"]["totals"]["conns"], 9);
    assert_eq!(json["metadata"]["context"], "prod");
    let narrowed = khan(&[&once[..], &["--node", "n2"]].concat()).run().await.json();
    assert_eq!(narrowed["metadata"]["agents"]["total"], 1);
}

#[tokio::test]
async fn refusals_name_what_is_missing() {
    let server = api_server(&[pod("a1", "n1")]).await;
    proxied(&server, "a1", forbidden("pods \"a1\" is forbidden: User \"me\" cannot get resource \"pods/proxy\"")).await;
    let config = kubeconfig(&server.uri());
    let config = config.path().to_str().unwrap();
    let ended = khan(&["top", "--once", "--kubeconfig", config, "--connect", "proxy"]).run().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    // Whatever is behind the proxy can answer like that, too: nothing is granted to a user whom it names.
    let expected = "this user may not get pods/proxy in namespace khan";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);

    let closed = MockServer::start().await;
    Mock::given(path_regex("pods$")).respond_with(forbidden("pods is forbidden")).mount(&closed).await;
    let config = kubeconfig(&closed.uri());
    let ended = khan(&["top", "--once", "--kubeconfig", config.path().to_str().unwrap()]).run().await;
    assert_eq!(ended.code, Some(4));
    for part in ["this user may not list pods in all namespaces", "kubectl apply -f -", "kind: ClusterRole"] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

/// What the agent itself refuses must not be taken for the API server's refusal.
#[tokio::test]
async fn an_agents_own_403_is_the_agents() {
    let server = api_server(&[pod("a1", "n1"), pod("a2", "n2")]).await;
    proxied(&server, "a1", ResponseTemplate::new(403).set_body_string("no certificate")).await;
    proxied(&server, "a2", ok(&snapshot("n2", &[("web", "n2", "db", "n2", 1, 1)]))).await;
    let config = kubeconfig(&server.uri());
    let ended = khan(&["top", "--once", "--kubeconfig", config.path().to_str().unwrap()]).run().await;
    assert!(
        ended.stderr.contains("node n1 is not counted: khan/a1 answered 403 Forbidden: no certificate"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn no_agents_is_said_with_remedies() {
    let server = api_server(&[]).await;
    let config = kubeconfig(&server.uri());
    let ended = khan(&["top", "--once", "--kubeconfig", config.path().to_str().unwrap()]).run().await;
    assert_eq!(ended.code, Some(4));
    for part in ["no Khan agents found for app.kubernetes.io/name=khan", "--khan-namespace", "--source prometheus"] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn impersonation_reaches_the_api_server() {
    let server = api_server(&[pod("a1", "n1")]).await;
    let [n1, _] = two_nodes();
    proxied(&server, "a1", ok(&n1)).await;
    let config = kubeconfig(&server.uri());
    let config = config.path().to_str().unwrap();
    khan(&["top", "--once", "--kubeconfig", config, "--as", "jane", "--as-group", "ops"]).run().await;
    let requests = server.received_requests().await.unwrap();
    let header = |name: &str| requests[0].headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("impersonate-user").as_deref(), Some("jane"));
    assert_eq!(header("impersonate-group").as_deref(), Some("ops"));
    assert_eq!(header("authorization").as_deref(), Some("Bearer secret"));
}

#[tokio::test]
async fn a_secret_for_an_api_server_does_not_go_over_plain_http() {
    for (flags, secret) in [(&[][..], "a token"), (&["--token", "mine"][..], "a token")] {
        let config = kubeconfig("http://api.example.com:8001");
        let path = config.path().to_str().unwrap();
        let ended = khan(&[&["top", "--once", "--kubeconfig", path], flags].concat()).run().await;
        assert_eq!((ended.code, &*ended.stdout), (Some(64), ""), "{ended:?}");
        let expected = format!("{secret} would go over plain http to http://api.example.com:8001");
        assert!(ended.stderr.contains(&expected) && ended.stderr.contains("use https://"), "{}", ended.stderr);
    }
}
