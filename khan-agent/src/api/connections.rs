//! `GET /v1/connections`: single connections, read from the kernel on demand and filtered here.
//!
//! One thread makes one dump after the other. A request gets a turn from the budget of all readings or is told at once
//! when to come back; what its dump cost is charged where the dump was made, whoever hangs up meanwhile, and a dump for
//! which nobody waits any more is broken off.

use std::collections::BinaryHeap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use khan_api::{Cidr, Connection, ConnectionSample, Protocol, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Api;
use crate::budget::{Budget, Spent, Turn};
use crate::flows::{Details, Dump, DumpError, Flow, NodeTables, Sink};
use crate::identities::{Identities, Translations};
use crate::scan::timed;
use crate::table::{Dedup, Seeds, state};

const DEFAULT_LIMIT: usize = 50;
const LARGEST_LIMIT: usize = 1000;
/// How long a request waits for its turn: with the dump and the way, less than the 5 s for which `khan` waits.
const PATIENCE: Duration = Duration::from_secs(3);
/// Requests that wait, are served or are being read. An answer has up to 350 kB.
const AT_ONCE: usize = 32;
/// How much of an answer is handed over at a time.
const CHUNK: usize = 16 * 1024;

/// Makes one dump at a time.
#[derive(Debug)]
pub(super) struct Sampler {
    budget: Arc<Budget>,
    at_once: Arc<Semaphore>,
    jobs: mpsc::Sender<Job>,
}

/// A dump that somebody waits for.
#[derive(Debug)]
struct Job {
    filter: Filter,
    turn: Turn,
    answer: oneshot::Sender<Result<Bytes, (StatusCode, String)>>,
}

impl Sampler {
    /// Starts the thread, which ends when the sampler is dropped.
    pub(super) fn new(api: &Api) -> io::Result<Self> {
        let (jobs, asked) = mpsc::channel::<Job>();
        let (node, identities) = (api.origin.node.clone(), Arc::clone(&api.identities));
        let mut dump = Dump::new(NodeTables::new(api.tables.clone()));
        thread::Builder::new().name("connections".to_owned()).spawn(move || {
            for Job { filter, turn, answer } in asked {
                if answer.is_closed() {
                    continue;
                }
                let translations = identities.lock().unwrap_or_else(PoisonError::into_inner).translations();
                let ((outcome, whole), cpu) = timed(|| {
                    let waited_for = || !answer.is_closed();
                    let mut sample = sample_while(&mut dump, node.clone(), filter, translations, waited_for);
                    if let Ok(sample) = &mut sample {
                        name_previous(sample, &identities.lock().unwrap_or_else(PoisonError::into_inner));
                    }
                    let whole = sample.is_ok();
                    (encoded(sample), whole)
                });
                turn.settle(Spent { cpu, whole });
                // Whoever asked may be gone.
                let _ = answer.send(outcome);
            }
        })?;
        Ok(Self { budget: Arc::clone(&api.budget), at_once: Arc::new(Semaphore::new(AT_ONCE)), jobs })
    }
}

pub(super) async fn answer(State(sampler): State<Arc<Sampler>>, RawQuery(query): RawQuery) -> Response {
    let filter = match Filter::parse(query.as_deref().unwrap_or_default()) {
        Ok(filter) => filter,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let Ok(permit) = Arc::clone(&sampler.at_once).try_acquire_owned() else {
        return busy(Duration::from_secs(1), "too many requests for single connections are being served");
    };
    let turn = match sampler.budget.turn(PATIENCE) {
        Ok(turn) => turn,
        Err(wait) => return busy(wait, "reading the table has used its share of the CPU (--max-scan-cpu)"),
    };
    // Hanging up here gives the turn back.
    tokio::time::sleep_until(turn.begins().into()).await;
    let (answer, answered) = oneshot::channel();
    // Without the thread the channel of the answer is closed, too.
    let _ = sampler.jobs.send(Job { filter, turn, answer });
    match answered.await {
        Ok(Ok(json)) => {
            let headers = [(CONTENT_TYPE, "application/json".to_owned()), (CONTENT_LENGTH, json.len().to_string())];
            (headers, held(json, permit)).into_response()
        }
        Ok(Err((status, text))) => (status, text).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the table could not be read\n").into_response(),
    }
}

/// Says of each listed connection whose it was, where that is not who has the address now.
fn name_previous(sample: &mut ConnectionSample, identities: &Identities) {
    for connection in &mut sample.connections {
        let addresses = [connection.src, connection.dst, connection.reply_src].map(Into::into);
        let previous = identities.previous(addresses, connection.idle_seconds, sample.taken);
        connection.previous = previous.iter().map(|endpoint| endpoint.to_api().into()).collect();
    }
}

fn busy(wait: Duration, why: &str) -> Response {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let again = [(RETRY_AFTER, seconds.to_string())];
    (StatusCode::TOO_MANY_REQUESTS, again, format!("{why}; try again in {seconds} s\n")).into_response()
}

/// A body that counts as being read until its end.
fn held(json: Bytes, permit: OwnedSemaphorePermit) -> Body {
    let mut rest = json;
    Body::from_stream(stream::iter(std::iter::from_fn(move || {
        let _ = &permit;
        let chunk = rest.split_to(rest.len().min(CHUNK));
        (!chunk.is_empty()).then_some(Ok::<_, std::convert::Infallible>(chunk))
    })))
}

fn encoded(sample: Result<ConnectionSample, DumpError>) -> Result<Bytes, (StatusCode, String)> {
    let sample =
        sample.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", khan_serve::exit::chain(&error))))?;
    let json = serde_json::to_vec(&sample);
    json.map(Bytes::from).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")))
}

/// Reads a sample of this network namespace's connections.
pub fn sample(node: String, filter: Filter) -> Result<ConnectionSample, DumpError> {
    sample_while(&mut Dump::<NodeTables>::default(), node, filter, Translations::default(), || true)
}

/// Likewise, as long as somebody waits for it.
fn sample_while(
    dump: &mut Dump,
    node: String,
    filter: Filter,
    translations: Translations,
    waited_for: impl Fn() -> bool,
) -> Result<ConnectionSample, DumpError> {
    let taken = Timestamp::now();
    let mut sample = Sample { translations, ..Sample::new(filter, taken, waited_for) };
    dump.run(&mut sample)?;
    let connections = sample.listed.into_sorted_vec().into_iter().map(|Listed { connection, .. }| connection).collect();
    Ok(ConnectionSample { node: node.into(), taken, matched: sample.matched, connections })
}

/// Which connections are asked for; an empty part asks for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    src: Vec<Cidr>,
    dst: Vec<Cidr>,
    any: Vec<Cidr>,
    port: Vec<u16>,
    state: Vec<khan_api::State>,
    protocol: Vec<u8>,
    reply_dst: Option<IpAddr>,
    reply_port: Option<u16>,
    limit: usize,
    /// Beyond the limit, lists the oldest instead of the newest.
    oldest: bool,
}

impl Filter {
    /// From a URL's query.
    pub fn parse(query: &str) -> Result<Self, String> {
        let mut filter = Self { limit: DEFAULT_LIMIT, ..Self::default() };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let wrong = |want: &str| format!("{name}: expected {want}, not `{value}`");
            let range = || value.parse().map_err(|_| wrong("an address or CIDR"));
            match &*name {
                "src" => filter.src.push(range()?),
                "dst" => filter.dst.push(range()?),
                "any" => filter.any.push(range()?),
                "port" => filter.port.push(value.parse().map_err(|_| wrong("a port"))?),
                "state" => filter.state.push((&*value).into()),
                "protocol" => {
                    let known = Protocol::ALL.into_iter().find(|protocol| protocol.as_str() == value.to_lowercase());
                    filter.protocol.push(known.ok_or_else(|| wrong("tcp, udp or sctp"))? as u8);
                }
                "reply_dst" => filter.reply_dst = Some(value.parse().map_err(|_| wrong("an address"))?),
                "reply_port" => filter.reply_port = Some(value.parse().map_err(|_| wrong("a port"))?),
                "limit" => {
                    let limit: usize = value.parse().map_err(|_| wrong("a number"))?;
                    filter.limit = limit.min(LARGEST_LIMIT);
                }
                "order" => {
                    filter.oldest = match &*value {
                        "newest" => false,
                        "oldest" => true,
                        _ => return Err(wrong("newest or oldest")),
                    }
                }
                _ => return Err(format!("{name}: no such parameter")),
            }
        }
        Ok(filter)
    }

    /// The place of an age in the list.
    fn rank(&self, seconds: Option<u64>) -> u64 {
        seconds.map_or(u64::MAX, |seconds| if self.oldest { (u64::MAX - 1).saturating_sub(seconds) } else { seconds })
    }

    fn takes(&self, flow: &Flow) -> bool {
        let within = |ranges: &[Cidr], ips: &[IpAddr]| {
            ranges.is_empty() || ranges.iter().any(|range| ips.iter().any(|ip| range.contains(*ip)))
        };
        let (original, reply) = (flow.original, flow.reply);
        let (src, dst, backend) = (original.src.ip(), original.dst.ip(), reply.src.ip());
        (self.protocol.is_empty() || self.protocol.contains(&flow.protocol))
            && (self.port.is_empty() || self.port.contains(&original.dst_port) || self.port.contains(&reply.src_port))
            && self.reply_port.is_none_or(|port| reply.dst_port == port)
            && self.reply_dst.is_none_or(|ip| reply.dst.ip() == ip)
            && within(&self.src, &[src])
            && within(&self.dst, &[dst, backend])
            && within(&self.any, &[src, dst, backend])
            && (self.state.is_empty() || self.state.contains(&state(flow).into()))
    }
}

struct Sample<W> {
    filter: Filter,
    translations: Translations,
    waited_for: W,
    taken: Timestamp,
    seeds: Seeds,
    dedup: Dedup,
    matched: u64,
    /// The first to go is the oldest, or the longest idle; the other way round where the oldest are wanted.
    listed: BinaryHeap<Listed>,
}

impl<W> Sample<W> {
    fn new(filter: Filter, taken: Timestamp, waited_for: W) -> Self {
        let (seeds, dedup) = (Seeds::random(), Dedup::default());
        let (translations, listed) = (Translations::default(), BinaryHeap::new());
        Self { filter, translations, waited_for, taken, seeds, dedup, matched: 0, listed }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Listed {
    /// Age, then idle seconds, downwards for the oldest; what is not known comes after what is.
    order: (u64, u64),
    connection: Connection,
}

impl Ord for Listed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}

impl PartialOrd for Listed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<W: Fn() -> bool> Sink for Sample<W> {
    fn begin(&mut self) {
        self.matched = 0;
        self.listed.clear();
        self.dedup.clear();
    }

    fn batch(&mut self) {
        self.dedup.batch();
    }

    fn flow(&mut self, flow: &Flow) {
        self.entry(flow, Details::default);
    }

    fn wanted(&self) -> bool {
        (self.waited_for)()
    }

    fn entry(&mut self, flow: &Flow, details: impl FnOnce() -> Details) {
        let flow = &self.translations.undone(flow);
        let Some(protocol) = Protocol::from_number(flow.protocol).filter(|_| self.filter.takes(flow)) else { return };
        if self.dedup.seen(self.seeds.tuple(&flow.original, flow.protocol), flow.zone) {
            return;
        }
        self.matched += 1;
        let details = details();
        let age = details.began.map(|began| self.taken.since(began).as_secs());
        let order = (self.filter.rank(age), self.filter.rank(flow.idle.map(u64::from)));
        if self.listed.len() >= self.filter.limit {
            match self.listed.peek() {
                Some(last) if order < last.order => drop(self.listed.pop()),
                _ => return,
            }
        }
        let (original, reply) = (flow.original, flow.reply);
        let connection = Connection {
            protocol,
            state: state(flow).into(),
            src: original.src.ip(),
            src_port: original.src_port,
            dst: original.dst.ip(),
            dst_port: original.dst_port,
            reply_src: reply.src.ip(),
            reply_src_port: reply.src_port,
            reply_dst: reply.dst.ip(),
            reply_dst_port: reply.dst_port,
            zone: flow.zone,
            timeout_seconds: flow.timeout,
            idle_seconds: flow.idle,
            age_seconds: age,
            bytes_sent: details.bytes_sent,
            bytes_received: details.bytes_received,
            previous: Vec::new(),
        };
        self.listed.push(Listed { order, connection });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::{Address, Tuple};

    #[test]
    fn beyond_the_limit_the_newest_or_the_oldest_are_listed() {
        let listed = |query: &str| {
            let mut sample = Sample::new(Filter::parse(query).unwrap(), Timestamp::now(), || true);
            sample.begin();
            sample.batch();
            for (port, idle) in [(1, Some(30)), (2, None), (3, Some(10)), (4, Some(20))] {
                let address = |n: u32| Address::from_v4(0x0a00_0000 + n);
                let original = Tuple { src: address(1), dst: address(2), src_port: port, dst_port: 80 };
                sample.flow(&Flow { original, protocol: 6, idle, ..Flow::default() });
            }
            let listed = sample.listed.into_sorted_vec().into_iter();
            listed.map(|listed| listed.connection.src_port).collect::<Vec<_>>()
        };
        assert_eq!(listed("limit=2"), [3, 4]);
        assert_eq!(listed("limit=2&order=oldest"), [1, 4]);
        assert_eq!(listed("order=oldest"), [1, 4, 3, 2], "what is not known comes last");
        assert!(Filter::parse("order=largest").unwrap_err().contains("newest or oldest"));
    }

    #[test]
    fn an_entry_that_a_dump_repeats_is_listed_once() {
        let flow = |n, zone| {
            let address = |n: u32| Address::from_v4(0x0a00_0000 + n);
            let original = Tuple { src: address(n), dst: address(0), src_port: 40_000, dst_port: 80 };
            Flow { original, protocol: 6, zone, ..Flow::default() }
        };
        let filter = Filter::parse("limit=1000").unwrap();
        let mut sample = Sample::new(filter, Timestamp::now(), || true);
        for _ in 0..2 {
            sample.begin();
            sample.batch();
            (1..=100).for_each(|n| sample.flow(&flow(n, 0)));
            // The kernel lost its place and begins the last bucket anew.
            sample.batch();
            (97..=120).for_each(|n| sample.flow(&flow(n, 0)));
            // In another zone it is another entry.
            sample.flow(&flow(120, 7));
            assert_eq!((sample.matched, sample.listed.len()), (121, 121));
        }
    }
}
