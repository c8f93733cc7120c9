//! What this host itself knows, read in-process: its connection tracking table, or its sockets. No agent, no cluster. Linux only;
//! the table needs `CAP_NET_ADMIN` in the network namespace that is read, sockets need nothing.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use khan_agent::api::connections::{self, Filter};
use khan_agent::flows::DumpError;
use khan_agent::local::Scanner;
use khan_api::{Connection, Snapshot, Timestamp};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use crate::feed::{DetailError, Feed, Feeder, News, Request, SampleRequest, Samples, channel, next};
use crate::model::node::Failure;
use crate::model::{NodeInput, NodeState, NodeStatus, NodeTable, Pool, SourceInfo, SourceKind, merge};
use crate::sources::agents::details;
use crate::sources::sockets::{self, Sockets};
use khan_serve::exit::chain;

/// Why this host's table may be empty, and what to do.
const UNTRACKED: &str = "this host's connection tracking table is empty: the kernel tracks connections only where a firewall or NAT \
                         rule asks for it. --source sockets shows this host's own sockets instead; a rule such as \"nft add table \
                         inet track\", \"nft add chain inet track in { type filter hook input priority 0; }\", \"nft add rule inet \
                         track in ct state new counter\" makes the kernel track from now on";

/// Scans take at most this share of the time.
const REST_PER_SCAN: u32 = 10;

/// Why this host's table cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
    /// The kernel did not give it.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// It did not list its sockets.
    #[error("cannot list this host's sockets")]
    Sockets(#[source] std::io::Error),
    /// The reader panicked.
    #[error("reading the table failed: {0}")]
    Task(#[from] JoinError),
}

/// The name of this host, under which its table is shown.
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What is read.
enum Reader {
    Table(Box<Scanner>),
    Sockets(Sockets),
}

impl Reader {
    fn scan(&mut self) -> Result<Snapshot, LocalError> {
        match self {
            Self::Table(scanner) => Ok(scanner.scan()?),
            Self::Sockets(sockets) => sockets.scan().map_err(LocalError::Sockets),
        }
    }
}

/// Scans once, which must succeed, and then every `interval`: sockets for [`SourceKind::Sockets`], else the table.
pub(crate) async fn start(kind: SourceKind, interval: Duration) -> Result<Feed, LocalError> {
    let host = host();
    let reader = match kind {
        SourceKind::Sockets => Reader::Sockets(Sockets::new(&host)),
        _ => Reader::Table(Box::new(Scanner::new(&host))),
    };
    let (scanner, first) = scan(reader).await?;
    let status = NodeStatus::waiting(host, "this process");
    let mut source = Source { kind, pool: Pool::default(), status, table: None };
    source.take(&first?);
    let (feeder, feed) = channel(source.view());
    tokio::spawn(source.run(scanner, feeder, interval));
    Ok(feed)
}

type Scanned = (Reader, Result<Snapshot, LocalError>);

async fn scan(mut scanner: Reader) -> Result<Scanned, JoinError> {
    spawn_blocking(move || {
        let snapshot = scanner.scan();
        (scanner, snapshot)
    })
    .await
}

struct Source {
    kind: SourceKind,
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

    fn fail(&mut self, error: &LocalError) {
        self.status.state = NodeState::Stale;
        let last = self.status.failure.as_ref();
        self.status.failure = Some(Failure::after(last, chain(error), Timestamp::now(), None));
    }

    fn view(&self) -> crate::model::View {
        let source = SourceInfo { kind: self.kind, detail: self.status.node.clone(), ..SourceInfo::default() };
        let input = NodeInput { status: self.status.clone(), table: self.table.clone() };
        let mut view = merge(source, vec![input], Timestamp::now());
        if self.kind == SourceKind::Local && view.connections() == 0 {
            view.notes.push(UNTRACKED.to_owned());
        }
        if self.kind == SourceKind::Sockets {
            view.notes.extend(self.status.warnings.iter().cloned());
        }
        view
    }

    async fn run(mut self, mut scanner: Reader, mut feeder: Feeder, mut interval: Duration) {
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
                            let (kind, node) = (self.kind, self.status.node.clone());
                            tokio::spawn(async move { drop(answer.send(sample(kind, node, request).await)) });
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

async fn sample(kind: SourceKind, node: String, request: SampleRequest) -> Result<Samples, DetailError> {
    let read = if kind == SourceKind::Sockets {
        let limit = if request.limit == 0 { 50 } else { request.limit };
        let read = move || sockets::sample(&node, limit, |connection| is_meant(&request, connection));
        spawn_blocking(move || read().map_err(LocalError::Sockets)).await
    } else {
        let filter = Filter::parse(&details::query(&request)).map_err(DetailError::Failed)?;
        spawn_blocking(move || Ok(connections::sample(node, filter)?)).await
    };
    match read {
        Ok(Ok(sample)) => Ok(Samples { tables: vec![sample], missed: Vec::new() }),
        Ok(Err(error)) => Err(DetailError::Failed(chain(&error))),
        Err(error) => Err(DetailError::Failed(chain(&error))),
    }
}

/// Whether a request asks for this connection.
fn is_meant(request: &SampleRequest, c: &Connection) -> bool {
    let among = |wanted: &[IpAddr], ends: &[IpAddr]| wanted.is_empty() || ends.iter().any(|end| wanted.contains(end));
    among(&request.src, &[c.src])
        && among(&request.dst, &[c.dst])
        && among(&request.any, &[c.src, c.dst])
        && request.port.is_none_or(|port| port == c.dst_port)
        && request.state.as_ref().is_none_or(|state| c.state.as_str().eq_ignore_ascii_case(state))
        && request.protocol.is_none_or(|protocol| protocol == c.protocol)
        && request.reply_dst.is_none_or(|(ip, port)| (ip, port) == (c.reply_dst, c.reply_dst_port))
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
