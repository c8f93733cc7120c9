//! Whatever a snapshot holds, its page has no label set twice, and sums are exact: owners that print alike become one line.

#[path = "kernel/page.rs"]
#[allow(dead_code, reason = "a part of it is for programs")]
mod page;

use std::collections::BTreeMap;
use std::net::IpAddr;

use khan_agent::flows::{Address, Flow, Status, Tcp, Tuple};
use khan_agent::identities::Endpoint;
use khan_agent::metrics_page::fold::Folder;
use khan_agent::metrics_page::{Destination, ExtraLabel, Page, Settings};
use khan_agent::snapshot::{OTHER, Origin, Row, Snapshot};
use khan_agent::table::Class;
use khan_api::{Kind, Owner, Protocol, TcpState};
use khan_serve::exposition::Exposition;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::page::Labels;

const EXTRAS: [ExtraLabel; 7] = [
    ExtraLabel::DstPort,
    ExtraLabel::Transport,
    ExtraLabel::State,
    ExtraLabel::Zone,
    ExtraLabel::Service,
    ExtraLabel::Backend,
    ExtraLabel::Workload,
];

/// Few of each, so that owners are alike in what is printed and differ in what is not, such as their life or their node.
fn endpoint() -> impl Strategy<Value = Endpoint> {
    let ip = select(vec![None, Some(IpAddr::from([10, 1, 0, 5])), Some(IpAddr::from([10, 1, 0, 6]))]);
    let kind = select(vec![Kind::Unknown, Kind::Pod, Kind::External]);
    let app = select(vec!["", "a\\\"", "b", OTHER]);
    let name = select(vec!["", "postgres-0"]);
    // An app's text that reads like the end of a label and the start of the next.
    let ns = select(vec!["", "shop", "\",src_app=\"b"]);
    let unprinted = (select(vec!["", "postgres"]), select(vec!["", "n1", "n2"]), any::<bool>());
    (ip, kind, ns, app, name, unprinted).prop_map(|(ip, kind, ns, app, name, (workload, node, previous))| {
        let (ns, app, workload, name, node) = (ns.into(), app.into(), workload.into(), name.into(), node.into());
        Endpoint { ip, owner: Owner { kind, ns, app, workload, name, node }.into(), previous, dead: None }
    })
}

/// `state` is one of three: established, idle, closing.
fn class(protocol: Protocol, state: u8) -> Class {
    let address = Address::from_v4(0x0a01_0005);
    let tuple = Tuple { src: address, dst: address, src_port: 1, dst_port: 1 };
    let is = if state == 2 { TcpState::CloseWait } else { TcpState::Established };
    let flow = Flow {
        original: tuple,
        reply: tuple,
        protocol: 6,
        status: Status(Status::SEEN_REPLY | Status::ASSURED),
        timeout: Some(100),
        tcp: (protocol == Protocol::Tcp).then(|| Tcp { state: is, ..Tcp::default() }),
        zone: 0,
        idle: None,
    };
    Class::of(&flow, protocol, Some(if state == 1 { 1000 } else { 0 }), 600, [false; 3])
}

fn row(endpoints: u32) -> impl Strategy<Value = Row> {
    let ends = (0..endpoints, 0..endpoints, 0..endpoints);
    let class = (select(Protocol::ALL.to_vec()), 0..3_u8).prop_map(|(protocol, state)| class(protocol, state));
    (ends, 80..82_u16, 80..82_u16, 0..2_u16, class, 1..5_u32).prop_map(
        |((src, dst, backend), port, backend_port, zone, class, count)| Row {
            src,
            dst,
            backend,
            port,
            backend_port,
            zone,
            class,
            count,
        },
    )
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    (1..24_u32).prop_flat_map(|most| {
        let endpoints = vec(endpoint(), most as usize);
        (endpoints, vec(row(most), 0..80)).prop_map(|(endpoints, rows)| Snapshot {
            origin: Origin { node: "n1".into(), ..Origin::default() },
            connections: rows.iter().map(|row| u64::from(row.count)).sum(),
            endpoints,
            rows,
            ..Snapshot::default()
        })
    })
}

fn settings() -> impl Strategy<Value = Settings> {
    let destination = select(vec![Destination::Service, Destination::Backend]);
    let max_series = select(vec![3, 5, 12, 20_000]);
    (subsequence(EXTRAS.to_vec(), 0..=EXTRAS.len()), destination, max_series).prop_map(
        |(extra_labels, destination, max_series)| Settings {
            extra_labels,
            destination,
            max_series,
            ..Settings::default()
        },
    )
}

/// What a row's line says, read off the documentation and not off the code that prints it.
fn labels_of(snapshot: &Snapshot, settings: &Settings, row: &Row) -> Labels {
    let backend = settings.destination == Destination::Backend;
    let mut labels = Labels::new();
    let mut add = |name: &str, value: &str| labels.insert(name.to_owned(), value.to_owned());
    add("node", &snapshot.origin.node);
    add("side", snapshot.side(row.src).as_str());
    for (end, index) in [("src", row.src), ("dst", if backend { row.backend } else { row.dst })] {
        let Endpoint { ip, owner, .. } = &snapshot.endpoints[index as usize];
        let many = ip.is_none() && owner.app == OTHER;
        add(&format!("{end}_type"), if many { "" } else { owner.kind.as_str() });
        add(&format!("{end}_ip"), &ip.map(|ip| ip.to_string()).unwrap_or_default());
        add(&format!("{end}_ns"), &owner.ns);
        add(&format!("{end}_app"), &owner.app);
        add(&format!("{end}_name"), &owner.name);
        if settings.extra_labels.contains(&ExtraLabel::Workload) {
            add(&format!("{end}_workload"), &owner.workload);
        }
    }
    let short = |index: u32| {
        let Endpoint { ip, owner, .. } = &snapshot.endpoints[index as usize];
        match (owner.ns.as_str(), owner.name.as_str()) {
            (_, "") => ip.map(|ip| ip.to_string()).unwrap_or_default(),
            ("", name) => name.to_owned(),
            (ns, name) => format!("{ns}/{name}"),
        }
    };
    for extra in &settings.extra_labels {
        match extra {
            ExtraLabel::DstPort => {
                add("dst_port", &if backend { row.backend_port } else { row.port }.to_string());
            }
            ExtraLabel::Transport => {
                add("transport", row.class.protocol().as_str());
            }
            ExtraLabel::State => {
                add("state", row.class.state().as_str());
            }
            ExtraLabel::Zone => {
                add("zone", &row.zone.to_string());
            }
            ExtraLabel::Service => {
                add("service", &short(row.dst));
            }
            ExtraLabel::Backend => {
                add("backend", &short(row.backend));
            }
            ExtraLabel::Workload => {}
        }
    }
    labels
}

/// Sums of connections and of idle ones.
fn sums<K: Ord>(snapshot: &Snapshot, settings: &Settings, key: impl Fn(&Labels) -> K) -> [BTreeMap<K, u64>; 2] {
    let mut sums = [BTreeMap::new(), BTreeMap::new()];
    for row in &snapshot.rows {
        let labels = labels_of(snapshot, settings, row);
        for (sums, counts) in sums.iter_mut().zip([true, row.class.idle()]) {
            if counts {
                *sums.entry(key(&labels)).or_default() += u64::from(row.count);
            }
        }
    }
    sums
}

proptest! {
    #[test]
    fn no_label_set_is_there_twice_and_sums_are_exact(snapshot in snapshot(), settings in settings()) {
        let page = Page::new(&snapshot, &settings, &mut Folder::default());
        let (mut writer, mut text, mut chunk) = (page.writer(Exposition::Text), Vec::new(), Vec::new());
        while writer.fill(&page, &mut chunk) {
            text.append(&mut chunk);
        }
        let text = String::from_utf8(text).expect("the page is UTF-8");
        // Reading it fails on a label set that appears twice.
        let lines = ["khan_connection", "khan_connection_idle"].map(|metric| page::lines(&text, metric));
        prop_assert_eq!(lines[0].len(), page.series());
        prop_assert!(page.series() <= settings.max_series);
        let whole = sums(&snapshot, &settings, Labels::clone);
        if page.folded().series == 0 {
            prop_assert_eq!(lines.map(|lines| lines.into_iter().collect::<BTreeMap<_, _>>()), whole);
        } else {
            let of_side = |labels: &Labels| labels["side"].clone();
            let by_side = lines.map(|lines| {
                lines.iter().fold(BTreeMap::new(), |mut sums, (labels, count)| {
                    *sums.entry(of_side(labels)).or_default() += count;
                    sums
                })
            });
            prop_assert_eq!(by_side, sums(&snapshot, &settings, of_side));
        }
    }
}
