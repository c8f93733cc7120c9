//! What a Prometheus knows has an age, and old data is no data.

use khan_api::Timestamp;
use serde_json::{Value, json};
use wiremock::matchers::path_regex;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::khan::khan;

/// A server that scraped one agent `age` seconds ago; a day ago at most it tells when asked for the past alone.
pub(crate) async fn prometheus(age: i64, tells_now: bool) -> MockServer {
    let server = MockServer::start().await;
    let answer = move |request: &Request| {
        let form: String = url::form_urlencoded::parse(&request.body).map(|(_, value)| value.into_owned()).collect();
        let now = Timestamp::now().seconds();
        let taken = (now - age).to_string();
        let series = |labels: Value, value: &str| json!([{"metric": labels, "value": [now, value]}]);
        let target = json!({"job": "khan", "instance": "n1:14718"});
        let found = if form.contains("max_over_time") {
            series(json!({}), &taken)
        } else if !tells_now {
            json!([])
        } else if form.contains("timestamp(khan_connection)") {
            series(json!({"job": "khan", "instance": "n1:14718", "node": "n1"}), &taken)
        } else if form.contains("timestamp(khan_agent") {
            series(target, &taken)
        } else if form.contains("khan_connection{") {
            let labels = json!({"node": "n1", "side": "client", "src_type": "pod", "src_ns": "shop", "src_app": "web",
                "dst_type": "pod", "dst_ns": "shop", "dst_app": "db"});
            series(labels, "7")
        } else {
            json!([])
        };
        ResponseTemplate::new(200)
            .set_body_json(json!({"status": "success", "data": {"resultType": "vector", "result": found}}))
    };
    Mock::given(path_regex("/api/v1/query$")).respond_with(answer).mount(&server).await;
    server
}

#[tokio::test]
async fn the_age_of_the_data_is_shown() {
    let server = prometheus(40, true).await;
    let top = ["top", "--once", "-o", "json", "--group-by", "src,dst", "--prometheus-url", &server.uri()];
    let ended = khan(&top).run().await;
    let json = ended.json();
    assert_eq!(json["metadata"]["totals"]["conns"], 7, "{ended:?}");
    let age = json["metadata"]["snapshotAgeSeconds"].as_f64().unwrap();
    assert!((39.0..60.0).contains(&age), "{age}");
    let note = format!("note: the newest snapshot that {} knows is ", server.uri());
    assert!(ended.stderr.contains(&note), "{}", ended.stderr);
}

#[tokio::test]
async fn data_that_is_too_old_is_said_to_be_so() {
    // Within what the server looks back, and beyond.
    for (tells_now, sentence) in
        [(true, " has of node n1 is 6m4"), (false, " has no fresh series of khan-agent: it scraped the last one 6m4")]
    {
        let server = prometheus(402, tells_now).await;
        let ended = khan(&["top", "--once", "--prometheus-url", &server.uri()]).run().await;
        assert_eq!((ended.code, &*ended.stdout), (Some(4), ""), "{ended:?}");
        assert!(ended.stderr.contains(&format!("{}{sentence}", server.uri())), "{}", ended.stderr);
    }
}
