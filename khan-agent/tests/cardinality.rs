//! A bounded number of series of as many pairs as a table can hold: an exact sum, and the same pairs from scan to scan.

#[path = "kernel/page.rs"]
#[allow(dead_code, reason = "a part of it is for programs")]
mod page;

use std::collections::BTreeSet;
use std::time::Duration;

use khan_agent::flows::{Address, Flow, Sink, Status, Tcp, Tuple};
use khan_agent::identities::{ExternalNames, Identities};
use khan_agent::metrics_page::fold::Folder;
use khan_agent::metrics_page::{Page, Settings};
use khan_agent::scan::Scan;
use khan_agent::snapshot::{Origin, Snapshot, build};
use khan_agent::table::{self, Table};
use khan_api::{Identity, Kind, Owner, ResolveAnswer, TcpState};
use khan_serve::exposition::Exposition;

/// A million pairs; a fifth of them where the compiler does not optimise, which takes as long.
const CLIENTS: u32 = if cfg!(debug_assertions) { 200 } else { 1000 };
const SERVERS: u32 = 1000;
const PAIRS: u32 = CLIENTS * SERVERS;

fn client(n: u32) -> Address {
    Address::from_v4(0x0a01_0000 + n)
}

fn server(n: u32) -> Address {
    Address::from_v4(0x0a02_0000 + n)
}

/// Everybody is one of twenty apps.
fn identities() -> Identities {
    let pod = |address: Address, n: u32| {
        let owner = Owner {
            kind: Kind::Pod,
            ns: "shop".into(),
            app: format!("app-{}", n % 20).into(),
            name: format!("app-{}-{n}", n % 20).into(),
            node: ["n1", "n2"][n as usize % 2].into(),
            ..Owner::default()
        };
        (address.ip(), Identity { owner, ..Identity::default() })
    };
    let known = (0..SERVERS).flat_map(|n| [pod(client(n), n), pod(server(n), n)]).collect();
    let mut identities = Identities::new("n1", "", ExternalNames::default());
    let answer = ResolveAnswer { identities: known, ranges: vec!["10.0.0.0/8".to_owned()], ..ResolveAnswer::default() };
    identities.apply(&[], &[], answer);
    identities
}

/// One connection of every pair.
fn everybody_with_everybody() -> Snapshot {
    let mut table = Table::new(table::Settings { most_rows: usize::MAX, ..table::Settings::default() });
    table.begin();
    for n in 0..PAIRS {
        let (client, server) = (client(n % CLIENTS), server(n / CLIENTS));
        let flow = Flow {
            original: Tuple { src: client, dst: server, src_port: 40_000, dst_port: 80 },
            reply: Tuple { src: server, dst: client, src_port: 80, dst_port: 40_000 },
            protocol: 6,
            status: Status(Status::SEEN_REPLY | Status::ASSURED),
            timeout: Some(100),
            tcp: Some(Tcp { state: TcpState::Established, ..Tcp::default() }),
            zone: 0,
            idle: None,
        };
        if n % 140 == 0 {
            table.settle();
            table.batch();
        }
        table.flow(&flow);
    }
    table.settle();
    assert_eq!((table.v4().len(), table.counts().connections), (PAIRS as usize, u64::from(PAIRS)));
    let origin = Origin { node: "n1".to_owned(), ..Origin::default() };
    build::build(&origin, 1, Duration::from_secs(30), &Scan::default(), &table, &identities())
}

/// The lines of a page, none of which has the labels of another.
fn lines(snapshot: &Snapshot, folder: &mut Folder) -> Vec<(page::Labels, u64)> {
    let settings = Settings::default();
    let page = Page::new(snapshot, &settings, folder);
    assert!(page.series() <= settings.max_series);
    let (mut writer, mut text, mut chunk) = (page.writer(Exposition::Text), Vec::new(), Vec::new());
    while writer.fill(&page, &mut chunk) {
        text.append(&mut chunk);
    }
    page::lines(&String::from_utf8(text).expect("the page is UTF-8"), "khan_connection")
}

/// The pairs that kept their labels.
fn kept(lines: &[(page::Labels, u64)]) -> BTreeSet<(&str, &str)> {
    let pairs = lines.iter().map(|(labels, _)| (labels["src_ip"].as_str(), labels["dst_ip"].as_str()));
    pairs.filter(|(src, _)| !src.is_empty()).collect()
}

#[test]
fn the_sum_stays_and_no_pair_flaps() {
    let mut snapshot = everybody_with_everybody();
    // As a scan sees them: from one to some thousand connections, by rank, and a little more or less at each scan.
    let ranks: Vec<u32> = (0..PAIRS).map(|n| n.wrapping_mul(0x9e37_79b1) % PAIRS).collect();
    let mut folder = Folder::default();
    let mut first = Vec::new();
    for scan in 0..3_u32 {
        let mut total = [0_u64; 2];
        for (n, (row, rank)) in (0_u32..).zip(snapshot.rows.iter_mut().zip(&ranks)) {
            let usual = 100 + 10_000_000 / (rank + 1000);
            row.count = usual + usual * ((n ^ scan.wrapping_mul(0x5bd1)) % 7) / 100;
            let side = usize::from(snapshot.endpoints[row.src as usize].owner.node != "n1");
            total[side] += u64::from(row.count);
        }
        let lines = lines(&snapshot, &mut folder);
        let sum = |side: &str| lines.iter().filter(|line| line.0["side"] == side).map(|line| line.1).sum::<u64>();
        assert_eq!([sum("client"), sum("server")], total, "scan {scan}");
        if scan == 0 {
            assert!(kept(&lines).len() >= 14_000, "{} pairs keep their labels", kept(&lines).len());
            first = lines;
        } else {
            let (before, now) = (kept(&first), kept(&lines));
            assert_eq!(before.symmetric_difference(&now).count(), 0, "pairs came and went in scan {scan}");
        }
    }
}
