//! The kubelet's probes and Prometheus' scrapes while others take all that they can get from the same agent.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use khan_lab::answer_times::{AnswerTimes, ServingThread};
use khan_lab::program::Running;
use khan_lab::{Host, Lab, Result, Seed};
use socket2::{Domain, Protocol, Socket, Type};

use crate::page::number;
use crate::pipeline::Attack;
use crate::support::agent;

/// Attackers keep on for so long.
const SPAN: Duration = Duration::from_secs(4);
const CONNECTIONS: usize = 128;

/// The promise of DESIGN.md.
const PROBE: Duration = Duration::from_millis(100);
const SCRAPE: Duration = Duration::from_secs(2);
/// What the slowest answer may take by the clock, other threads' work included. It says more of the machine than of the agent,
/// but it has to be less than what the kubelet (`timeoutSeconds: 5`) and Prometheus (`scrape_timeout`, 10 s) wait for.
const WORST_PROBE: Duration = Duration::from_secs(4);
const WORST_SCRAPE: Duration = Duration::from_secs(9);

/// 10,000 unique pairs make a snapshot and a page of megabytes, and with 50,000 more entries a dump takes tens of
/// milliseconds.
fn table(lab: &Lab) -> Result<Host> {
    let node = lab.host("node")?;
    let unique = |n: u32| Seed::tcp((Ipv4Addr::from_bits(0x0a00_0000 + n), 40_000), ([11, 0, 0, 1], 443));
    let shared = |n: u32| {
        let port = 20_000 + u16::try_from(n % 1000).expect("a port");
        Seed::tcp((Ipv4Addr::from_bits(0x0b00_0000 + n / 1000), port), ([11, 0, 0, 2], 80))
    };
    node.seed((0..10_000).map(unique).chain((0..50_000).map(shared)))?;
    Ok(node)
}

/// The kubelet's address, from which the attackers come, too: they are on the node's network as it is.
const KUBELET: [u8; 4] = [127, 0, 0, 1];
const PROMETHEUS: [u8; 4] = [127, 0, 0, 2];

/// Asks on a connection of its own, as the kubelet does.
fn ask(from: [u8; 4], agent: SocketAddr, path: &str) -> Vec<u8> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
    socket.bind(&SocketAddr::from((from, 0)).into()).expect("an address of this host");
    socket.connect_timeout(&agent.into(), WORST_SCRAPE).expect("every connection is accepted");
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(WORST_SCRAPE)).expect("not zero");
    let request = format!("GET {path} HTTP/1.1\r\nhost: n1\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("taken");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap_or_else(|error| panic!("no whole answer to {path}: {error}"));
    let status = String::from_utf8_lossy(answer.get(..12).unwrap_or_default()).into_owned();
    assert_eq!(status, "HTTP/1.1 200", "{path}");
    answer
}

/// Probes and scrapes while others attack. The last page that was scraped.
fn measure(node: &Host, agent: &Running, attack: Attack, name: &str) -> Result<String> {
    let (address, server) = (agent.address()?, ServingThread::main_of(agent.pid()));
    let (mut livez, mut readyz, mut metrics) = (AnswerTimes::default(), AnswerTimes::default(), AnswerTimes::default());
    let mut page = Vec::new();
    let probe = || {
        let end = Instant::now() + SPAN;
        let goes_on = || Instant::now() < end;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while goes_on() || metrics.count() < 3 {
                    page = metrics.take(&server, || ask(PROMETHEUS, address, "/metrics"));
                }
            });
            while goes_on() || livez.count() < 20 {
                livez.take(&server, || ask(KUBELET, address, "/livez"));
                readyz.take(&server, || ask(KUBELET, address, "/readyz"));
            }
        });
    };
    node.enter(|| attack.during(address, probe));
    livez.check(&format!("{name}: /livez"), PROBE, WORST_PROBE);
    readyz.check(&format!("{name}: /readyz"), PROBE, WORST_PROBE);
    metrics.check(&format!("{name}: /metrics"), SCRAPE, WORST_SCRAPE);
    Ok(String::from_utf8_lossy(&page).into_owned())
}

#[test]
fn pipelined_dumps_hold_up_neither_probes_nor_scrapes() -> Result {
    let lab = Lab::new()?;
    let node = table(&lab)?;
    let attack = Attack { paths: &["/v1/connections"], connections: CONNECTIONS, read: true };
    // With the default share nearly all are refused; with the whole CPU one dump follows the other.
    for share in ["5", "100"] {
        let agent = agent(&node, &["--interval", "1s", "--max-scan-cpu", share])?;
        agent.get_when_ready("/readyz")?;
        let page = measure(&node, &agent, attack, &format!("pipelined dumps, {share} % of a CPU"))?;
        let scans = number(&page, "khan_agent_scans_total{result=\"success\"}");
        assert!(scans.is_some_and(|scans| scans >= 1.0), "{scans:?} scans");
    }
    Ok(())
}

#[test]
fn readers_that_never_read_hold_up_neither_probes_nor_scrapes() -> Result {
    let lab = Lab::new()?;
    let node = table(&lab)?;
    let agent = agent(&node, &["--interval", "1s", "--max-scan-cpu", "100"])?;
    agent.get_when_ready("/readyz")?;
    let attack = Attack { paths: &["/v1/snapshot", "/metrics"], connections: CONNECTIONS, read: false };
    let page = measure(&node, &agent, attack, "readers that never read")?;
    let cut = number(&page, "khan_http_shed_total{bound=\"connections\",how=\"cut\"}");
    assert!(cut.is_some_and(|cut| cut > 0.0), "nobody made room for probes: {cut:?}");
    Ok(())
}
