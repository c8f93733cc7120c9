//! Scrapers that idle, trickle, or never read take down neither the scans nor the scrapes of others.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use khan_lab::{Host, Lab, Program, Result, Seed, until};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::page::number;

const PATIENCE: Duration = Duration::from_mins(2);
const SERIES: u32 = 20_000;
const IDLE: usize = 1000;
const TRICKLING: usize = 100;
const DEAF: usize = 150;

/// Connections from inside the host; the kernel takes them whether or not the agent has accepted them yet.
fn connect(host: &Host, agent: SocketAddr, count: usize) -> Vec<TcpStream> {
    let one = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_recv_buffer_size(4096)?;
        socket.connect_timeout(&agent.into(), Duration::from_secs(20))?;
        Ok::<TcpStream, std::io::Error>(socket.into())
    };
    host.enter(|| (0..count).map(|_| one().expect("a connection")).collect())
}

#[test]
fn a_page_is_served_among_a_thousand_who_only_hold_connections() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    let client = |n: u32| std::net::Ipv4Addr::from_bits(0x0a00_0000 + n);
    node.seed((0..SERIES).map(|n| Seed::tcp((client(n), 40_000), ([11, 0, 0, 1], 80))))?;
    let arguments = ["--node-name", "n1", "--listen", "127.0.0.1:0", "--interval", "1s", "--max-scan-cpu", "100"];
    let agent =
        Program::workspace("khan-agent")?.args(arguments).args(["--max-series", "50000"]).inside(&node).start()?;
    agent.get_when_ready("/readyz")?;
    let address = agent.address()?;
    let scans = |page: &str| number(page, "khan_agent_scans_total{result=\"success\"}").expect("on every page");
    let before = scans(&agent.get("/metrics")?.body);

    let idle = connect(&node, address, IDLE);
    let mut deaf = connect(&node, address, DEAF);
    for stream in &mut deaf {
        assert!(SockRef::from(&*stream).recv_buffer_size().expect("a size") < 64 * 1024);
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: n1\r\n\r\n").expect("the request fits the socket's buffer");
    }
    let mut trickling = connect(&node, address, TRICKLING);
    let (stop, stopped) = mpsc::channel::<()>();
    let page = std::thread::scope(|scope| {
        scope.spawn(move || {
            // One byte a second, until the agent closes or the test is over.
            for byte in b"GET /metrics HTTP/1.1\r\nx-slow: ".iter().chain(std::iter::repeat(&b'x')) {
                trickling.retain_mut(|stream| stream.write_all(&[*byte]).is_ok());
                if stopped.recv_timeout(Duration::from_secs(1)) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        // A scraper that tries again at each period, as Prometheus does.
        let page = until("a whole page after three scans", PATIENCE, || {
            let page = node.get(&format!("http://{address}/metrics")).ok()?.body;
            assert!(page.ends_with('\n'), "cut off after {} bytes", page.len());
            (scans(&page) >= before + 3.0).then_some(page)
        });
        drop(stop);
        page
    })?;
    assert_eq!(page.lines().filter(|line| line.starts_with("khan_connection{")).count() as u64, u64::from(SERIES));
    // Those who asked for nothing made room for others.
    let closed = idle.iter().filter(|stream| stream.set_nonblocking(true).is_ok() && ended(stream)).count();
    assert!(closed >= IDLE - 128, "{closed} of {IDLE} idle connections were closed");
    Ok(())
}

fn ended(mut stream: &TcpStream) -> bool {
    match stream.read(&mut [0; 64]) {
        Ok(bytes) => bytes == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}
