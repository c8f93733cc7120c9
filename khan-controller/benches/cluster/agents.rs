//! Agents that ask for 3,000 addresses each, every one over its own connection.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use crate::generate::{Sizes, pod_ip, service_ip};

pub(crate) const ADDRESSES: usize = 3000;
pub(crate) const PERIOD: Duration = Duration::from_secs(30);

/// What a phase measured.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) latencies: Vec<Duration>,
    pub(crate) bytes: u64,
    pub(crate) identities: u64,
    pub(crate) failures: u64,
}

impl Measured {
    pub(crate) fn percentile(&mut self, percent: usize) -> Duration {
        self.latencies.sort_unstable();
        self.latencies.get(self.latencies.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
    }
}

/// One agent: mostly pods spread over the cluster, some services.
pub(crate) struct Agent {
    number: usize,
    sizes: Sizes,
    cursor: String,
    stream: Option<TcpStream>,
}

impl Agent {
    pub(crate) fn new(number: usize, sizes: Sizes) -> Self {
        Self { number, sizes, cursor: "null".into(), stream: None }
    }

    pub(crate) fn forget(&mut self) {
        self.cursor = "null".into();
        self.stream = None;
    }

    fn body(&self) -> String {
        let mut body = String::with_capacity(ADDRESSES * 17);
        let _ = write!(body, "{{\"cursor\":{},\"ips\":[", self.cursor);
        let mut random = (self.number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for n in 0..ADDRESSES {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let pick = usize::try_from(random >> 16).unwrap();
            let comma = if n == 0 { "" } else { "," };
            let ip = if n % 10 == 0 { service_ip(pick % self.sizes.services) } else { pod_ip(pick % self.sizes.pods) };
            let _ = write!(body, "{comma}\"{ip}\"");
        }
        body.push_str("]}");
        body
    }

    /// Asks once, over the connection it has or a new one.
    pub(crate) async fn ask(&mut self, address: SocketAddr, measured: &Mutex<Measured>) {
        let body = self.body();
        let request = format!("POST /v1/resolve HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let begun = Instant::now();
        let answer = self.exchange(address, request.as_bytes()).await;
        let mut measured = measured.lock().unwrap();
        if let Ok((bytes, identities)) = answer {
            measured.latencies.push(begun.elapsed());
            measured.bytes += bytes as u64;
            measured.identities += identities as u64;
        } else {
            self.stream = None;
            measured.failures += 1;
        }
    }

    async fn exchange(&mut self, address: SocketAddr, request: &[u8]) -> std::io::Result<(usize, usize)> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => self.stream.insert(TcpStream::connect(address).await?),
        };
        stream.write_all(request).await?;
        let mut answer = Vec::with_capacity(8 * 1024);
        let mut whole = None;
        let mut chunked = false;
        loop {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if whole.is_none() && !chunked {
                let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
                let text = String::from_utf8_lossy(&answer[..head]).to_lowercase();
                if !text.starts_with("http/1.1 200") {
                    return Err(std::io::Error::other(text));
                }
                match text.lines().find_map(|line| line.strip_prefix("content-length: ")) {
                    Some(length) => whole = Some(head + 4 + length.parse::<usize>().unwrap()),
                    None => chunked = true,
                }
            }
            if whole.is_some_and(|whole| answer.len() >= whole) || (chunked && answer.ends_with(b"\r\n0\r\n\r\n")) {
                break;
            }
        }
        let text = String::from_utf8_lossy(&answer);
        let start = text.find("\"cursor\":").expect("a cursor") + 9;
        self.cursor = text[start..].split_inclusive('"').take(2).collect();
        Ok((answer.len(), text.matches("\"previous\"").count()))
    }
}

/// Every agent asks once a period, each at its own moment, for so many periods.
pub(crate) async fn steady(agents: &mut [Agent], address: SocketAddr, periods: u32) -> Measured {
    let (count, begun) = (agents.len(), Instant::now());
    let measured = Arc::new(Mutex::new(Measured::default()));
    futures::future::join_all(agents.iter_mut().enumerate().map(|(position, agent)| {
        let measured = Arc::clone(&measured);
        async move {
            let offset = PERIOD.mul_f64(position as f64 / count as f64);
            for period in 0..periods {
                sleep_until(begun + offset + PERIOD * period).await;
                agent.ask(address, &measured).await;
            }
        }
    }))
    .await;
    Arc::into_inner(measured).unwrap().into_inner().unwrap()
}

/// Every agent asks at once.
pub(crate) async fn storm(agents: &mut [Agent], address: SocketAddr) -> Measured {
    let measured = Mutex::new(Measured::default());
    futures::future::join_all(agents.iter_mut().map(|agent| agent.ask(address, &measured))).await;
    measured.into_inner().unwrap()
}
