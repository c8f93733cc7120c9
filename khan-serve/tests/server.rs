//! The server's bounds, seen from the other end of real sockets.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use khan_serve::limits::Limits;
use khan_serve::readiness::Readiness;
use khan_serve::server::{Bound, Server};
use khan_serve::shutdown::Shutdown;
use khan_serve::{health, listen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

const SOON: Duration = Duration::from_secs(5);

fn tight() -> Limits {
    Limits {
        connections: 2,
        threads: 1,
        head: Duration::from_millis(300),
        idle: Duration::from_secs(20),
        stall: Duration::from_millis(300),
        exchange: Duration::from_secs(2),
        drain: Duration::from_millis(500),
    }
}

async fn start(router: Router, limits: Limits) -> (Bound, Shutdown) {
    let shutdown = Shutdown::new();
    let listener = listen::bind("--listen", "127.0.0.1:0".parse().unwrap()).await.unwrap();
    (Server::new(router).limits(limits).start(listener, shutdown.clone()).unwrap(), shutdown)
}

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" })).route("/echo", post(|body: Bytes| async { body }))
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Reads until the peer closes; the connection must end soon.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end too.
    let _ = timeout(SOON, stream.read_to_end(&mut bytes)).await.expect("the server kept the connection open");
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn get_once(bound: &Bound, path: &str) -> String {
    let mut stream = TcpStream::connect(bound.address).await.unwrap();
    send(&mut stream, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
    rest(&mut stream).await
}

#[tokio::test]
async fn answers_and_keeps_the_connection() {
    let (bound, _shutdown) = start(hello(), tight()).await;
    let mut stream = TcpStream::connect(bound.address).await.unwrap();
    for _ in 0..3 {
        send(&mut stream, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut answer = String::new();
        while !answer.ends_with("hello") {
            let mut buffer = [0; 512];
            let n = timeout(SOON, stream.read(&mut buffer)).await.unwrap().unwrap();
            assert_ne!(n, 0, "{answer}");
            answer.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
        }
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut() {
    let (bound, _shutdown) = start(hello(), tight()).await;
    let mut stream = TcpStream::connect(bound.address).await.unwrap();
    let begun = Instant::now();
    send(&mut stream, "GET / HTTP/1.1\r\nhost").await;
    rest(&mut stream).await;
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_body_that_stalls_is_cut() {
    let (bound, _shutdown) = start(hello(), tight()).await;
    let mut stream = TcpStream::connect(bound.address).await.unwrap();
    send(&mut stream, "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc").await;
    let answer = rest(&mut stream).await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_client_that_never_reads_is_cut() {
    let ended = Arc::new(Notify::new());
    let page = {
        let ended = Arc::clone(&ended);
        move || {
            // Dropped with the body, however that ends.
            let told = NotifyOnDrop(Arc::clone(&ended));
            let endless = futures_stream(told);
            async { Body::from_stream(endless) }
        }
    };
    let (bound, _shutdown) = start(Router::new().route("/", get(page)), tight()).await;
    let mut stream = TcpStream::connect(bound.address).await.unwrap();
    send(&mut stream, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    timeout(SOON, ended.notified()).await.expect("the answer was never given up");
}

struct NotifyOnDrop(Arc<Notify>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

fn futures_stream(told: NotifyOnDrop) -> impl futures::Stream<Item = Result<Bytes, Infallible>> {
    futures::stream::unfold(told, |told| async { Some((Ok(Bytes::from(vec![b'x'; 64 * 1024])), told)) })
}

#[tokio::test]
async fn a_new_connection_displaces_the_longest_idle_one() {
    let (bound, _shutdown) = start(hello(), tight()).await;
    let mut first = TcpStream::connect(bound.address).await.unwrap();
    send(&mut first, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut byte = [0; 1];
    first.read_exact(&mut byte).await.unwrap();
    let mut second = TcpStream::connect(bound.address).await.unwrap();
    send(&mut second, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    second.read_exact(&mut byte).await.unwrap();
    assert!(get_once(&bound, "/").await.ends_with("hello"));
    assert!(rest(&mut first).await.ends_with("hello"));
}

#[tokio::test]
async fn what_is_being_served_is_finished_before_the_end() {
    let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (entered, go) = (Arc::clone(&entered), Arc::clone(&go));
        move || async move {
            entered.notify_one();
            go.notified().await;
            "done"
        }
    };
    let (bound, shutdown) = start(Router::new().route("/", get(slow)), tight()).await;
    let address = bound.address;
    let mut stream = TcpStream::connect(address).await.unwrap();
    send(&mut stream, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    entered.notified().await;
    shutdown.request();
    // The port closes while the request is still being served.
    timeout(SOON, async { while TcpStream::connect(address).await.is_ok() {} }).await.unwrap();
    go.notify_one();
    assert!(rest(&mut stream).await.ends_with("done"));
    timeout(SOON, bound.finished()).await.unwrap();
}

#[tokio::test]
async fn what_does_not_finish_is_cut_at_the_deadline() {
    let entered = Arc::new(Notify::new());
    let stuck = {
        let entered = Arc::clone(&entered);
        move || async move {
            entered.notify_one();
            pending::<&str>().await
        }
    };
    let (bound, shutdown) = start(Router::new().route("/", get(stuck)), tight()).await;
    let mut stream = TcpStream::connect(bound.address).await.unwrap();
    send(&mut stream, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    entered.notified().await;
    let begun = Instant::now();
    shutdown.request();
    timeout(SOON, bound.finished()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn probes_say_what_is_pending() {
    let readiness = Readiness::new();
    let guard = readiness.wait_for("first scan");
    let (bound, _shutdown) = start(health::routes(Arc::new(|| Ok(())), readiness), tight()).await;
    assert!(get_once(&bound, "/livez").await.starts_with("HTTP/1.1 200"));
    let answer = get_once(&bound, "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("waiting for first scan\n"), "{answer}");
    drop(guard);
    assert!(get_once(&bound, "/readyz").await.starts_with("HTTP/1.1 200"));
}
