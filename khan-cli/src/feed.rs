//! Between a source, which works in its own tasks, and the code that shows its data.
//!
//! Views travel by `watch`: the latest wins and nothing queues up. Errors and other news travel by a bounded channel;
//! news that nobody takes are dropped, because every view says in [`View::nodes`] what is wrong with it. Requests travel
//! the other way, and a request whose asker has gone away (its future was dropped) is cancelled.
//!
//! ```text
//! source task: Feeder ── views: watch<Arc<View>> ──────▶ Feed.views
//!                     ── news: mpsc<News> (bounded) ───▶ Feed.news
//!                     ◀── requests: mpsc<Request> ────── Feed.handle (Clone)
//! ```

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use khan_api::{ConnectionSample, Protocol, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};

use crate::model::{Query, View};

/// What a screen or a one-shot command holds.
#[derive(Debug)]
pub struct Feed {
    /// The latest view. The first one may be empty and unsettled.
    pub views: watch::Receiver<Arc<View>>,
    /// What happened.
    pub news: mpsc::Receiver<News>,
    /// Where requests go.
    pub handle: Handle,
    /// Whether [`News::Past`] comes soon after the first view.
    pub past: bool,
}

/// What a source holds.
#[derive(Debug)]
pub struct Feeder {
    /// Where views go.
    pub views: watch::Sender<Arc<View>>,
    /// What is asked of the source.
    pub requests: mpsc::Receiver<Request>,
    news: mpsc::Sender<News>,
}

/// Something that happened in a source.
#[derive(Clone, Debug)]
pub enum News {
    /// For the error log: a node's or the source's trouble, one sentence. Told when it begins and when it changes.
    Error {
        /// When it happened, by the clock of this host.
        at: Timestamp,
        /// Which node; empty for the source as a whole.
        node: String,
        /// One sentence; where permissions are missing, a manifest that grants them follows in further lines.
        message: String,
    },
    /// A trouble is over.
    Recovered {
        /// When it happened, by the clock of this host.
        at: Timestamp,
        /// Which node; empty for the source as a whole.
        node: String,
    },
    /// Worth a passing message, and no trouble: one sentence.
    Note(String),
    /// The source as a whole is cut off, or is back.
    Link(Link),
    /// Views from before the first one, oldest first, if there are any: give them to [`crate::model::History::backfill`].
    Past(Vec<Arc<View>>),
    /// The source has nothing more to tell: a recording's end.
    End,
}

/// State of the way to the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// The source answers.
    Up,
    /// The source does not answer and is tried again.
    Retrying {
        /// Why it failed, one sentence.
        reason: String,
        /// How often it was tried since it last worked.
        attempt: u32,
        /// When it is tried next.
        next: Timestamp,
    },
    /// It waits for credentials: an exec plugin works, or a login is needed.
    Credentials(String),
}

/// What is asked of a source.
#[derive(Debug)]
pub enum Request {
    /// Ask now instead of at the end of the interval.
    Refresh,
    /// How old data may be.
    Interval(Duration),
    /// How far back the past is wanted, for a source that knows it; [`News::Past`] answers, if there is any.
    Past(Duration),
    /// This is asked of views from now on: a source that sums on a server asks for nothing that no question needs.
    Question(Box<Query>),
    /// Read single connections.
    Sample(SampleRequest, oneshot::Sender<Result<Samples, DetailError>>),
}

/// Which connections are read, as in [`khan_api::connection::ConnectionSample`]. Empty means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SampleRequest {
    /// Nodes that are asked; empty for all that hold a part, as far as their snapshots tell, or for all.
    pub nodes: Vec<String>,
    /// Client addresses.
    pub src: Vec<IpAddr>,
    /// Addresses dialled or answering.
    pub dst: Vec<IpAddr>,
    /// Addresses of either end.
    pub any: Vec<IpAddr>,
    /// Port dialled or answering.
    pub port: Option<u16>,
    /// State by name.
    pub state: Option<String>,
    /// Transport.
    pub protocol: Option<Protocol>,
    /// Where answers go: the far side of a masquerade.
    pub reply_dst: Option<(IpAddr, u16)>,
    /// Maximum number per node; 0 for the agent's default.
    pub limit: usize,
    /// Where there are more than that, the oldest rather than the newest.
    pub oldest: bool,
}

/// Single connections, and who did not tell theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// What the nodes that answered hold, by node.
    pub tables: Vec<ConnectionSample>,
    /// Nodes that may hold more.
    pub missed: Vec<Missed>,
}

/// A node that did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// Its name.
    pub node: String,
    /// Why: one sentence.
    pub reason: String,
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connections in the table of node {} are missing: {}", self.node, self.reason)
    }
}

/// Why there are no details.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DetailError {
    /// Only agents, and this host's own table, know single connections.
    #[error(
        "{0} knows counts only; single connections are read from agents (--source agents) or this host (--source local)"
    )]
    CountsOnly(&'static str),
    /// No node could answer.
    #[error("{0}")]
    Failed(String),
    /// The source has ended.
    #[error("the source has ended")]
    Ended,
}

/// Sends requests to a source.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
    /// Weak, so that news end with the source.
    news: mpsc::WeakSender<News>,
}

impl Handle {
    /// Asks for new data now. Does nothing when such a request is already waiting.
    pub fn refresh(&self) {
        let _ = self.requests.try_send(Request::Refresh);
    }

    /// Changes how old data may be.
    pub fn set_interval(&self, interval: Duration) {
        let _ = self.requests.try_send(Request::Interval(interval));
    }

    /// Asks for the past of this long. Sources that know none do not answer.
    pub fn past(&self, window: Duration) {
        let _ = self.requests.try_send(Request::Past(window));
    }

    /// Sends news in addition to the source's, unless the channel is full.
    pub fn tell(&self, news: News) {
        if let Some(told) = self.news.upgrade() {
            let _ = told.try_send(news);
        }
    }

    /// Tells what is asked of views, whenever that changes.
    pub fn ask(&self, query: &Query) {
        let _ = self.requests.try_send(Request::Question(Box::new(query.clone())));
    }

    /// Reads single connections from the nodes that hold them. Drop the future to cancel.
    pub async fn sample(&self, request: SampleRequest) -> Result<Samples, DetailError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Sample(request, answer)).await.map_err(|_| DetailError::Ended)?;
        answered.await.map_err(|_| DetailError::Ended)?
    }
}

/// The next request. Waits forever once every [`Handle`] is gone, because the viewer may keep watching.
pub async fn next(requests: &mut mpsc::Receiver<Request>) -> Request {
    match requests.recv().await {
        Some(request) => request,
        None => std::future::pending().await,
    }
}

impl Feeder {
    /// Shows a view.
    pub fn show(&self, view: Arc<View>) {
        self.views.send_replace(view);
    }

    /// Tells news, unless the channel is full.
    pub fn tell(&self, news: News) {
        let _ = self.news.try_send(news);
    }

    /// Tells news, waiting for room: for those that must not be lost.
    pub async fn tell_surely(&self, news: News) {
        let _ = self.news.send(news).await;
    }

    /// Whether the viewer is gone.
    pub fn is_unwatched(&self) -> bool {
        self.views.is_closed()
    }
}

/// A feed that begins with `first`.
pub fn channel(first: View) -> (Feeder, Feed) {
    let (views, latest) = watch::channel(Arc::new(first));
    let (news, told) = mpsc::channel(256);
    let (requests, asked) = mpsc::channel(16);
    let handle = Handle { requests, news: news.downgrade() };
    (Feeder { views, requests: asked, news }, Feed { views: latest, news: told, handle, past: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_reach_the_source_and_end_with_it() {
        let (mut feeder, feed) = channel(View::default());
        let asked = tokio::spawn(async move { feed.handle.sample(SampleRequest::default()).await });
        let Some(Request::Sample(_, answer)) = feeder.requests.recv().await else { panic!("no sample asked") };
        answer.send(Err(DetailError::CountsOnly("Prometheus"))).unwrap();
        assert!(asked.await.unwrap().unwrap_err().to_string().starts_with("Prometheus knows counts only"));
        let (feeder, feed) = channel(View::default());
        drop(feeder);
        assert_eq!(feed.handle.sample(SampleRequest::default()).await, Err(DetailError::Ended));
    }
}
