//! `khan top` in a real terminal, measured from outside: how long after the agent's first answer the first frame is there,
//! and what a minute of idling on 4,000 rows costs. Fails above 300 ms, 1 % of a core or 1 KB/s when optimised.

#[path = "../tests/screen/session.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod session;
#[path = "../tests/screen/shop.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod shop;

use std::time::Duration;

use session::{Server, Session, many};

const ROWS: u64 = 4_000;
const STARTS: usize = 9;

fn main() {
    let strict = !cfg!(debug_assertions);
    let mut frames: Vec<Duration> = (0..STARTS)
        .map(|_| {
            let (_session, _server, frame) = started();
            frame
        })
        .collect();
    frames.sort();
    let (median, worst) = (frames[STARTS / 2], frames[STARTS - 1]);
    println!("first frame of {ROWS} rows after the first answer: median {median:?}, worst of {STARTS} {worst:?}");
    assert!(!strict || median < Duration::from_millis(300), "the first frame takes {median:?}");
    let (mut session, _server, _) = started();
    session.watch(Duration::from_secs(3));
    let (cpu, written) = session.idle(Duration::from_mins(1));
    println!("idle for 60 s on {ROWS} rows: {:.2} % of a core, {written:.0} bytes/s to the terminal", cpu * 100.0);
    assert!(!strict || (cpu < 0.01 && written < 1024.0), "idling costs too much");
}

/// A session whose first frame is there, and how long after the first answer that was.
fn started() -> (Session, Server, Duration) {
    let server = Server::start(many(ROWS));
    let mut session = Session::top(&server, &[], (120, 40));
    session.wait("the first row", |text| text.contains("app-3999"));
    let frame = server.since_answer();
    (session, server, frame)
}
