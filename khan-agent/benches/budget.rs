//! The budget: the most memory that the whole agent ever took over tables of unique pairs, alone and with clients that ask
//! for snapshots and pages and do not read, and how long a scrape took meanwhile.
//!
//! `cargo bench -p khan-agent --bench budget [-- ENTRIES...]`

#[allow(dead_code, reason = "each benchmark uses its part")]
mod support;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use khan_lab::{Host, Lab, Program, until};
use socket2::{Domain, Protocol, Socket, Type};
use support::program::{IMAGE, metric, status};
use support::tables::{Mix, UNIQUE, UNIQUE_SIX};

const PATIENCE: Duration = Duration::from_mins(5);
const READERS: usize = 128;
const SCANS: &str = "khan_agent_scans_total{result=\"success\"} ";
/// What clients ask for and do not read, one after the other.
const ASKED: [&str; 4] = [
    "GET /v1/snapshot HTTP/1.1\r\nhost: n1\r\n\r\n",
    "GET /v1/snapshot HTTP/1.1\r\nhost: n1\r\naccept-encoding: gzip\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nhost: n1\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nhost: n1\r\naccept-encoding: gzip\r\n\r\n",
];

fn main() -> anyhow::Result<()> {
    println!("the most resident memory of khan-agent in MiB, with the environment of the image; the budget is 64");
    println!("{:>9}  {:<12}{:>9}{:>9}{:>9}{:>16}", "entries", "", "readers", "idle", "most", "slowest scrape");
    for entries in support::sizes(&[1_000_000, 4_000_000]) {
        for mix in [UNIQUE, UNIQUE_SIX] {
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
    let mut program = Program::workspace("khan-agent")?
        .args(["--node-name", "n1", "--listen", "127.0.0.1:0", "--interval", "1s", "--max-scan-cpu", "100"])
        .inside(&node);
    for (variable, value) in IMAGE {
        program = program.env(variable, value);
    }
    let agent = program.start()?;
    agent.get_when_ready("/readyz")?;
    let idle = status(&agent, "VmHWM:")?;
    mix.fill(&node, entries)?;
    let end = metric(&agent, SCANS)? + 5;
    let mut deaf = Vec::new();
    let mut slowest = Duration::ZERO;
    until("scans", PATIENCE, || {
        deaf.retain(is_open);
        while deaf.len() < readers {
            deaf.push(ask(&node, agent.address().ok()?, ASKED[deaf.len() % ASKED.len()]).ok()?);
        }
        let began = Instant::now();
        let scans = metric(&agent, SCANS);
        slowest = began.elapsed().max(slowest);
        scans.is_ok_and(|scans| scans >= end).then_some(())
    })?;
    let most = status(&agent, "VmHWM:")?;
    let slowest = slowest.as_secs_f64();
    println!("{entries:>9}  {:<12}{readers:>9}{idle:>9.1}{most:>9.1}{slowest:>14.2} s", mix.name);
    Ok(())
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
