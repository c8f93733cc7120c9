//! `khan conns`: single connections, read on demand from the nodes that hold them.

mod filtered;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use khan_api::{Connection, ConnectionSample, KnownState, Protocol};

use super::printer::Printer;
use super::session;
use crate::args::{Cli, ConnsArgs};
use crate::connect;
use crate::feed::{DetailError, Feed, SampleRequest, Samples};
use crate::model::view::RowRef;
use crate::model::{LabelSelection, NodeState, Query, Selector, View};
use crate::report::Report;
use crate::report::scope::in_namespaces;
use crate::report::single::{self, Owners, Single, owners};
use khan_serve::exit::Failure;

use filtered::Filtered;

/// Agents match one address after the other; a selector that means more is cut, and the note says so.
const ADDRESSES: usize = 256;
/// No agent lists more.
const MOST: usize = 1000;

/// Prints a bounded sample.
pub(crate) async fn run(cli: &Cli, args: &ConnsArgs) -> Result<(), Failure> {
    let selectors = |flag: &'static str, texts: &[String]| -> Result<Vec<Selector>, Failure> {
        let parsed: Result<Vec<_>, _> = texts.iter().map(|text| text.parse()).collect();
        parsed.map_err(|error| Failure::usage(format_args!("{flag}: {error}")))
    };
    let (any, src, dst) =
        (selectors("SELECTOR", &args.selectors)?, selectors("--from", &args.from)?, selectors("--to", &args.to)?);
    let protocol = args.proto.as_deref().map(protocol).transpose()?;
    let state = args.state.as_deref().map(state).transpose()?;
    let filter = filtered::read(args.filter.as_deref().unwrap_or_default(), cli.typed.contains(&"filter"))?;
    let mut printer = Printer::new(cli)?;
    let labelled = connect::labelled::pods(&cli.kube, args.selector.as_deref()).await?;
    let mut feed = connect::start(cli, &Query::default()).await?;
    let view = session::settled(&mut feed).await?.view;
    let scope = Scope::new(&view, cli.kube.scope(), labelled.as_ref());
    let filtered = Filtered::new(filter, &view);
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    let ends = [("--from", &src), ("--to", &dst), ("SELECTOR", &any)].map(|(flag, selectors)| {
        let found = if selectors.is_empty() && flag == "SELECTOR" {
            // Nothing narrower is asked for than the scope.
            Meant { addresses: scope.addresses(&view), sockets: BTreeSet::new() }
        } else {
            Meant::of(&view, selectors, flag != "--from")
        };
        (flag, selectors, found)
    });
    // An end that nothing else narrows is one of those of connections that pass.
    let passing = filtered.ends();
    let nothing = nothing(&ends, &scope, &view, args).or_else(|| filtered.nothing(passing.as_ref()));
    let mut ends = ends.map(|(_, _, found)| found);
    for (end, found) in ends.iter_mut().zip(passing.iter().flatten()).filter(|(end, _)| end.is_empty()) {
        end.addresses.clone_from(found);
    }
    let asked = ends.each_ref().map(Meant::asked);
    if asked.iter().any(|addresses| addresses.len() > ADDRESSES) {
        printer.lacks(format!("only the first {ADDRESSES} addresses were queried; select fewer"));
    }
    let [src, dst, any] = asked.map(|mut addresses| {
        addresses.truncate(ADDRESSES);
        addresses
    });
    let exact = ends.iter().all(|end| end.sockets.is_empty()) && passing.is_none();
    let port = args.port.or_else(|| ends.iter().find_map(Meant::port));
    let request = SampleRequest {
        nodes: cli.source.node.clone(),
        src,
        dst,
        any,
        port,
        state: state.map(|state| state.as_str().to_owned()),
        protocol,
        reply_dst: None,
        // Some of what a node lists stands in another node's table as well.
        limit: if exact || port.is_some() { limit.saturating_mul(2).min(MOST) } else { MOST },
        oldest: false,
    };
    let samples = if nothing.is_some() { Samples::default() } else { sample(&feed, request).await? };
    // What the view says of a node that fails needs no second sentence.
    let failing = |node: &str| view.nodes.iter().any(|status| status.node == node && status.state != NodeState::Ok);
    for missed in samples.missed.iter().filter(|missed| !failing(&missed.node)) {
        printer.lacks(missed.to_string());
    }
    let within = |owners: &Owners<'_>, one: &Single<'_>| {
        let ([src, dst, any], c) = (&ends, one.connection);
        let meant = || src.holds_client(c) && dst.holds_server(c) && any.holds_either(c);
        scope.holds(owners, c) && (exact || meant()) && filtered.passes(owners, one.node, c)
    };
    let listing = Listing::of(&view, &samples.tables, within, limit, state.is_some());
    if args.limit == 0 && listing.truncated {
        printer.lacks(format!("a node lists at most {MOST} connections: ask for fewer at a time"));
    }
    let missing = printer.gaps(&view);
    let report = single::report(
        &view,
        &single::Listing {
            listed: &listing.listed,
            truncated: listing.truncated,
            samples: &samples,
            namespaces: &scope.namespaces,
            missing: &missing,
        },
    );
    printer.print(&match nothing {
        Some(empty) => Report { empty, ..report },
        None => report,
    })?;
    if listing.truncated {
        let matched: Vec<_> =
            samples.tables.iter().map(|sample| format!("{} in the table of {}", sample.matched, sample.node)).collect();
        printer.note(&format!("note: {} listed, of {}", listing.listed.len(), matched.join(", ")));
    }
    printer.explain(&view);
    printer.judge(&view)
}

/// What is said where nobody needs to be asked.
fn nothing(ends: &[(&str, &Vec<Selector>, Meant); 3], scope: &Scope, view: &View, args: &ConnsArgs) -> Option<String> {
    let nobody = ends.iter().find(|(_, wanted, found)| !wanted.is_empty() && found.is_empty());
    if let Some((flag, wanted, _)) = nobody {
        let texts: Vec<_> = wanted.iter().map(ToString::to_string).collect();
        Some(format!("No connections of {} ({flag}) found.", texts.join(", ")))
    } else if scope.is_narrow() && scope.addresses(view).is_empty() {
        let labels = args.selector.as_deref().map(|labels| format!(" of pods labelled {labels}")).unwrap_or_default();
        Some(format!("No connections{labels} found{}.", in_namespaces(&scope.namespaces)))
    } else {
        None
    }
}

async fn sample(feed: &Feed, request: SampleRequest) -> Result<Samples, Failure> {
    feed.handle.sample(request).await.map_err(|error| match error {
        DetailError::CountsOnly(_) => Failure::usage(error),
        error => Failure::unreachable(error),
    })
}

/// Which connections may be listed at all.
struct Scope {
    /// `-n`; empty for all.
    namespaces: Vec<String>,
    /// Addresses of the pods that `-l` names.
    labelled: Option<HashSet<IpAddr>>,
}

impl Scope {
    fn new(view: &View, namespaces: Vec<String>, labelled: Option<&LabelSelection>) -> Self {
        let addresses = |pods: &LabelSelection| {
            let endpoints = view.endpoints.iter().zip(pods.among(&view.endpoints));
            endpoints.filter_map(|(endpoint, named)| endpoint.ip.filter(|_| named)).collect()
        };
        Self { namespaces, labelled: labelled.map(addresses) }
    }

    fn is_narrow(&self) -> bool {
        self.labelled.is_some() || !self.namespaces.is_empty()
    }

    /// Every connection in scope has one of these at an end; empty when all are in scope.
    fn addresses(&self, view: &View) -> Vec<IpAddr> {
        let mut seen = HashSet::new();
        let within = view.endpoints.iter().filter(|e| self.namespaces.iter().any(|ns| **ns == *e.owner.ns));
        let within = within.filter_map(|endpoint| endpoint.ip);
        match &self.labelled {
            Some(labelled) => labelled.iter().copied().collect(),
            None => within.filter(|ip| seen.insert(*ip)).collect(),
        }
    }

    fn holds(&self, owners: &Owners<'_>, c: &Connection) -> bool {
        let ends = [c.src, c.dst, c.reply_src];
        let named = |name: &str| self.namespaces.iter().any(|ns| ns == name);
        let within = |ip: &IpAddr| match c.previous.iter().find(|owner| owner.ip == Some(*ip)) {
            Some(previous) => named(&previous.owner.ns),
            None => owners.get(ip).is_some_and(|owner| named(&owner.owner.ns)),
        };
        (self.namespaces.is_empty() || ends.iter().any(within))
            && self.labelled.as_ref().is_none_or(|labelled| ends.iter().any(|ip| labelled.contains(ip)))
    }
}

fn protocol(text: &str) -> Result<Protocol, Failure> {
    let found = Protocol::ALL.into_iter().find(|protocol| protocol.as_str().eq_ignore_ascii_case(text));
    found.ok_or_else(|| Failure::usage(format_args!("--proto: {text:?} is not one of tcp, udp, sctp")))
}

/// A single state; what it stands for is decided on the node.
fn state(text: &str) -> Result<KnownState, Failure> {
    let name = text.replace('-', "_").to_ascii_uppercase();
    KnownState::from_name(&name).ok_or_else(|| {
        let names: Vec<_> = KnownState::all_known().map(|state| state.as_str().to_ascii_lowercase()).collect();
        Failure::usage(format_args!("--state: {text:?} is not one of {}", names.join(", ")))
    })
}

/// The addresses that the selectors match; a selector that is an address matches it even if its owner is unknown.
pub(crate) fn addresses(view: &View, selectors: &[Selector]) -> Vec<IpAddr> {
    let mut seen = HashSet::new();
    let named = selectors.iter().filter_map(|selector| match selector {
        Selector::Address(range) => range.single(),
        _ => None,
    });
    let known = view.endpoints.iter().filter(|endpoint| selectors.iter().any(|selector| selector.matches(endpoint)));
    named.chain(known.filter_map(|endpoint| endpoint.ip)).filter(|ip| seen.insert(*ip)).collect()
}

/// What selectors mean.
struct Meant {
    addresses: Vec<IpAddr>,
    /// Ports of nodes that lead to a service that is meant.
    sockets: BTreeSet<(IpAddr, u16, Protocol)>,
}

impl Meant {
    fn of(view: &View, selectors: &[Selector], dialled: bool) -> Self {
        let meant = |service: u32| {
            let service = &view.endpoints[service as usize];
            selectors.iter().any(|selector| selector.matches(service))
        };
        let rows = view.rows().filter(|row| dialled && row.service.is_some_and(meant));
        let socket = |row: RowRef<'_>| Some((view.endpoints[row.dst as usize].ip?, row.row.port, row.row.protocol?));
        Self { addresses: addresses(view, selectors), sockets: rows.filter_map(socket).collect() }
    }

    fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.sockets.is_empty()
    }

    /// The addresses that agents are asked about.
    fn asked(&self) -> Vec<IpAddr> {
        let mut asked = self.addresses.clone();
        for (ip, ..) in &self.sockets {
            if !asked.contains(ip) {
                asked.push(*ip);
            }
        }
        asked
    }

    /// The port that all that is meant was dialled at.
    fn port(&self) -> Option<u16> {
        let (_, port, _) = self.sockets.first()?;
        (self.addresses.is_empty() && self.sockets.iter().all(|(_, other, _)| other == port)).then_some(*port)
    }

    fn holds_client(&self, c: &Connection) -> bool {
        self.is_empty() || self.addresses.contains(&c.src)
    }

    fn holds_server(&self, c: &Connection) -> bool {
        let dialled = self.sockets.contains(&(c.dst, c.dst_port, c.protocol));
        self.is_empty() || dialled || [c.dst, c.reply_src].iter().any(|ip| self.addresses.contains(ip))
    }

    fn holds_either(&self, c: &Connection) -> bool {
        self.holds_client(c) || self.holds_server(c)
    }
}

/// Every connection once. One across nodes stands in two tables, and the reply tuple is the same in both: where a node
/// masquerades the client, its own table has the real one, and the client's says what was dialled.
fn distinct(samples: &[ConnectionSample]) -> Vec<Single<'_>> {
    let mut index: HashMap<_, usize> = HashMap::new();
    let mut found: Vec<Single<'_>> = Vec::new();
    let tells = |c: &Connection| u8::from(c.src != c.reply_dst) + u8::from(c.dst != c.reply_src);
    for sample in samples {
        for connection in &sample.connections {
            let c = connection;
            // Every node has its own loopback.
            let home = c.reply_src.is_loopback().then_some(&*sample.node);
            let key = (c.protocol, c.reply_src, c.reply_src_port, c.reply_dst, c.reply_dst_port, home);
            match index.get(&key) {
                Some(at) if tells(c) > tells(found[*at].connection) => {
                    found[*at] = Single { node: &sample.node, connection }
                }
                Some(_) => {}
                None => {
                    index.insert(key, found.len());
                    found.push(Single { node: &sample.node, connection });
                }
            }
        }
    }
    found
}

/// What is listed.
struct Listing<'a> {
    listed: Vec<Single<'a>>,
    /// There is more of them.
    truncated: bool,
}

impl<'a> Listing<'a> {
    /// Every connection once, within the scope, those that were active last before the others.
    fn of(
        view: &'a View,
        samples: &'a [ConnectionSample],
        within: impl Fn(&Owners<'_>, &Single<'_>) -> bool,
        limit: usize,
        by_state: bool,
    ) -> Self {
        let owners = owners(view);
        let is_cut = |sample: &&ConnectionSample| sample.matched > sample.connections.len() as u64;
        // The client's node lists it as well, or others with as much right where it lists some only, or has it in another
        // state; there it says what was dialled.
        let first: HashSet<&str> =
            samples.iter().filter(|sample| by_state || is_cut(sample)).map(|sample| sample.node.as_str()).collect();
        let elsewhere = |node: &str, c: &Connection| {
            owners.get(&c.src).is_some_and(|client| *client.owner.node != *node && first.contains(&*client.owner.node))
        };
        let mut listed = distinct(samples);
        listed.retain(|one| !elsewhere(one.node, one.connection) && within(&owners, one));
        listed.sort_by_key(|Single { connection: c, .. }| {
            (c.idle_seconds.unwrap_or(u32::MAX), c.src, c.src_port, c.dst, c.dst_port)
        });
        let truncated = samples.iter().any(|sample| is_cut(&sample)) || listed.len() > limit;
        listed.truncate(limit);
        Self { listed, truncated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(src: &str, dst: &str, reply: &str) -> Connection {
        serde_json::from_value(
            serde_json::json!({"protocol": "tcp", "state": "ESTABLISHED", "src": src, "src_port": 40_000, "dst": dst,
            "dst_port": 80, "reply_src": reply, "reply_src_port": 8080, "reply_dst": src, "reply_dst_port": 40_000,
            "timeout_seconds": 10, "idle_seconds": null}),
        )
        .unwrap()
    }

    fn sample(node: &str, connection: Connection) -> ConnectionSample {
        ConnectionSample { node: node.into(), connections: vec![connection], matched: 1, ..ConnectionSample::default() }
    }

    #[test]
    fn the_clients_table_says_more_than_the_servers() {
        let server = sample("n2", connection("10.1.0.4", "10.1.1.9", "10.1.1.9"));
        let client = sample("n1", connection("10.1.0.4", "10.96.0.1", "10.1.1.9"));
        for samples in [[server.clone(), client.clone()], [client, server]] {
            let found = distinct(&samples);
            assert_eq!(found.len(), 1);
            assert_eq!((found[0].node, found[0].connection.dst.to_string()), ("n1", "10.96.0.1".to_owned()));
        }
    }

    #[test]
    fn behind_a_masquerade_the_real_client_is_listed() {
        let server = sample("n2", connection("10.0.0.1", "10.1.1.9", "10.1.1.9"));
        let mut real = connection("203.0.113.7", "10.0.0.1", "10.1.1.9");
        (real.reply_dst, real.dst_port) = ("10.0.0.1".parse().unwrap(), 30_080);
        let entry = sample("n1", real);
        for samples in [[server.clone(), entry.clone()], [entry, server]] {
            let found = distinct(&samples);
            assert_eq!(found.len(), 1);
            assert_eq!((found[0].node, found[0].connection.src.to_string()), ("n1", "203.0.113.7".to_owned()));
        }
    }
}
