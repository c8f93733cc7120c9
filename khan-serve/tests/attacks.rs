//! Peers that take all they can get, against a server with one thread as the agent's: probes and honest peers are answered
//! meanwhile. Attackers come from 127.0.0.2, everybody else from 127.0.0.1.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use khan_lab::answer_times::{AnswerTimes, ServingThread};
use khan_serve::exchange::Exchange;
use khan_serve::gate::{Bounds, Gate};
use khan_serve::readiness::Readiness;
use khan_serve::server::Server;
use khan_serve::shutdown::Shutdown;
use khan_serve::{health, listen, shed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

/// A server in a thread of its own; stops when it is dropped.
struct Target {
    address: SocketAddr,
    thread: ServingThread,
    shutdown: Shutdown,
}

impl Target {
    fn start() -> Self {
        let (tell, told) = std::sync::mpsc::channel();
        let shutdown = Shutdown::new();
        let asked = shutdown.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = listen::bind("--listen", "127.0.0.1:0".parse().unwrap()).await.unwrap();
                let bound = Server::new(router()).start(listener, asked).unwrap();
                tell.send((bound.address, ServingThread::this())).unwrap();
                bound.finished().await;
            });
        });
        let (address, thread) = told.recv().unwrap();
        Self { address, thread, shutdown }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}

fn router() -> Router {
    let gate = Gate::new(Bounds {
        name: "dumps",
        capacity: 1,
        entry: 1,
        waiting: 8,
        patience: Duration::from_secs(10),
        grace: None,
    });
    // One at a time, a fifth of a second each: as reading the kernel's table.
    let dump = async move |exchange: Exchange| -> Response {
        match gate.enter(&exchange).await {
            Ok(_pass) => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                "dumped".into_response()
            }
            Err(shed) => shed.into_response(),
        }
    };
    // A page of 6.4 MB, made chunk by chunk.
    let page = async || {
        let chunks = (0_u8..100).map(|n| Ok::<_, Infallible>(Bytes::from(vec![n; 64 * 1024])));
        Body::from_stream(futures::stream::iter(chunks))
    };
    Router::new()
        .route("/dump", get(dump))
        .route("/page", get(page))
        .merge(health::routes(Arc::new(|| Ok(())), Readiness::new()))
}

async fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    timeout(SOON, socket.connect(to)).await.expect("nobody accepts").unwrap()
}

/// Asks as the kubelet does: over a connection of its own, from a thread that no attacker keeps busy.
fn answer(address: SocketAddr, path: &str) -> Vec<u8> {
    let mut stream = std::net::TcpStream::connect_timeout(&address, SOON).expect("nobody accepts");
    stream.set_read_timeout(Some(SOON)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap_or_else(|error| panic!("no answer to {path}: {error}"));
    answer
}

/// Probes for some seconds: the bound is 100 ms; a machine that compiles beside this gets more for its worst moment.
#[expect(clippy::disallowed_methods, reason = "the pace of the probes, which wait for nothing")]
fn probe(target: &Target, attack: &str) {
    let end = Instant::now() + Duration::from_secs(3);
    let mut times = AnswerTimes::default();
    while Instant::now() < end || times.count() < 20 {
        let text = times.take(&target.thread, || answer(target.address, "/livez"));
        assert!(text.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&text));
        std::thread::sleep(Duration::from_millis(20));
    }
    times.check(attack, Duration::from_millis(100), Duration::from_secs(4));
}

/// So many connections that write `request` for ever, come back when they are cut, and read if they are told to.
fn attack(address: SocketAddr, connections: usize, path: &'static str, reads: bool) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        tasks.spawn(async move {
            let requests = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").repeat(50);
            loop {
                let (mut read, mut write) = connect("127.0.0.2", address).await.into_split();
                let writing = async { while write.write_all(requests.as_bytes()).await.is_ok() {} };
                let reading = async {
                    let mut buffer = vec![0; 64 * 1024];
                    while reads && read.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
                    if !reads {
                        std::future::pending::<()>().await;
                    }
                };
                tokio::select! { () = writing => {} () = reading => {} }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }
    tasks
}

fn shed(bound: &str) -> bool {
    let mut page = Vec::new();
    shed::write(&mut page);
    String::from_utf8(page).unwrap().contains(&format!("khan_http_shed_total{{bound=\"{bound}\""))
}

/// Runs one attack at a time: two would measure each other.
fn alone(attack: impl AsyncFnOnce(SocketAddr) -> JoinSet<()>, check: impl FnOnce(&Target)) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let target = Target::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let tasks = runtime.block_on(attack(target.address));
    check(&target);
    drop(tasks);
}

#[test]
fn pipelined_dumps_on_every_connection_hold_up_no_probe() {
    alone(
        async |address| attack(address, 160, "/dump", true),
        |target| {
            let address = target.address;
            probe(target, "160 connections pipeline dumps");
            assert!(shed("dumps"), "nobody was refused");
            // And an honest peer's own dump is the next but one.
            let begun = Instant::now();
            assert!(answer(address, "/dump").ends_with(b"dumped"));
            assert!(begun.elapsed() < Duration::from_secs(3), "a dump took {:?}", begun.elapsed());
        },
    );
}

#[test]
fn pages_for_the_greedy_and_the_deaf_hold_up_neither_probes_nor_pages() {
    alone(
        async |address| {
            let mut all = attack(address, 128, "/page", false);
            let greedy = attack(address, 64, "/page", true);
            all.spawn(async move { drop(greedy.join_all().await) });
            all
        },
        |target| {
            let address = target.address;
            probe(target, "64 read pages and 128 do not");
            assert!(shed("connections"), "nobody made room");
            let begun = Instant::now();
            assert!(answer(address, "/page").len() > 100 * 64 * 1024);
            println!("a page of 6.4 MB took {:?}", begun.elapsed());
        },
    );
}
