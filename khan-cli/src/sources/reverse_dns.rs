//! Names of external addresses by reverse DNS, only when asked for. Views pass through at once and names follow, so that no
//! screen waits for a name server; the first view counts as settled once they are there or a second has passed, so that what is
//! printed once has them. Bounded: in time per question, in questions at once, in names held.

mod query;

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use khan_api::{Kind, Name};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::feed::{Feed, channel};
use crate::model::View;

/// How long a name server may take for one address.
const PATIENCE: Duration = Duration::from_secs(1);
/// Questions at the same time.
const AT_ONCE: usize = 8;
/// Addresses that are asked about, and names that are held; those of later addresses are not asked for.
const MOST: usize = 512;
const PORT: u16 = 53;

/// Why there is no name server to ask.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReverseDnsError {
    /// The file that names it.
    #[error("/etc/resolv.conf: {0}")]
    File(String),
    /// It names none.
    #[error("/etc/resolv.conf names no server; give one: --reverse-dns ADDRESS")]
    Nobody,
    /// Not an address.
    #[error("{0:?} is not the address of a name server, such as 10.96.0.10 or 10.96.0.10:53")]
    Address(String),
}

/// The server that `text` means, or the first of `/etc/resolv.conf` where it is empty.
pub(crate) fn server(text: &str) -> Result<SocketAddr, ReverseDnsError> {
    if text.is_empty() {
        let file = std::fs::read_to_string(Path::new("/etc/resolv.conf"));
        let file = file.map_err(|error| ReverseDnsError::File(crate::files::reason(&error)))?;
        let first = file.lines().find_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok());
        return first.map(|ip| SocketAddr::new(ip, PORT)).ok_or(ReverseDnsError::Nobody);
    }
    let ip = text.trim_matches(['[', ']']).parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT));
    ip.or_else(|_| text.parse()).map_err(|_| ReverseDnsError::Address(text.to_owned()))
}

/// The same feed, whose external addresses bear names as they become known.
pub(crate) fn named(feed: Feed, server: SocketAddr) -> Feed {
    let Feed { mut views, news, handle, past } = feed;
    let (feeder, Feed { views: shown, .. }) = channel(View::empty(views.borrow().source.clone()));
    tokio::spawn(async move {
        let (mut names, mut asked, mut waiting) = (HashMap::new(), HashSet::new(), VecDeque::new());
        let mut questions = JoinSet::new();
        let mut latest = Arc::clone(&views.borrow_and_update());
        // Since the first question.
        let mut until: Option<Instant> = None;
        loop {
            for ip in externals(&latest) {
                if asked.len() < MOST && asked.insert(ip) {
                    waiting.push_back(ip);
                    until.get_or_insert_with(|| Instant::now() + PATIENCE);
                }
            }
            let early = until.filter(|until| Instant::now() < *until);
            let awaited = early.is_some() && !(waiting.is_empty() && questions.is_empty());
            feeder.show(with_names(&latest, &names, awaited));
            // Answers are shown together: each would be a view of its own.
            let changed = loop {
                while questions.len() < AT_ONCE {
                    let Some(ip) = waiting.pop_front() else { break };
                    questions.spawn(async move { (ip, ask(server, ip).await) });
                }
                tokio::select! {
                    changed = views.changed() => break changed,
                    Some(Ok((ip, name))) = questions.join_next() => {
                        if let Some(name) = name {
                            names.insert(ip, name);
                        }
                        if questions.is_empty() && waiting.is_empty() {
                            break Ok(());
                        }
                    }
                    () = sleep_until(early.unwrap_or_else(Instant::now)), if awaited => break Ok(()),
                    () = feeder.views.closed() => return,
                }
            };
            if changed.is_err() {
                return;
            }
            latest = Arc::clone(&views.borrow_and_update());
        }
    });
    Feed { views: shown, news, handle, past }
}

/// The external addresses that nobody has named.
fn externals(view: &View) -> impl Iterator<Item = IpAddr> {
    let unnamed = view.endpoints.iter().filter(|end| end.owner.kind == Kind::External && end.owner.name.is_empty());
    unnamed.filter_map(|end| end.ip)
}

/// The view with these names, not yet settled while the first ones are `awaited`.
fn with_names(view: &Arc<View>, names: &HashMap<IpAddr, Name>, awaited: bool) -> Arc<View> {
    if names.is_empty() && !awaited {
        return Arc::clone(view);
    }
    let mut with = View::clone(view);
    with.names = Arc::new(names.clone());
    with.settled &= !awaited;
    Arc::new(with)
}

async fn ask(server: SocketAddr, ip: IpAddr) -> Option<Name> {
    let here: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let asked = async {
        let socket = UdpSocket::bind(here).await.ok()?;
        // The kernel drops what others send.
        socket.connect(server).await.ok()?;
        let id = socket.local_addr().ok()?.port();
        socket.send(&query::question(id, ip)).await.ok()?;
        let mut answer = [0; 1232];
        let length = socket.recv(&mut answer).await.ok()?;
        query::answer(id, &answer[..length])
    };
    timeout(PATIENCE, asked).await.ok().flatten().map(|name| Name::from(name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::channel;
    use crate::model::fixture::{Agent, view};
    use crate::model::{GroupBy, History, Query, project};

    /// A server that calls every address `www.example`, or says nothing.
    async fn name_server(answers: bool) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question).await {
                let mut answer = question[..length].to_vec();
                (answer[2], answer[7]) = (0x81, 1);
                answer.extend(b"\xc0\x0c\x00\x0c\x00\x01\x00\x00\x00\x3c\x00\x0d\x03www\x07example\x00");
                if answers {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        address
    }

    async fn shown(answers: bool) -> (bool, Vec<String>) {
        let view =
            view(&[Agent::new("n1", 0).row("203.0.113.9", "edge/web@n1", 443, 2).row("a/b@n1", "198.51.100.7", 80, 1)]);
        let (feeder, feed) = channel(View::default());
        let mut named = named(feed, name_server(answers).await);
        feeder.show(view);
        let first = named.views.wait_for(|view| !view.nodes.is_empty()).await.unwrap().settled;
        let view = Arc::clone(&*named.views.wait_for(|view| view.settled && !view.nodes.is_empty()).await.unwrap());
        let rows = project(&view, &Query { group_by: GroupBy::EDGES, ..Query::default() }, &History::default()).rows;
        (first, rows.iter().map(|row| format!("{} {}", row.source(), row.destination())).collect())
    }

    #[tokio::test]
    async fn names_follow_and_a_silent_server_holds_nothing_up() {
        let named = ["external/203.0.113.9~www.example edge/web", "a/b external/198.51.100.7~www.example"];
        assert_eq!(shown(true).await, (false, named.map(str::to_owned).to_vec()));
        let bare = ["external/203.0.113.9 edge/web", "a/b external/198.51.100.7"];
        let begun = std::time::Instant::now();
        assert_eq!(shown(false).await, (false, bare.map(str::to_owned).to_vec()));
        assert!(begun.elapsed() < PATIENCE * 5);
    }

    #[test]
    fn servers_are_addresses() {
        let read = |text: &str| server(text).map(|server| server.to_string()).map_err(|error| error.to_string());
        assert_eq!(read("10.96.0.10"), Ok("10.96.0.10:53".into()));
        assert_eq!(read("[fd00::1]"), Ok("[fd00::1]:53".into()));
        assert_eq!(read("127.0.0.1:5353"), Ok("127.0.0.1:5353".into()));
        assert!(read("dns.example").unwrap_err().contains("is not the address of a name server"));
    }
}
