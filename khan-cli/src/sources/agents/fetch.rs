//! One question to one agent, and its answer as a value.

use std::sync::{Arc, LazyLock, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{ETAG, HeaderValue, IF_NONE_MATCH, RETRY_AFTER};
use khan_api::snapshot::SCHEMA;
use khan_api::{ConnectionSample, Label, Sentence, routes};
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::route::Route;
use crate::model::table::rows::Heard;
use crate::sources::exchange::{Ask, Bounds, ExchangeError, Reply};

/// Why an agent gave no data. Written as the rest of a sentence that begins with the agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No answer.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// It wants credentials.
    #[error("wants credentials ({0})")]
    Unauthorized(StatusCode),
    /// An HTTP status that is no success.
    #[error("answered {status}{}{line}", if line.is_empty() { "" } else { ": " })]
    Status {
        /// The status.
        status: StatusCode,
        /// First line of the body.
        line: Sentence,
    },
    /// 200, and a body of another kind.
    #[error("answered something that is not {what} ({reason})")]
    Garbage {
        /// What it should be.
        what: &'static str,
        /// Where it goes wrong.
        reason: Sentence,
    },
    /// The agent is of another time.
    #[error(
        "speaks version {theirs} of the snapshot format (khan-agent {version}), and this khan reads version {SCHEMA}"
    )]
    Schema {
        /// Its version of the format.
        theirs: u32,
        /// The agent's version.
        version: Label,
    },
}

impl FetchError {
    /// Whether the agent does not know what it is asked for.
    pub fn misunderstood(&self) -> bool {
        matches!(self, Self::Status { status: StatusCode::BAD_REQUEST, .. })
    }

    /// What makes it work, to be piped into `kubectl apply -f -`, when permissions are missing.
    pub fn remedy(&self) -> Option<String> {
        if let Self::Exchange(error) = self { error.remedy() } else { None }
    }
}

/// A snapshot, or that nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// `None`: the snapshot that the given `ETag` names is still the latest.
    pub snapshot: Option<Box<Heard>>,
    /// To be given with the next question.
    pub etag: Option<HeaderValue>,
    /// The agent's clock minus ours; `None` when it did not tell.
    pub clock_skew_millis: Option<i64>,
}

/// `GET /v1/snapshot`.
pub async fn snapshot(
    route: &Route,
    max_age: Option<Duration>,
    etag: Option<&HeaderValue>,
    bounds: Bounds,
) -> Result<Fetched, FetchError> {
    let mut ask = Ask::get(match max_age {
        Some(age) => format!("{}?max_age={}ms", routes::SNAPSHOT, age.as_millis()),
        None => routes::SNAPSHOT.to_owned(),
    });
    if let Some(etag) = etag {
        ask.headers.insert(IF_NONE_MATCH, etag.clone());
    }
    let reply = route.exchange(&ask, bounds).await?;
    let clock_skew_millis = reply.clock_skew_millis();
    // "Not modified" answers only those who said what they have.
    if reply.status == StatusCode::NOT_MODIFIED && etag.is_some() {
        return Ok(Fetched { snapshot: None, etag: etag.cloned(), clock_skew_millis });
    }
    let etag = reply.headers.get(ETAG).cloned();
    let snapshot = Box::new(parse::<Heard>("a snapshot", reply).await?);
    if snapshot.schema == 0 && snapshot.id.is_empty() {
        return Err(FetchError::Garbage { what: "a snapshot", reason: "it has neither schema nor id".into() });
    }
    if snapshot.schema != SCHEMA {
        return Err(FetchError::Schema { theirs: snapshot.schema, version: snapshot.version.clone() });
    }
    if snapshot.id.is_empty() || snapshot.node.is_empty() {
        return Err(FetchError::Garbage { what: "a snapshot", reason: "it lacks an id or a node".into() });
    }
    Ok(Fetched { snapshot: Some(snapshot), etag, clock_skew_millis })
}

/// `GET /v1/connections`; `query` is what follows the question mark.
///
/// Agents read their tables in turn, so that reading takes no more of a node than it may, and send away whom they would keep
/// waiting for long. So its turn is waited for as long as an answer may take, here and there together, and then the answer
/// for as long again.
pub async fn connections(route: &Route, query: &str, bounds: Bounds) -> Result<ConnectionSample, FetchError> {
    let ask = Ask::get(format!("{}?{query}", routes::CONNECTIONS));
    let begun = Instant::now();
    let patience = 2 * bounds.deadline;
    loop {
        let deadline = patience.saturating_sub(begun.elapsed());
        let reply = route.exchange(&ask, Bounds { deadline, ..bounds }).await.map_err(|error| match error {
            ExchangeError::Timeout(_) => ExchangeError::Timeout(patience),
            error => error,
        })?;
        match retry_after(&reply).filter(|wait| begun.elapsed() + *wait <= bounds.deadline) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return parse("a list of connections", reply).await,
        }
    }
}

/// When to come again, if that is all that the answer says.
fn retry_after(reply: &Reply) -> Option<Duration> {
    let is_busy = matches!(reply.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let seconds = reply.header(RETRY_AFTER).filter(|_| is_busy)?.trim().parse().ok()?;
    // Nothing at all would be a loop.
    Some(Duration::from_secs(seconds).max(Duration::from_millis(100)))
}

type Job = Box<dyn FnOnce() + Send>;

/// Reads bodies, on as many threads as a small machine has processors, and always on the same ones: the system's allocator
/// gives each thread memory of its own, and rows that lie scattered over many threads' keep holes between them that take as
/// much as the rows.
static READERS: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
    let (jobs, given) = mpsc::channel::<Job>();
    let given = Arc::new(Mutex::new(given));
    for _ in 0..2 {
        let given = Arc::clone(&given);
        let next = move || given.lock().unwrap_or_else(PoisonError::into_inner).recv();
        std::thread::spawn(move || {
            while let Ok(job) = next() {
                job();
            }
        });
    }
    jobs
});

/// Runs `work` on a thread of [`READERS`].
async fn read<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ExchangeError> {
    let (done, result) = oneshot::channel();
    let job: Job = Box::new(move || drop(done.send(work())));
    let lost = || ExchangeError::Other("the thread that reads answers has ended".into());
    READERS.send(job).map_err(|_| lost())?;
    result.await.map_err(|_| lost())
}

/// The body of a successful answer.
pub async fn parse<T: DeserializeOwned + Send + 'static>(what: &'static str, reply: Reply) -> Result<T, FetchError> {
    match reply.status {
        StatusCode::OK => {}
        status @ (StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED) => {
            return Err(FetchError::Unauthorized(status));
        }
        status => return Err(FetchError::Status { status, line: reply.first_line() }),
    }
    // A body of megabytes takes long enough to hold up the other agents' answers.
    let value = read(move || serde_json::from_slice(&reply.body)).await?;
    value.map_err(|error| FetchError::Garbage { what, reason: Sentence::of(error) })
}
