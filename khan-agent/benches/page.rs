//! Writing a page, against the `prometheus` crate's encoder over the same rows.
//!
//! `cargo bench -p khan-agent --bench page [-- SERIES...]`

#[allow(dead_code, reason = "each benchmark uses its part")]
mod support;

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Duration;

use khan_agent::identities::Endpoint;
use khan_agent::metrics_page::fold::Folder;
use khan_agent::metrics_page::{Page, Settings};
use khan_agent::snapshot::{Origin, Row, Snapshot};
use khan_agent::table::Class;
use khan_api::{Kind, Owner, Protocol};
use khan_serve::exposition::Exposition;
use prometheus::{Encoder, IntGaugeVec, Opts, Registry, TextEncoder};
use support::clock::{cpu, median, nanos_each};

const TURNS: usize = 15;
const LABELS: [&str; 12] = [
    "node", "src_type", "src_ip", "src_ns", "src_app", "src_name", "dst_type", "dst_ip", "dst_ns", "dst_app",
    "dst_name", "side",
];

fn main() {
    println!("CPU time in ns a series, the fastest of {TURNS} turns");
    println!(
        "{:>8}{:>8}{:>8}{:>8}{:>8}{:>14}{:>12}{:>20}",
        "series", "bytes", "make", "write", "gzip", "gzip bytes", "prometheus", "prometheus : write"
    );
    for series in support::sizes(&[20_000, 100_000]) {
        let snapshot = snapshot(series);
        let settings = Settings { max_series: series as usize, ..Settings::default() };
        let (mut make, mut write, mut gzip, mut peer) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut plain, mut compressed) = (0, 0);
        for turn in 0..TURNS {
            let mut page = None;
            make.push(took(|| page = Some(Page::new(&snapshot, &settings, &mut Folder::default()))));
            let page = page.unwrap_or_else(|| unreachable!("made in the line before"));
            assert_eq!(page.series(), series as usize, "every row is a series");
            plain = 0;
            write.push(took(|| plain = written(&page)));
            gzip.push(took(|| compressed = page.deflated(Exposition::Text).len()));
            if turn < 3 {
                peer.push(took(|| assert!(encoded(&snapshot) > 0)));
            }
        }
        let each = |times: &[Duration]| nanos_each(times, &[], f64::from(series));
        println!(
            "{series:>8}{:>8.0}{:>8.0}{:>8.1}{:>8.0}{:>14.1}{:>12.0}{:>20.0}",
            plain as f64 / f64::from(series),
            each(&make),
            each(&write),
            each(&gzip),
            compressed as f64 / f64::from(series),
            each(&peer),
            median(peer.iter().zip(&write).map(|(peer, write)| peer.as_secs_f64() / write.as_secs_f64()).collect()),
        );
    }
    println!("make: series and their fragments, once a snapshot; write: the whole page in chunks, as for each scrape;");
    println!("gzip: once a snapshot, on first demand; prometheus: IntGaugeVec reset and set, gather, TextEncoder");
}

fn took(work: impl FnOnce()) -> Duration {
    let Ok(time) = cpu(|| {
        work();
        Ok::<_, Infallible>(())
    });
    time
}

/// Writes the page as it is sent, and forgets it.
fn written(page: &Page) -> usize {
    let (mut writer, mut len) = (page.writer(Exposition::Text), 0);
    loop {
        let mut chunk = Vec::with_capacity(64 * 1024);
        if !writer.fill(page, &mut chunk) {
            return len;
        }
        len += black_box(&chunk).len();
    }
}

/// The same rows through the `prometheus` crate.
fn encoded(snapshot: &Snapshot) -> usize {
    let registry = Registry::new();
    let gauge = IntGaugeVec::new(Opts::new("khan_connection", "Tracked connections."), &LABELS);
    let gauge = gauge.unwrap_or_else(|error| panic!("{error}"));
    registry.register(Box::new(gauge.clone())).unwrap_or_else(|error| panic!("{error}"));
    gauge.reset();
    for row in &snapshot.rows {
        let (src, dst) = (&snapshot.endpoints[row.src as usize], &snapshot.endpoints[row.dst as usize]);
        let ips = [src, dst].map(|end| end.ip.map(|ip| ip.to_string()).unwrap_or_default());
        gauge
            .with_label_values(&[
                snapshot.origin.node.as_str(),
                src.owner.kind.as_str(),
                &ips[0],
                &src.owner.ns,
                &src.owner.app,
                &src.owner.name,
                dst.owner.kind.as_str(),
                &ips[1],
                &dst.owner.ns,
                &dst.owner.app,
                &dst.owner.name,
                snapshot.side(row.src).as_str(),
            ])
            .set(row.count.into());
    }
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text).unwrap_or_else(|error| panic!("{error}"));
    text.len()
}

/// As many rows, each of its own pair of pods: every client talks to twenty.
fn snapshot(series: u32) -> Snapshot {
    let clients = series.div_ceil(20);
    let pod = |number: u32, net: u8| Endpoint {
        ip: Some(std::net::Ipv4Addr::from_bits(u32::from(net) << 24 | number).into()),
        owner: Owner {
            kind: Kind::Pod,
            ns: format!("namespace-{}", number % 50).into(),
            app: format!("application-{}", number % 500).into(),
            workload: format!("application-{}", number % 500).into(),
            name: format!("application-{}-6d4cf56db6-{number:05}", number % 500).into(),
            node: format!("ip-10-0-{}.eu-central-1.compute.internal", number % 100).into(),
        }
        .into(),
        previous: false,
        dead: None,
    };
    let endpoints = (0..clients).map(|n| pod(n, 10)).chain((0..2000).map(|n| pod(n, 11))).collect();
    let class = Class::of(&khan_agent::flows::Flow::default(), Protocol::Udp, None, 600, [false; 3]);
    let rows = (0..series).map(|n| {
        let (src, dst) = (n / 20, clients + (n * 7919) % 2000);
        Row { src, dst, backend: dst, port: 80, backend_port: 8080, zone: 0, class, count: n % 300 + 1 }
    });
    let mut rows: Vec<Row> = rows.collect();
    rows.sort_unstable_by_key(|row| (row.src, row.dst));
    let origin = Origin { node: "ip-10-0-17.eu-central-1.compute.internal".to_owned(), ..Origin::default() };
    Snapshot { origin, endpoints, rows, ..Snapshot::default() }
}
