//! Dump and fold against the raw drain of the same table, and user space alone on replayed datagrams.
//!
//! `cargo bench -p khan-agent --bench scan [-- ENTRIES...]`: fills its own namespace's table through ctnetlink, prints
//! ratios of CPU time taken in turns. Needs root or a user namespace, and `nf_conntrack_max` above the number of entries
//! (raised for the run and restored where this process may).

use std::fmt::Write as _;
use std::hint::black_box;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use khan_agent::conntrack::link::{Kernel, Link};
use khan_agent::conntrack::sysctl::Buckets;
use khan_agent::conntrack::{Dump, request};
use khan_agent::table::{Settings, Table};
use khan_lab::{Host, Lab, Seed};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

const LIMIT: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
const ROUNDS: usize = 7;

fn main() -> Outcome {
    let sizes: Vec<u32> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![10_000, 100_000, 1_000_000] } else { sizes };
    let lab = Lab::new()?;
    let _limit = Limit::at_least(1_100_000);
    println!("CPU time, medians of {ROUNDS} rounds taken in turns; {}", kernel());
    println!(
        "table                        raw drain   scan/raw  conntrack -L/raw  scan/conntrack -L  user ns/entry  rows"
    );
    for size in sizes {
        for (name, seed) in [("usual", usual as fn(u32, u32) -> Seed), ("unique", unique), ("IPv6", six)] {
            // What differs from the usual is measured once, where caches no longer help.
            if name != "usual" && size != 100_000 {
                continue;
            }
            let node = lab.host("node")?;
            node.seed((0..size).map(|n| seed(n, size)))?;
            println!("{}", measure(&node, name, size)?);
        }
    }
    Ok(())
}

fn measure(node: &Host, name: &str, size: u32) -> Outcome<String> {
    let mut table = Table::new(Settings::default());
    let mut dump = Dump::default();
    let replay = node.enter(record)?;
    let buckets = Buckets::open();
    let (mut raw, mut scan, mut user, mut list) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        raw.push(node.enter(|| cpu(|| drain(&mut Kernel::open()?, |_| {})))?);
        scan.push(node.enter(|| {
            cpu(|| dump.run(Kernel::open, || buckets.read(), &mut table).map(drop).map_err(io::Error::other))
        })?);
        user.push(cpu(|| dump.run(|| Ok(replay.link()), || None, &mut table).map(drop).map_err(io::Error::other))?);
        if list.len() < 3 {
            list.push(node.enter(conntrack)?);
        }
    }
    let empty = replay.copy_cost()?;
    let (raw, scan, list) = (median(raw), median(scan), median(list));
    let user = median(user).saturating_sub(empty);
    let rows = table.v4().len() + table.v6().len();
    let mut line = String::new();
    write!(
        line,
        "{size:>9} {name:<8} {raw:>18.1?} {:>9.3} {:>16.2} {:>18.2} {:>14.1} {rows:>9}",
        ratio(scan, raw),
        ratio(list, raw),
        ratio(scan, list),
        user.as_secs_f64() * 1e9 / f64::from(size),
    )?;
    Ok(line)
}

/// Service flows behind destination NAT, direct ones and masqueraded ones, a tenth of them UDP; twelve connections a pair,
/// so that a million make 80,000 pairs.
fn usual(n: u32, size: u32) -> Seed {
    let pairs = size * 8 / 100;
    let (pair, turn) = (n % pairs, n / pairs);
    let [_, high, middle, low] = pair.to_be_bytes();
    // A pair's connections differ in the client's port only.
    let port = u16::try_from(1024 + turn).unwrap_or(u16::MAX);
    let client = ([10, 1 + high, middle, low], port);
    let backend = [10, 100, middle, low % 16];
    let seed = match pair % 10 {
        0 => Seed::udp(client, ([10, 96, 0, 10], 53)).backend((backend, 53)),
        1..=5 => Seed::tcp(client, ([10, 96, 1, low % 50], 443)).backend((backend, 8443)),
        6..=7 => Seed::tcp(client, ([203, 0, 113, low % 16], 443)).masqueraded_as(([10, 20 + high, middle, low], port)),
        _ => Seed::tcp(client, (backend, 5432)),
    };
    seed.timeout(86_000)
}

/// Every pair differs.
fn unique(n: u32, _: u32) -> Seed {
    let [_, a, b, c] = n.to_be_bytes();
    Seed::tcp(([10, a, b, c], 40_000), ([192, 168, c, b], 80)).timeout(86_000)
}

fn six(n: u32, _: u32) -> Seed {
    let address = |net: u16, host: u32| {
        IpAddr::V6(Ipv6Addr::from_bits((0xfd00_u128 << 112) | (u128::from(net) << 64) | u128::from(host)))
    };
    let port = u16::try_from(1024 + n / 16 % 60_000).unwrap_or(1024);
    let server = SocketAddr::new(address(2, n % 16), 443);
    Seed::tcp(SocketAddr::new(address(1, n % 5000), port), server).timeout(86_000)
}

/// Receives until the dump is done, and looks at nothing but the end of each datagram.
fn drain(link: &mut Kernel, mut see: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    link.send(&request::dump(1))?;
    loop {
        let len = link.receive(&mut buffer)?;
        see(&buffer[..len]);
        // NLMSG_DONE comes in a datagram of its own, or last in one.
        let kind = |at: usize| u16::from_ne_bytes([buffer[at + 4], buffer[at + 5]]);
        if kind(0) == 3 || len >= 20 && kind(len - 20) == 3 {
            return Ok(());
        }
    }
}

/// A dump's datagrams, to be given out again.
struct Replay(Vec<Vec<u8>>);

fn record() -> io::Result<Replay> {
    let mut datagrams = Vec::new();
    drain(&mut Kernel::open()?, |datagram| datagrams.push(datagram.to_vec()))?;
    Ok(Replay(datagrams))
}

impl Replay {
    fn link(&self) -> Replayed<'_> {
        Replayed { datagrams: self.0.iter(), sequence: 0 }
    }

    /// What giving them out costs by itself.
    fn copy_cost(&self) -> io::Result<Duration> {
        let mut buffer = vec![0; 64 * 1024];
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(cpu(|| {
                let mut link = self.link();
                link.send(&request::dump(1))?;
                for _ in &self.0 {
                    black_box(link.receive(&mut buffer)?);
                }
                Ok(())
            })?);
        }
        Ok(median(rounds))
    }
}

struct Replayed<'a> {
    datagrams: std::slice::Iter<'a, Vec<u8>>,
    sequence: u32,
}

impl Link for Replayed<'_> {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.sequence = u32::from_ne_bytes([request[8], request[9], request[10], request[11]]);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let datagram = self.datagrams.next().ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer[..datagram.len()].copy_from_slice(datagram);
        let mut at = 0;
        while at + 16 <= datagram.len() {
            let len = u32::from_ne_bytes([datagram[at], datagram[at + 1], datagram[at + 2], datagram[at + 3]]) as usize;
            buffer[at + 8..at + 12].copy_from_slice(&self.sequence.to_ne_bytes());
            at += len.max(16).next_multiple_of(4);
        }
        Ok(datagram.len())
    }
}

/// `conntrack -L`, its output thrown away.
fn conntrack() -> io::Result<Duration> {
    let before = children();
    let status = Command::new("conntrack").arg("-L").stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if !status.success() {
        return Err(io::Error::other("conntrack -L failed"));
    }
    Ok(children().saturating_sub(before))
}

fn children() -> Duration {
    // Children that have been waited for, and their threads.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = [13, 14].iter().filter_map(|n| fields.get(*n)?.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// CPU time of the calling thread, user and kernel.
fn cpu(work: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
    };
    let before = now();
    work()?;
    Ok(now().saturating_sub(before))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

fn kernel() -> String {
    let name = rustix::system::uname();
    format!(
        "Linux {}, {} CPUs",
        name.release().to_string_lossy(),
        std::thread::available_parallelism().map_or(1, usize::from)
    )
}

/// Raises `nf_conntrack_max` for as long as it lives; only the machine's own network namespace may.
struct Limit(Option<String>);

impl Limit {
    fn at_least(entries: u64) -> Self {
        let before = std::fs::read_to_string(LIMIT).unwrap_or_default().trim().to_owned();
        let enough = before.parse::<u64>().is_ok_and(|limit| limit >= entries);
        let raised = !enough && std::fs::write(LIMIT, entries.to_string()).is_ok();
        Self(raised.then_some(before))
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = std::fs::write(LIMIT, before);
        }
    }
}
