//! Questions to a controller, and waiting for the answer that must come.

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use khan_api::{Cursor, Identity, ResolveAnswer, ResolveRequest, routes};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::time::Instant;

/// Longest time that anything may take in a test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Tries until `check` gives a value; fails with the last complaint when it takes longer than `patience`.
pub(crate) async fn within<T, E: Debug>(patience: Duration, mut check: impl AsyncFnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + patience;
    loop {
        match check().await {
            Ok(value) => return value,
            Err(complaint) if Instant::now() > end => panic!("not within {patience:?}: {complaint:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> (StatusCode, String) {
    let answer = http().get(format!("http://{address}{path}")).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

pub(crate) async fn post(address: SocketAddr, path: &str, body: String) -> (StatusCode, String) {
    let answer = http().post(format!("http://{address}{path}")).body(body).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// One client for each test, which has a thread of its own: making one takes a tenth of a second.
pub(crate) fn http() -> reqwest::Client {
    thread_local! {
        static CLIENT: reqwest::Client = {
            khan_serve::tls_provider::install();
            reqwest::Client::builder().no_proxy().build().unwrap()
        };
    }
    CLIENT.with(Clone::clone)
}

pub(crate) async fn resolve(address: SocketAddr, request: &ResolveRequest) -> ResolveAnswer {
    let (status, body) = post(address, routes::RESOLVE, serde_json::to_string(request).unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

pub(crate) async fn ask(address: SocketAddr, cursor: Option<Cursor>, ips: &[&str]) -> ResolveAnswer {
    let ips = ips.iter().map(|ip| ip.parse().unwrap()).collect();
    resolve(address, &ResolveRequest { cursor, ips, ..ResolveRequest::default() }).await
}

pub(crate) async fn identity(address: SocketAddr, ip: &str) -> Option<Identity> {
    ask(address, None, &[ip]).await.identities.remove(&ip.parse::<IpAddr>().unwrap())
}

/// The names of the owners, empty where there is none.
pub(crate) async fn names(address: SocketAddr, ips: &[&str]) -> Vec<String> {
    let answer = ask(address, None, ips).await;
    ips.iter()
        .map(|ip| answer.identities.get(&ip.parse().unwrap()).map_or(String::new(), |i| i.owner.name.to_string()))
        .collect()
}

/// Waits until the owners have these names.
pub(crate) async fn until_names(address: SocketAddr, patience: Duration, expected: &[(&str, &str)]) {
    let (ips, wanted): (Vec<&str>, Vec<&str>) = expected.iter().copied().unzip();
    within(patience, async || {
        let names = names(address, &ips).await;
        if names == wanted { Ok(()) } else { Err(names) }
    })
    .await;
}

pub(crate) async fn until_ready(address: SocketAddr) {
    within(PATIENCE, async || {
        let (status, body) = get(address, routes::READYZ).await;
        if status == StatusCode::OK { Ok(()) } else { Err(body) }
    })
    .await;
}

/// The value of a series on the page, by the text before its value.
pub(crate) async fn metric(address: SocketAddr, series: &str) -> Option<f64> {
    let (_, page) = get(address, routes::METRICS).await;
    page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

pub(crate) async fn until_metric(address: SocketAddr, series: &str, holds: impl Fn(f64) -> bool) {
    within(PATIENCE, async || {
        let value = metric(address, series).await;
        if value.is_some_and(&holds) { Ok(()) } else { Err(value) }
    })
    .await;
}

pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
