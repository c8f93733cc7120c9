//! `khan doctor` and `-l` against an API server that says what is allowed.

use serde_json::{Value, json};
use wiremock::matchers::{body_partial_json, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::cluster::{api_server, forbidden, kubeconfig, pod};
use crate::khan::{khan, ok, two_nodes};

async fn post(server: &MockServer, review: &str, asked: Value, answer: Value, priority: u8) {
    Mock::given(method("POST"))
        .and(path(review))
        .and(body_partial_json(asked))
        .respond_with(ResponseTemplate::new(201).set_body_json(answer))
        .with_priority(priority)
        .mount(server)
        .await;
}

/// Both agents answer through the proxy, and everything is allowed beside `denied`: verb, resource, subresource.
async fn allowing(denied: &[(&str, &str)]) -> MockServer {
    const REVIEW: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let server = api_server(&[pod("a1", "n1"), pod("a2", "n2")]).await;
    for (name, snapshot) in ["a1", "a2"].into_iter().zip(two_nodes()) {
        let place = path(format!("/api/v1/namespaces/khan/pods/{name}:14718/proxy/v1/snapshot"));
        Mock::given(method("GET")).and(place).respond_with(ok(&snapshot)).mount(&server).await;
    }
    let version = ResponseTemplate::new(200).set_body_json(json!({"gitVersion": "v1.36.1"}));
    Mock::given(path("/version")).respond_with(version).mount(&server).await;
    post(&server, REVIEW, json!({}), json!({"status": {"allowed": true}}), 5).await;
    for (verb, subresource) in denied {
        let asked = json!({"spec": {"resourceAttributes": {"verb": verb, "subresource": subresource}}});
        post(&server, REVIEW, asked, json!({"status": {"allowed": false}}), 1).await;
    }
    let jane = json!({"status": {"userInfo": {"username": "jane"}}});
    post(&server, "/apis/authentication.k8s.io/v1/selfsubjectreviews", json!({}), jane, 5).await;
    server
}

#[tokio::test]
async fn all_is_well() {
    let server = allowing(&[]).await;
    controllers(&server, &[controller("khan", "True", &json!({"running": {}}))]).await;
    let config = kubeconfig(&server.uri());
    let ended = khan(&["doctor", "--kubeconfig", config.path().to_str().unwrap()]).run().await;
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    let line = |check: &str| ended.stdout.lines().find(|line| line.starts_with(check)).unwrap_or_default();
    assert!(line("kubeconfig").contains(&format!("context prod leads to {}", server.uri())), "{}", ended.stdout);
    assert!(line("API server").contains("answers, v1.36.1"), "{}", ended.stdout);
    assert!(line("permissions").contains("all that Khan needs in namespace khan is allowed"), "{}", ended.stdout);
    assert!(line("agents").contains("2 of 2 answer with fresh snapshots"), "{}", ended.stdout);
    assert!(line("controller").contains("khan/khan-controller-x is ready"), "{}", ended.stdout);
}

/// A controller's pod as the API server lists it.
fn controller(namespace: &str, ready: &str, state: &Value) -> Value {
    let mut pod = pod("khan-controller-x", "n1");
    pod["metadata"]["namespace"] = namespace.into();
    pod["status"]["conditions"] = json!([{"type": "Ready", "status": ready}]);
    pod["status"]["containerStatuses"] = json!([{"state": state}]);
    pod["spec"]["containers"] = json!([{"ports": [{"name": "http", "containerPort": 14719}]}]);
    pod
}

async fn controllers(server: &MockServer, pods: &[Value]) {
    let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": pods});
    Mock::given(method("GET"))
        .and(path("/api/v1/pods"))
        .and(query_param("labelSelector", "app.kubernetes.io/name=khan,app.kubernetes.io/component=controller"))
        .respond_with(ResponseTemplate::new(200).set_body_json(list))
        .with_priority(1)
        .mount(server)
        .await;
}

/// What doctor says of the controllers, and its exit code.
async fn about_controllers(pods: &[Value]) -> (Option<i32>, Vec<String>) {
    let server = allowing(&[]).await;
    controllers(&server, pods).await;
    let waits = "waiting for the list of pods: cannot list pods: required storage feature (500)\n";
    Mock::given(path("/api/v1/namespaces/khan/pods/khan-controller-x:14719/proxy/readyz"))
        .respond_with(ResponseTemplate::new(503).set_body_string(waits))
        .mount(&server)
        .await;
    let config = kubeconfig(&server.uri());
    let ended = khan(&["doctor", "-o", "json", "--kubeconfig", config.path().to_str().unwrap()]).run().await;
    let report = ended.json();
    let items = report["items"].as_array().unwrap().iter().filter(|item| item["check"] == "controller");
    let text = |item: &Value| format!("{} {}", item["state"].as_str().unwrap(), item["finding"].as_str().unwrap());
    (ended.code, items.map(text).collect())
}

#[tokio::test]
async fn a_controller_that_is_missing_or_not_ready_is_told_with_its_reason() {
    let running = json!({"running": {}});
    // The agents of this test were given none.
    let (code, found) = about_controllers(&[]).await;
    let missing = "warn no khan-controller runs in any namespace: addresses have no names";
    assert_eq!((code, found), (Some(0), vec![missing.to_owned()]));

    let (code, found) = about_controllers(&[controller("khan", "False", &running)]).await;
    let reason = "fail khan/khan-controller-x is not ready: waiting for the list of pods: cannot list pods: required storage \
                  feature (500)";
    assert_eq!((code, found), (Some(1), vec![reason.to_owned()]));

    let pulling = json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}});
    let (_, found) = about_controllers(&[controller("khan", "False", &pulling)]).await;
    assert_eq!(found, ["fail khan/khan-controller-x does not run: ImagePullBackOff: no such image"]);

    let two = [controller("khan", "True", &running), controller("khan-controller", "True", &running)];
    let (code, found) = about_controllers(&two).await;
    assert_eq!((code, found.len()), (Some(0), 3), "{found:?}");
    assert!(found[2].starts_with("warn controllers run in several namespaces (khan, khan-controller)"), "{found:?}");
}

#[tokio::test]
async fn what_is_not_allowed_comes_with_what_allows_it() {
    let server = allowing(&[("get", "proxy"), ("create", "portforward")]).await;
    let config = kubeconfig(&server.uri());
    let arguments = ["doctor", "-o", "json", "--kubeconfig", config.path().to_str().unwrap()];
    let ended = khan(&arguments).run().await;
    let report = ended.json();
    let items = report["items"].as_array().unwrap().iter().filter(|item| item["check"] == "permissions");
    let found: Vec<_> =
        items.map(|item| (item["state"].as_str().unwrap(), item["finding"].as_str().unwrap())).collect();
    let expected = [
        ("fail", "get pods/proxy is not allowed in namespace khan: agents are reached by port-forward only"),
        (
            "fail",
            "create pods/portforward is not allowed in namespace khan: from Kubernetes 1.35 on agents are reached by pod \
             proxy only",
        ),
    ];
    assert_eq!(found, expected);
    // stderr is a file that kubectl takes.
    let (comment, manifest) = ended.stderr.split_once('\n').unwrap();
    assert!(comment.starts_with("# "), "{comment}");
    assert_eq!(report["metadata"]["manifest"], manifest);
    let documents: Vec<Value> = manifest.split("---\n").map(|part| serde_saphyr::from_str(part).unwrap()).collect();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[0]["metadata"]["name"], "khan-viewer");
    assert_eq!(
        (&documents[1]["subjects"][0]["name"], &documents[1]["metadata"]["namespace"]),
        (&json!("jane"), &json!("khan"))
    );
}

#[tokio::test]
async fn without_an_api_server_the_rest_is_still_looked_at() {
    let config = kubeconfig("http://127.0.0.1:1");
    let arguments = ["doctor", "-o", "json", "--kubeconfig", config.path().to_str().unwrap(), "--request-timeout", "2"];
    let ended = khan(&arguments).env("PROMETHEUS_URL", "http://127.0.0.1:1").run().await;
    let report = ended.json();
    let found = |check: &str| -> Vec<(String, String)> {
        let items = report["items"].as_array().unwrap().iter().filter(|item| item["check"] == check);
        let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
        items.map(|item| (text(item, "state"), text(item, "finding"))).collect()
    };
    assert_eq!(found("API server"), [("fail".into(), "refused the connection".into())]);
    assert_eq!(found("agents"), [("fail".into(), "needs an API server to be looked up".into())]);
    assert_eq!(found("Prometheus")[0].0, "fail");
    assert!(found("permissions").is_empty(), "{report:#}");
}

/// An API server whose pods labelled `app=web` are `shop/web-0`.
async fn labelled() -> MockServer {
    let server = allowing(&[]).await;
    let list = |items: Value| {
        ResponseTemplate::new(200).set_body_json(json!({"kind": "PartialObjectMetadataList", "items": items}))
    };
    for (selector, items) in
        [("app=web", json!([{"metadata": {"name": "web-0", "namespace": "shop"}}])), ("app=nobody", json!([]))]
    {
        Mock::given(path("/api/v1/pods"))
            .and(query_param("labelSelector", selector))
            .respond_with(list(items))
            .mount(&server)
            .await;
    }
    let wrong = json!({"kind": "Status", "reason": "BadRequest", "code": 400,
        "message": "unable to parse requirement: found '==='"});
    Mock::given(query_param("labelSelector", "app==="))
        .respond_with(ResponseTemplate::new(400).set_body_json(wrong))
        .mount(&server)
        .await;
    Mock::given(query_param("labelSelector", "app=hidden")).respond_with(forbidden("no")).mount(&server).await;
    server
}

#[tokio::test]
async fn labels_select_pods() {
    let server = labelled().await;
    let config = kubeconfig(&server.uri());
    let config = config.path().to_str().unwrap();
    let top = async |selector: &str| khan(&["top", "--kubeconfig", config, "-o", "name", "-l", selector]).run().await;
    let found = top("app=web").await;
    assert_eq!(found.stdout, "shop/web->shop/db:5432\nshop/db->shop/web:80\n", "either end: {found:?}");
    let from = khan(&["top", "--kubeconfig", config, "-o", "json", "-l", "app=web", "--from", "app/web"]).run().await;
    let json = from.json();
    assert_eq!((&json["metadata"]["selector"], json["items"].as_array().map(Vec::len)), (&json!("app=web"), Some(1)));
    let nobody = top("app=nobody").await;
    assert_eq!((nobody.code, &*nobody.stdout), (Some(0), ""));
    assert_eq!(nobody.stderr, "No connections of pods labelled app=nobody found.\n");
    let wrong = top("app===").await;
    assert_eq!(wrong.code, Some(64));
    assert_eq!(wrong.stderr, "khan: --selector: unable to parse requirement: found '==='\n");
    let hidden = top("app=hidden").await;
    assert_eq!(hidden.code, Some(4));
    assert!(hidden.stderr.contains("may not list pods in all namespaces; -n NAME asks for one"), "{hidden:?}");
    // Labels are the cluster's, whatever the source.
    let alone = khan(&["top", "--agent", "http://127.0.0.1:1", "-l", "app=web"]).run().await;
    assert_eq!(alone.code, Some(4));
    assert!(
        alone.stderr.starts_with("khan: --selector: only the API server knows labels, and no kubeconfig"),
        "{alone:?}"
    );
}
