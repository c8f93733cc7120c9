//! One agent, asked directly.

use std::io::Write;
use std::time::Duration;

use khan_cli::sources::agents::fetch::{self, FetchError};
use khan_cli::sources::agents::route::{Direct, DirectClient, Route};
use khan_cli::sources::exchange::{Bounds, ExchangeError};
use khan_cli::sources::http_config::{HttpConfig, Secret};
use serde_json::json;

use super::server::{Answer, Request, Server};

const BOUNDS: Bounds = Bounds { deadline: Duration::from_millis(1500), body: 64 << 10 };

fn route(url: &str) -> Route {
    Route::Url(Direct { url: url.parse().unwrap(), client: DirectClient::new(HttpConfig::default()).unwrap() })
}

async fn failure(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> String {
    let server = Server::start(handler).await;
    fetch::snapshot(&route(&server.url()), None, None, BOUNDS).await.unwrap_err().to_string()
}

fn minimal(id: &str) -> serde_json::Value {
    json!({"schema": 1, "id": id, "node": "n1", "taken": "2026-11-22T10:00:00Z", "endpoints": [], "rows": []})
}

#[tokio::test]
async fn a_snapshot_comes_packed_and_only_once() {
    let server = Server::start(|request| {
        if request.headers.get("if-none-match").is_some_and(|tag| tag == "\"a-1\"") {
            return Answer::Http(304, Vec::new(), Vec::new());
        }
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&serde_json::to_vec(&minimal("a-1")).unwrap()).unwrap();
        let headers = vec![("content-encoding", "gzip".into()), ("etag", "\"a-1\"".into())];
        Answer::Http(200, headers, encoder.finish().unwrap())
    })
    .await;
    let route = route(&server.url());
    let first = fetch::snapshot(&route, Some(Duration::from_secs(5)), None, BOUNDS).await.unwrap();
    assert_eq!(first.snapshot.unwrap().id, "a-1");
    assert_eq!(first.clock_skew_millis, None);
    let second = fetch::snapshot(&route, None, first.etag.as_ref(), BOUNDS).await.unwrap();
    assert_eq!((second.snapshot, second.etag), (None, first.etag));
    let requests = server.requests();
    assert_eq!(requests[0].method, "GET");
    assert_eq!(requests[0].path, "/v1/snapshot?max_age=5000ms");
    assert_eq!(requests[0].headers["accept-encoding"], "gzip");
    assert_eq!(requests[1].path, "/v1/snapshot");
}

#[tokio::test]
async fn every_failure_is_the_rest_of_one_sentence() {
    assert_eq!(failure(|_| Answer::Silence).await, "did not answer within 1.5s");
    assert_eq!(failure(|_| Answer::Raw(Vec::new())).await, "closed the connection without an answer");
    assert_eq!(
        failure(|_| Answer::Raw(b"SSH-2.0-OpenSSH_9.7\r\n".into())).await,
        "answered something that is not HTTP: a port that speaks TLS wants https:// in its URL"
    );
    assert_eq!(failure(|_| Answer::text(403, "no\nbody")).await, "answered 403 Forbidden: no");
    assert_eq!(failure(|_| Answer::text(500, "")).await, "answered 500 Internal Server Error");
    assert_eq!(failure(|_| Answer::text(401, "")).await, "wants credentials (401 Unauthorized)");
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"schema\":1".to_vec();
    assert_eq!(
        failure(move |_| Answer::Raw(half.clone())).await,
        "broke off in the middle of its answer, after 11 bytes"
    );
    assert_eq!(
        failure(|_| Answer::text(200, "<html>welcome</html>")).await,
        "answered something that is not a snapshot (expected value at line 1 column 1)"
    );
    assert_eq!(
        failure(|_| Answer::text(200, "{}")).await,
        "answered something that is not a snapshot (it has neither schema nor id)"
    );
    let future = json!({"schema": 2, "id": "b-1", "version": "0.9.0"});
    assert_eq!(
        failure(move |_| Answer::json(&future)).await,
        "speaks version 2 of the snapshot format (khan-agent 0.9.0), and this khan reads version 1"
    );
    let big = vec![b' '; BOUNDS.body + 1];
    assert_eq!(failure(move |_| Answer::Http(200, Vec::new(), big.clone())).await, "sent more than 0 MiB");
}

#[tokio::test]
async fn nobody_there_is_told_from_nobody_known() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = fetch::snapshot(&route(&free.to_string()), None, None, BOUNDS).await.unwrap_err();
    assert_eq!(refused, FetchError::Exchange(ExchangeError::Refused));
    let unknown = fetch::snapshot(&route("no-such-host.invalid"), None, None, BOUNDS).await.unwrap_err();
    assert!(matches!(unknown, FetchError::Exchange(ExchangeError::Unresolved(_))), "{unknown:?}");
    let plain = Server::start(|_| Answer::text(200, "")).await;
    let tls = fetch::snapshot(&route(&format!("https://{}", plain.address)), None, None, BOUNDS).await.unwrap_err();
    assert!(matches!(tls, FetchError::Exchange(ExchangeError::Tls(_))), "{tls:?}");
}

#[tokio::test]
async fn the_clock_and_the_credentials_travel_with_it() {
    let server = Server::start(|_| {
        let ahead = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(10);
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&ahead).unwrap();
        Answer::Http(200, vec![("date", date)], serde_json::to_vec(&minimal("c-1")).unwrap())
    })
    .await;
    let config = HttpConfig { bearer_token: Some(Secret("t0ken".into())), ..HttpConfig::default() };
    let route = Route::Url(Direct { url: server.url().parse().unwrap(), client: DirectClient::new(config).unwrap() });
    let skew = fetch::snapshot(&route, None, None, BOUNDS).await.unwrap().clock_skew_millis.unwrap();
    assert!((597_000..=600_000).contains(&skew), "{skew}");
    assert_eq!(server.requests()[0].headers["authorization"], "Bearer t0ken");
}
