//! `EndpointSlice` objects: who answers for a service, and no trouble where that cannot be known.

use khan_api::{ResolveAnswer, Service, routes};
use reqwest::StatusCode;

use crate::client::{PATIENCE, ask, get, metric, until_ready, within};
use crate::manifests::{endpoint_slice, pod, service};
use crate::program::watching;
use khan_lab::api_server::ApiServer;

const SYNCED: &str = r#"khan_controller_watch_synced{resource="endpointslices"}"#;

fn ready(service: &str) -> String {
    format!(r#"khan_service_endpoints{{dst_ns="shop",dst_name="{service}",condition="ready"}}"#)
}

fn services(answer: &ResolveAnswer, ip: &str) -> Vec<String> {
    let services = &answer.identities[&ip.parse().unwrap()].services;
    services.iter().map(|service| service.name.as_str().to_owned()).collect()
}

#[tokio::test]
async fn a_service_its_counts_and_its_agents_follow_the_slices() {
    let server = ApiServer::start().await;
    server.put(service("shop", "web", &["10.96.0.10"]));
    server.put(pod("shop", "web-0", &["10.244.1.7"]));
    server.put(pod("shop", "web-1", &["10.244.1.8"]));
    server.put(endpoint_slice("shop", "web", "a", &[("10.244.1.7", "ready"), ("10.244.1.8", "ready")]));
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    let (status, body) = get(controller.address, "/v1/services/shop/web").await;
    let web: Service = serde_json::from_str(&body).unwrap();
    assert_eq!((status, web.endpoints.len()), (StatusCode::OK, 2));
    assert_eq!((web.endpoints[1].pod.as_str(), web.endpoints[1].node.as_str()), ("web-1", "n1"));
    assert_eq!(metric(controller.address, &ready("web")).await, Some(2.0));
    let first = ask(controller.address, None, &["10.244.1.7", "10.244.1.8"]).await;
    assert!(first.endpoints.is_some());
    assert_eq!(services(&first, "10.244.1.8"), ["web"]);

    server.put(endpoint_slice("shop", "web", "a", &[("10.244.1.7", "ready")]));
    within(PATIENCE, async || {
        let answer = ask(controller.address, Some(first.cursor), &["10.244.1.7", "10.244.1.8"]).await;
        if answer.identities.len() == 1 && services(&answer, "10.244.1.8").is_empty() { Ok(()) } else { Err(answer) }
    })
    .await;
    assert_eq!(metric(controller.address, &ready("web")).await, Some(1.0));
    let (status, body) = get(controller.address, "/v1/services/shop/none").await;
    assert_eq!((status, body.contains("no EndpointSlice of a service")), (StatusCode::NOT_FOUND, true), "{body}");
}

/// Asked for by agents of nodes whose tables do not show services.
#[tokio::test]
async fn what_was_dialled_is_told_to_who_asks() {
    let server = ApiServer::start().await;
    let mut web = service("shop", "web", &["10.96.0.10"]);
    web["spec"]["ports"] = serde_json::json!([{"name": "http", "port": 80}]);
    server.put(web);
    server.put(pod("shop", "web-0", &["10.244.1.7"]));
    server.put(endpoint_slice("shop", "web", "a", &[("10.244.1.7", "ready")]));
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    let told = async |query: &str| {
        let body = serde_json::json!({"cursor": null, "ips": ["10.244.1.7"]});
        let url = format!("http://{}{}{query}", controller.address, routes::RESOLVE);
        let answer: ResolveAnswer =
            reqwest::Client::new().post(url).json(&body).send().await.unwrap().json().await.unwrap();
        serde_json::to_string(&answer.identities.values().next().unwrap().dialled).unwrap()
    };
    assert_eq!(told("").await, "[]");
    let one = r#"[{"port":8080,"protocol":"tcp","service":"10.96.0.10","service_port":80}]"#;
    assert_eq!(told(&format!("?{}", routes::DIALLED)).await, one);
    let (_, story) = get(controller.address, "/v1/identities/10.244.1.7").await;
    assert!(story.contains(&format!(r#""dialled":{one}"#)), "{story}");
}

/// More services than one piece of the page holds.
#[tokio::test]
async fn every_service_is_on_the_page_once() {
    let server = ApiServer::start().await;
    for n in 0..100 {
        server.put(endpoint_slice("shop", &format!("web-{n}"), "a", &[("10.244.1.7", "ready")]));
    }
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    let (_, page) = get(controller.address, routes::METRICS).await;
    let lines: Vec<_> = page.lines().filter(|line| line.starts_with("khan_service_endpoints{")).collect();
    let distinct: std::collections::BTreeSet<_> = lines.iter().copied().collect();
    assert_eq!((lines.len(), distinct.len()), (300, 300));
    assert_eq!(page.matches("# TYPE khan_service_endpoints gauge\n").count(), 1);
}

#[tokio::test]
async fn a_server_without_them_and_one_that_refuses_them_do_no_harm() {
    for (absent, told) in [
        (true, "ready\n"),
        (
            false,
            "without the list of endpointslices: not allowed to list endpointslices: grant the verbs list and watch on \
                 endpointslices.discovery.k8s.io",
        ),
    ] {
        let server = ApiServer::start().await;
        server.put(pod("shop", "web-0", &["10.244.1.7"]));
        server.faults("endpointslices", |faults| {
            if absent {
                faults.fail = Some((404, 100_000));
            } else {
                faults.forbid = vec!["list", "watch"];
            }
        });
        let controller = watching(&server).await;
        within(PATIENCE, async || {
            let (status, body) = get(controller.address, routes::READYZ).await;
            if status == StatusCode::OK && body.contains(told) { Ok(()) } else { Err((status, body)) }
        })
        .await;
        let answer = ask(controller.address, None, &["10.244.1.7"]).await;
        assert_eq!((answer.identities.len(), answer.endpoints), (1, None));
        let (status, body) = get(controller.address, "/v1/services/shop/web").await;
        assert_eq!((status, body.contains("not known")), (StatusCode::SERVICE_UNAVAILABLE, true), "{body}");
        if absent {
            assert_eq!(metric(controller.address, SYNCED).await, None);
        }
    }
}

#[tokio::test]
async fn nobody_is_told_who_is_no_endpoint_while_the_watch_fails() {
    let server = ApiServer::start().await;
    server.put(pod("shop", "web-0", &["10.244.1.7"]));
    server.put(endpoint_slice("shop", "web", "a", &[("10.244.1.7", "ready")]));
    let controller = watching(&server).await;
    until_ready(controller.address).await;
    assert!(ask(controller.address, None, &[]).await.endpoints.is_some());
    server.faults("endpointslices", |faults| faults.fail = Some((500, 100_000)));
    server.expire("endpointslices");
    let known = async |wanted: bool| {
        within(PATIENCE, async || {
            let answer = ask(controller.address, None, &[]).await;
            if answer.endpoints.is_some() == wanted { Ok(()) } else { Err(answer) }
        })
        .await;
    };
    known(false).await;
    server.faults("endpointslices", |faults| faults.fail = None);
    known(true).await;
}
