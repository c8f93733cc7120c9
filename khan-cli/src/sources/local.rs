//! This host's own table, read in-process: no agent, no cluster, no names but "inside" and "outside". Linux only; needs
//! `CAP_NET_ADMIN` in the network namespace that is read.

use std::sync::Arc;
use std::time::Duration;

use khan_agent::api::connections::{self, Filter};
use khan_agent::flows::DumpError;
use khan_agent::local::Scanner;
use khan_api::{Snapshot, Timestamp};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use crate::feed::{DetailError, Feed, Feeder, News, Request, SampleRequest, Samples, channel, next};
use crate::model::node::Failure;
use crate::model::{NodeInput, NodeState, NodeStatus, NodeTable, Pool, SourceInfo, SourceKind, merge};
use crate::sources::agents::details;
use khan_serve::exit::chain;

/// Scans take at most this share of the time.
const REST_PER_SCAN: u32 = 10;

/// Why this host's table cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
    /// The kernel did not give it.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// The reader panicked.
    #[error("reading the table failed: {0}")]
    Task(#[from] JoinError),
}

/// The name of this host, under which its table is shown.
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Scans once, which must succeed, and then every `interval`.
pub(crate) async fn start(interval: Duration) -> Result<Feed, LocalError> {
    let host = host();
    let (scanner, first) = scan(Scanner::new(&host)).await?;
    let mut source = Source { pool: Pool::default(), status: NodeStatus::waiting(host, "this process"), table: None };
    source.take(&first?);
    let (feeder, feed) = channel(source.view());
    tokio::spawn(source.run(scanner, feeder, interval));
    Ok(feed)
}

type Scanned = (Scanner, Result<Snapshot, DumpError>);

async fn scan(mut scanner: Scanner) -> Result<Scanned, JoinError> {
    spawn_blocking(move || {
        let snapshot = scanner.scan();
        (scanner, snapshot)
    })
    .await
}

struct Source {
    pool: Pool,
    status: NodeStatus,
    table: Option<Arc<NodeTable>>,
}

impl Source {
    fn take(&mut self, snapshot: &Snapshot) {
        self.table = Some(Arc::new(NodeTable::new(snapshot, &mut self.pool).0));
        self.status.describe(snapshot);
        self.status.answered = Some(Timestamp::now());
        self.status.state = NodeState::Ok;
        self.status.failure = None;
        self.pool.prune();
    }

    fn fail(&mut self, error: &DumpError) {
        let (now, last) = (Timestamp::now(), self.status.failure.take());
        self.status.state = NodeState::Stale;
        self.status.failure = Some(Failure {
            reason: chain(error),
            since: last.as_ref().map_or(now, |last| last.since),
            attempts: last.map_or(1, |last| last.attempts + 1),
            next: None,
        });
    }

    fn view(&self) -> crate::model::View {
        let source = SourceInfo { kind: SourceKind::Local, detail: self.status.node.clone(), ..SourceInfo::default() };
        merge(source, vec![NodeInput { status: self.status.clone(), table: self.table.clone() }], Timestamp::now())
    }

    async fn run(mut self, mut scanner: Scanner, mut feeder: Feeder, mut interval: Duration) {
        loop {
            let due = Instant::now() + interval.max(self.status.scan * REST_PER_SCAN);
            loop {
                tokio::select! {
                    () = sleep_until(due) => break,
                    () = feeder.views.closed() => return,
                    request = next(&mut feeder.requests) => match request {
                        Request::Refresh => break,
                        // Everything is known here anyway.
                        Request::Question(_) | Request::Past(_) => {}
                        Request::Interval(wanted) => {
                            interval = wanted;
                            break;
                        }
                        Request::Sample(request, answer) => {
                            let node = self.status.node.clone();
                            tokio::spawn(async move { drop(answer.send(sample(node, request).await)) });
                        }
                    },
                }
            }
            // The scanner comes back with its result; a reader that panicked takes it along.
            let Ok((back, result)) = scan(scanner).await else { return };
            scanner = back;
            match result {
                Ok(snapshot) => self.take(&snapshot),
                Err(error) => {
                    self.fail(&error);
                    let (at, node) = (Timestamp::now(), self.status.node.clone());
                    feeder.tell(News::Error { at, node, message: chain(&error) });
                }
            }
            feeder.show(Arc::new(self.view()));
        }
    }
}

async fn sample(node: String, request: SampleRequest) -> Result<Samples, DetailError> {
    let filter = Filter::parse(&details::query(&request)).map_err(DetailError::Failed)?;
    let read = spawn_blocking(move || connections::sample(node, filter)).await;
    match read {
        Ok(Ok(sample)) => Ok(Samples { tables: vec![sample], missed: Vec::new() }),
        Ok(Err(error)) => Err(DetailError::Failed(chain(&error))),
        Err(error) => Err(DetailError::Failed(chain(&error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_socket_failed_is_said() {
        let source = std::io::Error::from_raw_os_error(24);
        let error = LocalError::from(DumpError::Socket { what: "open a netlink socket", source });
        assert_eq!(chain(&error), "cannot open a netlink socket: Too many open files (os error 24)");
    }
}
