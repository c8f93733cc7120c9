//! `khan who`: whose address is this, whose was it, who talks to it; and who hides behind a node that masquerades.

pub(crate) mod identity;
pub(crate) mod text;
pub(crate) mod unmask;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use khan_api::Kind;
use serde::Serialize;

use super::printer::Printer;
use super::session;
use crate::args::{Cli, WhoArgs};
use crate::connect;
use crate::feed::Feed;
use crate::model::filter::{Clause, RowTerm};
use crate::model::{Filter, Grain, GroupBy, GroupEnd, History, Query, Selector, View, project};
use crate::output::Format;
use crate::report::connections;
use crate::report::item::json;
use crate::sources::http_config::HttpConfig;
use identity::Known;
use khan_serve::exit::Failure;
use unmask::Unmasked;

/// What was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// An address.
    Address(IpAddr),
    /// One end of a connection.
    Socket(SocketAddr),
    /// `pod/NAME`, `app/NAME`, ...
    Selected(Selector),
}

impl std::str::FromStr for Subject {
    type Err = crate::model::selector::SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(socket) = text.parse() {
            return Ok(Self::Socket(socket));
        }
        if let Ok(ip) = text.trim_matches(['[', ']']).parse() {
            return Ok(Self::Address(ip));
        }
        text.parse().map(Self::Selected)
    }
}

impl Subject {
    fn selector(&self) -> Selector {
        match self {
            Self::Address(ip) => Selector::Address((*ip).into()),
            Self::Socket(socket) => Selector::Address(socket.ip().into()),
            Self::Selected(selector) => selector.clone(),
        }
    }
}

/// Everything that was found out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    /// `khan.dev/v1`.
    pub api_version: &'static str,
    /// `Who`.
    pub kind: &'static str,
    /// As it was asked.
    pub subject: String,
    /// The addresses that are meant, with their owners.
    pub addresses: Vec<Known>,
    /// Whom it connects to.
    pub connects_to: Vec<Peer>,
    /// Who connects to it.
    pub connected_from: Vec<Peer>,
    /// Real clients behind a masquerade.
    pub unmasked: Vec<Unmasked>,
    /// What could not be found out, one sentence each.
    pub notes: Vec<String>,
    /// Whether something is missing from the counts.
    pub partial: bool,
    /// What is missing from them, one sentence each.
    pub missing: Vec<String>,
}

/// The other end, with counts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the key in the JSON")]
pub(crate) struct Peer {
    /// Whose connections these are, where the address has had several owners.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Whether that is a previous owner.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub previous: bool,
    /// The other end, as tables name it.
    pub peer: String,
    /// The port dialled.
    pub port: Option<u16>,
    /// How many connections.
    pub conns: u64,
    /// Established share in percent.
    pub est_percent: Option<u8>,
    /// Without a packet for the agent's threshold.
    pub idle: u64,
    /// The row for programs.
    pub row: serde_json::Value,
}

/// Finds out and prints.
pub(crate) async fn run(cli: &Cli, args: &WhoArgs) -> Result<(), Failure> {
    let subject: Subject =
        args.subject.parse().map_err(|error| Failure::usage(format_args!("{:?}: {error}", args.subject)))?;
    let printer = Printer::new(cli)?;
    let http = connect::credentials::controller(cli)?;
    // Everything that the answer names: a server that sums by labels leaves out the others.
    let named = GroupBy { src: Some(Grain::Name), dst: Some(Grain::Name), port: true, ..GroupBy::NONE };
    let query = question(&subject, named);
    let mut feed = connect::start(cli, &query).await?;
    let view = session::settled(&mut feed).await?.view;
    let answer = answer(cli, args, &subject, &view, &feed, http).await;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match printer.format() {
        Format::Table | Format::Wide => text::write(&answer, &mut out)?,
        Format::Json | Format::Ndjson => {
            serde_json::to_writer_pretty(&mut out, &answer).map_err(std::io::Error::from)?;
            std::io::Write::write_all(&mut out, b"\n")?;
        }
        Format::Yaml => {
            let text = serde_saphyr::to_string(&answer).map_err(Failure::other)?;
            std::io::Write::write_all(&mut out, text.as_bytes())?;
        }
        _ => return Err(Failure::usage("--output: khan who prints table, json or yaml")),
    }
    std::io::Write::flush(&mut out)?;
    drop(out);
    for note in &answer.notes {
        printer.note(&format!("note: {note}"));
    }
    printer.explain(&view);
    printer.judge(&view)
}

fn question(subject: &Subject, group_by: GroupBy) -> Query {
    let filter = Filter::default().and_row(RowTerm::Any(vec![subject.selector()]));
    Query { group_by, filter, ..Query::default() }
}

async fn answer(cli: &Cli, args: &WhoArgs, subject: &Subject, view: &View, feed: &Feed, http: HttpConfig) -> Answer {
    let mut notes = Vec::new();
    let addresses = identity::known(cli, subject, view, http, &mut notes).await;
    let peers = |src: bool| peers(view, subject, src, args.limit);
    let unmasked = unmask::unmask(subject, view, feed, &addresses, &mut notes).await;
    let (connects_to, connected_from) = (peers(true), peers(false));
    if connects_to.is_empty() && connected_from.is_empty() && unmasked.is_empty() {
        notes.push(if addresses.is_empty() {
            "no owner has this name, and no connection mentions it".to_owned()
        } else {
            format!("no table that was read has a connection of {}", args.subject)
        });
        notes.extend(connections::unseen_services(view, &[subject.selector()]).map(str::to_owned));
    }
    let missing = view.gaps();
    Answer {
        api_version: "khan.dev/v1",
        kind: "Who",
        subject: args.subject.clone(),
        addresses,
        connects_to,
        connected_from,
        unmasked,
        notes,
        partial: !missing.is_empty(),
        missing,
    }
}

/// The other ends of connections in which the subject is the client (`src`) or the server. Outside ends are told apart by
/// address, since "external" is nobody; connections of a previous owner of the address are not its successor's.
fn peers(view: &View, subject: &Subject, src: bool, limit: usize) -> Vec<Peer> {
    let owners = Owners::of(view, subject);
    let outside = vec![Selector::Kind(Kind::External)];
    let mut found = Vec::new();
    for negated in [true, false] {
        let grain = if negated { Grain::App } else { Grain::Name };
        let own = (owners.labels.len() > 1).then_some(Grain::Name);
        let (mine, other) = (vec![subject.selector()], outside.clone());
        let (mine, other, group_by) = if src {
            let group_by = GroupBy { src: own, dst: Some(grain), port: true, ..GroupBy::NONE };
            (RowTerm::Src(mine), RowTerm::Dst(other), group_by)
        } else {
            let group_by = GroupBy { src: Some(grain), dst: own, port: true, ..GroupBy::NONE };
            (RowTerm::Dst(mine), RowTerm::Src(other), group_by)
        };
        let mut filter = Filter::default().and_row(mine);
        let other = Clause::Term(other);
        filter.rows.push(if negated { other.not() } else { other });
        let query = Query { group_by, filter, limit, ..Query::default() };
        let peer = |row: &crate::model::Row| {
            let (peer, mine) = if src { (row.destination(), row.source()) } else { (row.source(), row.destination()) };
            Peer {
                owner: own.map(|_| mine.to_owned()),
                previous: owners.labels.get(mine).is_some_and(|previous| *previous),
                peer: peer.to_owned(),
                port: row.port,
                conns: row.sum.connections,
                est_percent: row.sum.states.established_percent(),
                idle: row.sum.idle_connections,
                row: json(connections::Item::of(row)),
            }
        };
        found.extend(project(view, &query, &History::default()).rows.iter().map(peer));
    }
    found.sort_by(|a, b| b.conns.cmp(&a.conns).then_with(|| a.peer.cmp(&b.peer)));
    found.truncate(if limit == 0 { usize::MAX } else { limit });
    found
}

/// The owners that one address has had, by what they are called, each with whether it is a previous one.
struct Owners {
    labels: BTreeMap<String, bool>,
}

impl Owners {
    fn of(view: &View, subject: &Subject) -> Self {
        let mut labels = BTreeMap::new();
        let single = match subject {
            Subject::Address(ip) => Some(*ip),
            Subject::Socket(socket) => Some(socket.ip()),
            Subject::Selected(_) => None,
        };
        for endpoint in view.endpoints.iter().filter(|endpoint| single.is_some() && endpoint.ip == single) {
            labels.insert(GroupEnd::of(endpoint, Grain::Name).1.text.to_string(), endpoint.previous);
        }
        Self { labels }
    }
}

/// Every address that the subject means, as far as the view knows.
fn addresses(subject: &Subject, view: &View) -> BTreeSet<IpAddr> {
    match subject {
        Subject::Address(ip) => [*ip].into(),
        Subject::Socket(socket) => [socket.ip()].into(),
        Subject::Selected(selector) => {
            let meant = view.endpoints.iter().filter(|endpoint| selector.matches(endpoint));
            meant.filter_map(|endpoint| endpoint.ip).collect()
        }
    }
}

/// How an address is called.
fn called(view: &View, ip: IpAddr) -> Option<String> {
    let owner =
        view.endpoints.iter().filter(|endpoint| endpoint.ip == Some(ip)).min_by_key(|endpoint| endpoint.previous)?;
    Some(GroupEnd::of(owner, Grain::Name).1.text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_told_apart() {
        assert_eq!("10.0.0.1".parse(), Ok(Subject::Address("10.0.0.1".parse().unwrap())));
        assert_eq!("[fd00::1]".parse(), Ok(Subject::Address("fd00::1".parse().unwrap())));
        assert_eq!("[fd00::1]:80".parse(), Ok(Subject::Socket("[fd00::1]:80".parse().unwrap())));
        assert_eq!("10.0.0.1:80".parse(), Ok(Subject::Socket("10.0.0.1:80".parse().unwrap())));
        assert_eq!("pod/web".parse(), Ok(Subject::Selected("pod/web".parse().unwrap())));
        assert!("pod/".parse::<Subject>().is_err());
    }
}
