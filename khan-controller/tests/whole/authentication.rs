//! `--require-token-audience`: who is let in, who is told to stay out, and how often the API server is asked.

use std::time::Instant;

use reqwest::StatusCode;
use serde_json::json;

use khan_api::routes;

use crate::client::{PATIENCE, get, http, json as parse, metric, until_ready, within};
use crate::manifests::pod;
use crate::program::{Controller, start, text, try_start};
use khan_lab::api_server::ApiServer;

async fn guarded() -> (ApiServer, Controller) {
    guarded_with(&[]).await
}

async fn guarded_with(more: &[&str]) -> (ApiServer, Controller) {
    let server = ApiServer::start().await;
    server.put(pod("shop", "web", &["10.244.1.7"]));
    server.accept_token(
        "agent",
        json!({"authenticated": true, "audiences": ["khan"], "user": {"username": "system:serviceaccount:khan:agent"}}),
    );
    server.accept_token("other", json!({"authenticated": true, "audiences": ["vault"]}));
    server.accept_token("old-server", json!({"authenticated": true}));
    let kubeconfig = server.kubeconfig();
    let arguments = [&["--kubeconfig", text(kubeconfig.path()), "--require-token-audience", "khan"], more].concat();
    let controller = start(&arguments).await;
    until_ready(controller.address).await;
    (server, controller)
}

async fn ask(controller: &Controller, path: &str, token: Option<&str>) -> (StatusCode, String) {
    let request = http().get(format!("http://{}{path}", controller.address));
    let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// The API server was asked once for each token, and again for each refused one only when 10 s had passed, as they do on a
/// busy machine.
fn assert_reviews(server: &ApiServer, accepted: usize, refused: usize, begun: Instant) {
    let expired = usize::try_from(begun.elapsed().as_secs() / 10).unwrap();
    let (reviews, least) = (server.asked_reviews(), accepted + refused);
    let most = least + refused * expired;
    assert!((least..=most).contains(&reviews), "{reviews} reviews, not {least} to {most}, in {:?}", begun.elapsed());
}

const WHO: &str = "/v1/identities/10.244.1.7";

#[tokio::test]
async fn only_tokens_for_the_audience_pass() {
    let (server, controller) = guarded().await;
    for (token, status, told) in [
        (Some("agent"), StatusCode::OK, "\"name\":\"web\""),
        (None, StatusCode::UNAUTHORIZED, "a bearer token for the audience khan is required"),
        (Some("forged"), StatusCode::UNAUTHORIZED, "the API server does not accept this token"),
        (Some("other"), StatusCode::FORBIDDEN, "not meant for the audience khan"),
        (Some("old-server"), StatusCode::FORBIDDEN, "not meant for the audience khan"),
    ] {
        let (got, body) = ask(&controller, WHO, token).await;
        assert_eq!(got, status, "{token:?}");
        assert!(body.contains(told), "{body}");
    }
    for path in [routes::CACHE, "/v1/identities/8.8.8.8"] {
        assert_eq!(ask(&controller, path, None).await.0, StatusCode::UNAUTHORIZED, "{path}");
    }
    let resolve = http().post(format!("http://{}{}", controller.address, routes::RESOLVE)).body(r#"{"ips":[]}"#);
    assert_eq!(resolve.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    // Probes and scrapers tell no names.
    for path in [routes::LIVEZ, routes::READYZ, routes::METRICS] {
        assert_eq!(get(controller.address, path).await.0, StatusCode::OK, "{path}");
    }
    assert_eq!(server.asked_reviews(), 4);
}

#[tokio::test]
async fn the_api_server_is_asked_once_a_token_and_its_absence_survived() {
    let (server, controller) = guarded().await;
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(ask(&controller, WHO, Some("agent")).await.0, StatusCode::OK);
        assert_eq!(ask(&controller, WHO, Some("forged")).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_reviews(&server, 1, 1, begun);
    server.stop();
    assert_eq!(ask(&controller, WHO, Some("agent")).await.0, StatusCode::OK, "it is known");
    let (status, body) = ask(&controller, WHO, Some("new")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(parse(&body)["error"].as_str().unwrap().contains("cannot ask the API server"), "{body}");
    let failures = metric(controller.address, r#"khan_controller_token_reviews_total{result="failure"}"#).await;
    assert_eq!(failures, Some(1.0));
}

#[tokio::test]
async fn a_revoked_token_is_believed_no_longer_than_its_review_whether_the_api_server_answers_or_not() {
    let (server, controller) = guarded_with(&["--token-review-ttl", "1s"]).await;
    assert_eq!(ask(&controller, WHO, Some("agent")).await.0, StatusCode::OK);
    server.revoke_token("agent");
    let until = async |status: StatusCode| {
        within(PATIENCE, async || {
            let got = ask(&controller, WHO, Some("agent")).await;
            if got.0 == status { Ok(()) } else { Err(got) }
        })
        .await;
    };
    until(StatusCode::UNAUTHORIZED).await;
    server.accept_token("agent", json!({"authenticated": true, "audiences": ["khan"]}));
    // A refusal is remembered for 10 s, no longer.
    until(StatusCode::OK).await;
    server.stop();
    until(StatusCode::SERVICE_UNAVAILABLE).await;
}

#[tokio::test]
async fn strangers_drive_nobody_out_and_cost_no_more_questions() {
    let (server, controller) = guarded().await;
    let begun = Instant::now();
    assert_eq!(ask(&controller, WHO, Some("agent")).await.0, StatusCode::OK);
    for n in 0..100 {
        assert_eq!(ask(&controller, WHO, Some(&format!("forged-{}", n % 50))).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(ask(&controller, WHO, Some("agent")).await.0, StatusCode::OK);
    assert_reviews(&server, 1, 50, begun);
}

#[tokio::test]
async fn it_needs_a_cluster_and_no_passwords() {
    let refused = async |arguments: &[&str]| {
        let failure = try_start(arguments).await.err().unwrap();
        assert_eq!(failure.code(), 64);
        failure.to_string()
    };
    let server = ApiServer::start().await;
    let kubeconfig = server.kubeconfig();
    let cluster = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(cluster.path(), pod("shop", "web", &["10.244.1.7"]).to_string()).unwrap();
    let told = refused(&["--from-file", text(cluster.path()), "--require-token-audience", "khan"]).await;
    assert_eq!(told, "--require-token-audience needs a cluster to ask, not --from-file");
    let web = tempfile::NamedTempFile::new().unwrap();
    let hash = "$2b$04$abcdefghijklmnopqrstuuqsYqE9d4XJ5g9Yw5O6Fh1oQxH3x1zMa";
    std::fs::write(web.path(), format!("basic_auth_users: {{alice: {hash}}}\n")).unwrap();
    let arguments =
        ["--kubeconfig", text(kubeconfig.path()), "--require-token-audience", "khan", "--web-config", text(web.path())];
    let told = refused(&arguments).await;
    assert_eq!(
        told,
        "--require-token-audience and basic_auth_users (--web-config) exclude each other: a request has one Authorization header"
    );
}
