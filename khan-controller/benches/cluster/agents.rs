//! Agents that ask for 3,000 addresses each, every one from its own address and over its own connection, which it keeps as
//! the real agent does.

use std::fmt::Write;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep_until};

use crate::generate::{Sizes, pod_ip, service_ip};

pub(crate) const ADDRESSES: usize = 3000;
pub(crate) const PERIOD: Duration = Duration::from_secs(30);

/// What a phase measured.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    // Sorted in the end.
    latencies: Vec<Duration>,
    pub(crate) bytes: u64,
    pub(crate) identities: usize,
    pub(crate) failures: u64,
}

impl Measured {
    fn finished(measured: Mutex<Self>) -> Self {
        let mut this = measured.into_inner().unwrap();
        this.latencies.sort_unstable();
        this
    }

    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        self.latencies.get(self.latencies.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
    }

    pub(crate) fn answers(&self) -> usize {
        self.latencies.len()
    }

    /// Answers that took longer than `patience`.
    pub(crate) fn later_than(&self, patience: Duration) -> usize {
        self.latencies.iter().filter(|latency| **latency > patience).count()
    }
}

/// One agent: mostly pods spread over the cluster, some services.
pub(crate) struct Agent {
    /// In 127.1.0.0/16: to the controller every agent is a peer of its own, as in a cluster.
    from: Ipv4Addr,
    cursor: String,
    /// All of the request's body behind the cursor, made before anything is measured.
    addresses: String,
    stream: Option<TcpStream>,
}

impl Agent {
    pub(crate) fn new(number: usize, sizes: Sizes) -> Self {
        let mut addresses = String::with_capacity(ADDRESSES * 17);
        addresses.push_str(",\"ips\":[");
        let mut random = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for n in 0..ADDRESSES {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let pick = usize::try_from(random >> 16).unwrap();
            let comma = if n == 0 { "" } else { "," };
            let ip = if n % 10 == 0 { service_ip(pick % sizes.services) } else { pod_ip(pick % sizes.pods) };
            let _ = write!(addresses, "{comma}\"{ip}\"");
        }
        addresses.push_str("]}");
        let from = Ipv4Addr::from_bits(0x7f01_0001 + u32::try_from(number).unwrap());
        Self { from, cursor: "null".into(), addresses, stream: None }
    }

    /// As after its start.
    pub(crate) fn forget(&mut self) {
        self.cursor = "null".into();
        self.stream = None;
    }

    /// Asks once, over the connection it has or a new one.
    async fn ask(&mut self, address: SocketAddr, measured: &Mutex<Measured>) {
        let begun = Instant::now();
        let answer = self.exchange(address).await;
        let mut measured = measured.lock().unwrap();
        match answer {
            Ok((cursor, bytes, identities)) => {
                self.cursor = cursor;
                measured.latencies.push(begun.elapsed());
                measured.bytes += bytes as u64;
                measured.identities += identities;
            }
            Err(error) => {
                if measured.failures == 0 {
                    println!("  an agent: {error}");
                }
                self.stream = None;
                measured.failures += 1;
            }
        }
    }

    /// Gives the cursor, the length of the answer, and the identities in it when it came in one piece.
    async fn exchange(&mut self, address: SocketAddr) -> io::Result<(String, usize, usize)> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => self.stream.insert(connect(self.from, address).await?),
        };
        let (cursor, addresses) = (&self.cursor, &self.addresses);
        let length = "{\"cursor\":".len() + cursor.len() + addresses.len();
        let request = format!(
            "POST /v1/resolve HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{{\"cursor\":{cursor}{addresses}"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::with_capacity(64 * 1024);
        let (head, length) = loop {
            read_some(stream, &mut answer).await?;
            if let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
                break (head + 4, length_of(&answer[..head])?);
            }
        };
        let Some(length) = length else {
            return read_chunks(stream, answer).await.map(|(cursor, bytes)| (cursor, bytes, 0));
        };
        while answer.len() < head + length {
            read_some(stream, &mut answer).await?;
        }
        let text = String::from_utf8_lossy(&answer[head..]);
        Ok((cursor_of(&text), length, text.matches("\"previous\"").count()))
    }
}

async fn connect(from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}

async fn read_some(stream: &mut TcpStream, answer: &mut Vec<u8>) -> io::Result<()> {
    if stream.read_buf(answer).await? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// The length of the body; `None` when it comes in chunks.
fn length_of(head: &[u8]) -> io::Result<Option<usize>> {
    let head = String::from_utf8_lossy(head).to_lowercase();
    if !head.starts_with("http/1.1 200") {
        return Err(io::Error::other(head));
    }
    Ok(head.lines().find_map(|line| line.strip_prefix("content-length: ")).map(|length| length.parse().unwrap()))
}

/// Reads to the last chunk, holding only the beginning and the end.
async fn read_chunks(stream: &mut TcpStream, mut answer: Vec<u8>) -> io::Result<(String, usize)> {
    const END: &[u8] = b"\r\n0\r\n\r\n";
    while !String::from_utf8_lossy(&answer).contains("\"identities\"") {
        read_some(stream, &mut answer).await?;
    }
    let cursor = cursor_of(&String::from_utf8_lossy(&answer[..1024.min(answer.len())]));
    let mut bytes = answer.len();
    while !answer.ends_with(END) {
        let rest = answer.len().saturating_sub(END.len());
        answer.drain(..rest);
        let before = answer.len();
        read_some(stream, &mut answer).await?;
        bytes += answer.len() - before;
    }
    Ok((cursor, bytes))
}

/// The cursor with its quotes.
fn cursor_of(answer: &str) -> String {
    let start = answer.find("\"cursor\":").expect("a cursor") + "\"cursor\":".len();
    answer[start..].split_inclusive('"').take(2).collect()
}

/// Every agent asks once a period, each at its own moment, for so many periods.
pub(crate) async fn steady(agents: &mut [Agent], address: SocketAddr, periods: u32) -> Measured {
    let (count, begun) = (agents.len(), Instant::now());
    let measured = Mutex::new(Measured::default());
    futures::future::join_all(agents.iter_mut().enumerate().map(|(position, agent)| {
        let measured = &measured;
        async move {
            let offset = PERIOD.mul_f64(position as f64 / count as f64);
            for period in 0..periods {
                sleep_until(begun + offset + PERIOD * period).await;
                agent.ask(address, measured).await;
            }
        }
    }))
    .await;
    Measured::finished(measured)
}

/// Every agent asks at once.
pub(crate) async fn storm(agents: &mut [Agent], address: SocketAddr) -> Measured {
    let measured = Mutex::new(Measured::default());
    futures::future::join_all(agents.iter_mut().map(|agent| agent.ask(address, &measured))).await;
    Measured::finished(measured)
}
