//! The budget: the most memory that the whole agent ever took over tables of unique pairs, alone and with clients that ask
//! for snapshots and pages and do not read, and how long probes and scrapes took meanwhile.
//!
//! `cargo bench -p khan-agent --bench budget [-- ENTRIES...]`

#[allow(dead_code, reason = "each benchmark uses its part")]
mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use khan_lab::program::Running;
use khan_lab::{Host, Lab, until};
use socket2::{Domain, Protocol, Socket, Type};
use support::program::{self, IMAGE, SCANS, metric, status};
use support::tables::{Mix, UNIQUE, UNIQUE_SIX};

const PATIENCE: Duration = Duration::from_mins(5);
const READERS: usize = 128;
/// What clients ask for and do not read, one after the other.
const ASKED: [&str; 4] = [
    "GET /v1/snapshot HTTP/1.1\r\nhost: n1\r\n\r\n",
    "GET /v1/snapshot HTTP/1.1\r\nhost: n1\r\naccept-encoding: gzip\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nhost: n1\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nhost: n1\r\naccept-encoding: gzip\r\n\r\n",
];

fn main() -> anyhow::Result<()> {
    println!("the most resident memory of khan-agent in MiB, with the environment of the image; the budget is 64");
    println!("and how long the slowest answers took; the bounds are 0.1 s for /livez and 2 s for a scrape");
    println!(
        "{:>9}  {:<12}{:>9}{:>9}{:>9}{:>11}{:>11}",
        "entries", "", "readers", "idle", "most", "/livez", "/metrics"
    );
    for entries in support::sizes(&[1_000_000, 4_000_000]) {
        for mix in [UNIQUE, UNIQUE_SIX] {
            if let Err(why) = support::tables::fits(entries) {
                println!("{entries:>9}  {:<12}skipped: {why}", mix.name);
                continue;
            }
            for readers in [0, READERS] {
                measure(mix, entries, readers)?;
            }
        }
    }
    println!("each for four scans; readers come back when they are cut off");
    Ok(())
}

fn measure(mix: Mix, entries: u32, readers: usize) -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let node = mix.table(&lab, 0)?;
    let agent = program::start(&node, "1s", &IMAGE)?;
    let (address, idle) = (agent.address()?, status(&agent, "VmHWM:")?);
    mix.fill(&node, entries)?;
    let end = metric(&agent, SCANS)? + 5;
    let mut deaf = Vec::new();
    let (mut livez, mut scrape) = (Duration::ZERO, Duration::ZERO);
    until("scans", PATIENCE, || {
        deaf.retain(is_open);
        while deaf.len() < readers {
            deaf.push(ask(&node, address, ASKED[deaf.len() % ASKED.len()]).ok()?);
        }
        livez = node.enter(|| probe(address)).expect("/livez answers").max(livez);
        let (scans, took) = scraped(&agent);
        scrape = took.max(scrape);
        scans.is_ok_and(|scans| scans >= end).then_some(())
    })?;
    let most = status(&agent, "VmHWM:")?;
    let [livez, scrape] = [livez, scrape].map(|time| time.as_secs_f64());
    println!("{entries:>9}  {:<12}{readers:>9}{idle:>9.1}{most:>9.1}{livez:>9.3} s{scrape:>9.3} s", mix.name);
    Ok(())
}

/// How many scans a page tells of, and how long it took.
fn scraped(agent: &Running) -> (anyhow::Result<u64>, Duration) {
    let began = Instant::now();
    let scans = metric(agent, SCANS);
    (scans, began.elapsed())
}

/// How long `/livez` takes on a connection of its own, as the kubelet's are.
fn probe(agent: SocketAddr) -> std::io::Result<Duration> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(agent)?;
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: n1\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(began.elapsed())
}

fn ask(node: &Host, agent: SocketAddr, request: &str) -> std::io::Result<TcpStream> {
    node.enter(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_recv_buffer_size(4096)?;
        socket.connect_timeout(&agent.into(), Duration::from_secs(20))?;
        let mut stream = TcpStream::from(socket);
        stream.write_all(request.as_bytes())?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    })
}

/// Whether the agent has not closed it: what it sent stays unread.
fn is_open(stream: &TcpStream) -> bool {
    match stream.peek(&mut [0]) {
        Ok(0) => false,
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}
