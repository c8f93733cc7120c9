//! `khan conns`: single connections, read on demand from the nodes that hold them.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use khan_api::{Connection, ConnectionSample, Protocol};
use serde_json::{Value, json};

use super::printer::Printer;
use super::session;
use crate::cli::{Cli, ConnsArgs, duration};
use crate::connect;
use crate::failure::Failure;
use crate::feed::{DetailError, SampleRequest};
use crate::model::{Endpoint, Grain, History, Party, Query, Selector, View};
use crate::output::{Cell, Column, Line, Report};

/// Agents match one address after the other; a selector that means more is cut, and the note says so.
const ADDRESSES: usize = 256;

/// Prints a bounded sample.
pub async fn run(cli: &Cli, args: &ConnsArgs) -> Result<(), Failure> {
    let selectors = |flag: &'static str, texts: &[String]| -> Result<Vec<Selector>, Failure> {
        let parsed: Result<Vec<_>, _> = texts.iter().map(|text| text.parse()).collect();
        parsed.map_err(|error| Failure::usage(format_args!("{flag}: {error}")))
    };
    let (any, src, dst) =
        (selectors("SELECTOR", &args.selectors)?, selectors("--from", &args.from)?, selectors("--to", &args.to)?);
    let protocol = args.proto.as_deref().map(protocol).transpose()?;
    let mut printer = Printer::new(cli)?;
    let mut feed = connect::start(cli, &Query::default()).await?;
    let view = session::settled(&mut feed, &mut History::default()).await?;
    let namespaces = cli.kube.scope();
    let mut wide = false;
    let mut addresses = |selectors: &[Selector]| {
        let mut found = addresses(&view, selectors);
        wide |= found.len() > ADDRESSES;
        found.truncate(ADDRESSES);
        found
    };
    let request = SampleRequest {
        nodes: cli.source.node.clone(),
        src: addresses(&src),
        dst: addresses(&dst),
        any: addresses(&any),
        port: args.port,
        state: args.state.as_ref().map(|state| state.replace('-', "_").to_ascii_uppercase()),
        protocol,
        reply_dst: None,
        limit: args.limit,
    };
    for (flag, wanted, found) in
        [("--from", &src, &request.src), ("--to", &dst, &request.dst), ("SELECTOR", &any, &request.any)]
    {
        if !wanted.is_empty() && found.is_empty() {
            let texts: Vec<_> = wanted.iter().map(ToString::to_string).collect();
            printer.note(&format!("No connection of {} ({flag}) is known.", texts.join(", ")));
            return Ok(());
        }
    }
    let samples = feed.handle.sample(request).await.map_err(|error| match error {
        DetailError::CountsOnly(_) => Failure::usage(error),
        error => Failure::unreachable(error),
    })?;
    printer.print(&report(&view, &samples, &namespaces))?;
    if wide {
        printer.note(&format!("note: only the first {ADDRESSES} addresses were asked for; name fewer"));
    }
    printer.explain(&view);
    printer.judge(&view)
}

fn protocol(text: &str) -> Result<Protocol, Failure> {
    let found = Protocol::ALL.into_iter().find(|protocol| protocol.as_str().eq_ignore_ascii_case(text));
    found.ok_or_else(|| Failure::usage(format_args!("--proto: {text:?} is not one of tcp, udp, sctp")))
}

/// The addresses that any of the selectors means; a selector that is one address means it even if nobody knows it.
pub fn addresses(view: &View, selectors: &[Selector]) -> Vec<IpAddr> {
    let mut seen = HashSet::new();
    let named = selectors.iter().filter_map(|selector| match selector {
        Selector::Address(net) if net.prefix_len() == net.max_prefix_len() => Some(net.addr()),
        _ => None,
    });
    let known = view.endpoints.iter().filter(|endpoint| selectors.iter().any(|selector| selector.matches(endpoint)));
    named.chain(known.filter_map(|endpoint| endpoint.ip)).filter(|ip| seen.insert(*ip)).collect()
}

/// Owners by address; of several, the one that has it now.
pub fn owners(view: &View) -> Owners<'_> {
    let mut owners = HashMap::new();
    for endpoint in &view.endpoints {
        if let Some(ip) = endpoint.ip {
            let owner = owners.entry(ip).or_insert(endpoint);
            if owner.gone {
                *owner = endpoint;
            }
        }
    }
    owners
}

/// Who has the addresses of a view.
pub type Owners<'a> = HashMap<IpAddr, &'a Arc<Endpoint>>;

/// An address with its owner's name.
pub fn named(owners: &Owners<'_>, ip: IpAddr) -> String {
    owners.get(&ip).map_or_else(|| ip.to_string(), |endpoint| Party::of(endpoint, Grain::Name).1.text.to_string())
}

/// Every connection once: a connection across nodes stands in two tables, and the client's says what was dialled.
pub fn distinct(samples: &[ConnectionSample]) -> Vec<(&str, &Connection)> {
    let mut index: HashMap<_, usize> = HashMap::new();
    let mut found: Vec<(&str, &Connection)> = Vec::new();
    for sample in samples {
        for connection in &sample.connections {
            let c = connection;
            let key = (c.protocol, c.src, c.src_port, c.reply_src, c.reply_src_port);
            match index.get(&key) {
                Some(at) if c.dst != c.reply_src => found[*at] = (&sample.node, connection),
                Some(_) => {}
                None => {
                    index.insert(key, found.len());
                    found.push((&sample.node, connection));
                }
            }
        }
    }
    found
}

fn report(view: &View, samples: &[ConnectionSample], namespaces: &[String]) -> Report {
    let columns = vec![
        Column::text("protocol", "PROTO"),
        Column::text("state", "STATE"),
        Column::text("source", "SOURCE"),
        Column::text("destination", "DESTINATION"),
        Column::text("backend", "BACKEND"),
        Column::number("age", "AGE"),
        Column::number("idle", "IDLE"),
        Column::number("timeout", "TIMEOUT"),
        Column::number("sent", "SENT").wide(),
        Column::number("received", "RECEIVED").wide(),
        Column::text("client", "CLIENT").wide(),
        Column::text("server", "SERVER").wide(),
        Column::text("masquerade", "MASQUERADED-AS").wide(),
        Column::text("node", "NODE"),
    ];
    let owners = owners(view);
    let within = |c: &Connection| {
        let ns = |ip: IpAddr| owners.get(&ip).is_some_and(|e| namespaces.iter().any(|ns| **ns == *e.ns));
        namespaces.is_empty() || ns(c.src) || ns(c.dst) || ns(c.reply_src)
    };
    let shown: Vec<_> = distinct(samples).into_iter().filter(|(_, connection)| within(connection)).collect();
    let matched: u64 = samples.iter().map(|sample| sample.matched).sum();
    let rows = shown.iter().map(|(node, connection)| line(&columns, node, connection, &owners)).collect();
    let metadata = json!({
        "source": view.source.kind.as_str(), "context": view.source.context,
        "matched": matched, "listed": shown.len(), "truncated": matched > shown.len() as u64,
        "nodes": samples.iter().map(|sample| json!({
            "node": sample.node, "snapshotTime": sample.taken, "matched": sample.matched,
        })).collect::<Vec<_>>(),
    });
    Report { kind: "RawConnectionList", metadata, columns, rows, empty: "No connections found.".into() }
}

fn line(columns: &[Column], node: &str, c: &Connection, owners: &Owners<'_>) -> Line {
    let at = |ip: IpAddr, port: u16| std::net::SocketAddr::new(ip, port).to_string();
    let seconds = |n: Option<u64>| {
        n.map_or(Cell::Missing, |n| {
            Cell::text(if n == 0 { "0s".into() } else { duration::text(std::time::Duration::from_secs(n)) })
        })
    };
    let (translated, masqueraded) = (
        (c.dst, c.dst_port) != (c.reply_src, c.reply_src_port),
        (c.src, c.src_port) != (c.reply_dst, c.reply_dst_port),
    );
    let cell = |column: &Column| match column.name {
        "protocol" => Cell::text(c.protocol.as_str()),
        "state" => Cell::text(&c.state),
        "source" => Cell::text(at(c.src, c.src_port)),
        "destination" => Cell::text(at(c.dst, c.dst_port)),
        "backend" if translated => Cell::text(at(c.reply_src, c.reply_src_port)),
        "masquerade" if masqueraded => Cell::text(at(c.reply_dst, c.reply_dst_port)),
        "age" => seconds(c.age_seconds),
        "idle" => seconds(c.idle_seconds.map(u64::from)),
        "timeout" => seconds(c.timeout_seconds.map(u64::from)),
        "sent" => c.bytes_sent.map_or(Cell::Missing, Cell::Count),
        "received" => c.bytes_received.map_or(Cell::Missing, Cell::Count),
        "client" => Cell::text(named(owners, c.src)),
        "server" => Cell::text(named(owners, c.reply_src)),
        "node" => Cell::text(node),
        _ => Cell::Missing,
    };
    let cells = columns.iter().map(cell).collect();
    let name = format!("{}:{}->{}", c.protocol, at(c.src, c.src_port), at(c.dst, c.dst_port));
    Line { cells, item: item(node, c, owners), name }
}

/// A connection for programs.
pub fn item(node: &str, connection: &Connection, owners: &Owners<'_>) -> Value {
    let mut item = serde_json::to_value(connection).unwrap_or_default();
    if let Some(item) = item.as_object_mut() {
        item.insert("node".into(), node.into());
        item.insert("client".into(), named(owners, connection.src).into());
        item.insert("server".into(), named(owners, connection.reply_src).into());
    }
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(src: &str, dst: &str, reply: &str) -> Connection {
        serde_json::from_value(
            json!({"protocol": "tcp", "state": "ESTABLISHED", "src": src, "src_port": 40_000, "dst": dst,
            "dst_port": 80, "reply_src": reply, "reply_src_port": 8080, "reply_dst": src, "reply_dst_port": 40_000,
            "timeout_seconds": 10, "idle_seconds": null}),
        )
        .unwrap()
    }

    #[test]
    fn the_clients_table_says_more_than_the_servers() {
        let sample = |node: &str, connection: Connection| ConnectionSample {
            node: node.into(),
            connections: vec![connection],
            matched: 1,
            ..ConnectionSample::default()
        };
        let server = sample("n2", connection("10.1.0.4", "10.1.1.9", "10.1.1.9"));
        let client = sample("n1", connection("10.1.0.4", "10.96.0.1", "10.1.1.9"));
        for samples in [[server.clone(), client.clone()], [client, server]] {
            let found = distinct(&samples);
            assert_eq!(found.len(), 1);
            assert_eq!((found[0].0, found[0].1.dst.to_string()), ("n1", "10.96.0.1".to_owned()));
        }
    }
}
