//! What is done for each entry, and for each line of a page, allocates nothing.

use allocation_counter::{AllocationInfo, measure};
use khan_agent::flows::{Address, Flow, Sink, Status, Tcp, Tuple};
use khan_agent::identities::{Endpoint, answer};
use khan_agent::metrics_page::fold::Folder;
use khan_agent::metrics_page::{Page, Settings};
use khan_agent::snapshot::{Row, Snapshot};
use khan_agent::table::{self, Class, Table};
use khan_api::{Kind, Owner, Protocol, ResolveRequest, TcpState};
use khan_serve::exposition::Exposition;

/// The `n`th of the entries between `pairs` clients and a server.
fn flow(n: u32, pairs: u32, address: fn(u32) -> Address) -> Flow {
    let (client, service, backend) = (address(n % pairs), address(1 << 20), address(1 << 21));
    let src_port = u16::try_from(1024 + n / pairs).expect("a port");
    Flow {
        original: Tuple { src: client, dst: service, src_port, dst_port: 80 },
        reply: Tuple { src: backend, dst: client, src_port: 8080, dst_port: src_port },
        protocol: 6,
        status: Status(Status::SEEN_REPLY | Status::ASSURED),
        timeout: Some(100),
        tcp: Some(Tcp { state: TcpState::Established, ..Tcp::default() }),
        zone: 0,
        idle: None,
    }
}

fn fold(table: &mut Table, entries: u32, pairs: u32, address: fn(u32) -> Address) -> AllocationInfo {
    measure(|| {
        table.begin();
        for n in 0..entries {
            if n % 140 == 0 {
                table.settle();
                table.batch();
            }
            table.flow(&flow(n, pairs, address));
        }
        table.settle();
    })
}

#[test]
fn an_entry_allocates_nothing() {
    for address in [Address::from_v4 as fn(u32) -> Address, |n| Address::from_v6(u128::from(n))] {
        let mut table = Table::new(table::Settings::default());
        // Rows of new pairs take memory, a power of two at a time.
        let first = fold(&mut table, 10_000, 1000, address);
        assert!(first.count_total < 40, "{first:?}");
        for entries in [10_000, 100_000] {
            let info = fold(&mut table, entries, 1000, address);
            assert_eq!(table.counts().connections, u64::from(entries));
            assert_eq!(info, AllocationInfo::default(), "{entries} entries");
        }
    }
}

/// As many rows as `rows`, of twenty destinations for each source.
fn snapshot(rows: u32) -> Snapshot {
    let pod = |n: u32| Endpoint {
        ip: Some(std::net::Ipv4Addr::from_bits(n).into()),
        owner: Owner {
            kind: Kind::Pod,
            ns: "a-namespace".into(),
            app: format!("an-application-{n}").into(),
            workload: "an-application".into(),
            name: format!("an-application-{n}-6d4cf56db6-abcde").into(),
            node: "a-node".into(),
        }
        .into(),
        previous: false,
        dead: None,
    };
    let class = Class::of(&flow(0, 1, Address::from_v4), Protocol::Tcp, Some(700), 600, [false; 3]);
    let row = |n: u32| Row {
        src: n / 20,
        dst: rows / 20 + n % 20,
        backend: rows / 20 + n % 20,
        port: 80,
        backend_port: 8080,
        zone: 0,
        class,
        count: n + 1,
    };
    let endpoints = (0..rows / 20 + 20).map(pod).collect();
    Snapshot { endpoints, rows: (0..rows).map(row).collect(), ..Snapshot::default() }
}

fn page(series: u32) -> Page {
    let settings = Settings { max_series: series as usize, ..Settings::default() };
    let page = Page::new(&snapshot(series), &settings, &mut Folder::default());
    assert_eq!(page.series(), series as usize);
    page
}

#[test]
fn a_line_allocates_nothing() {
    let mut written = Vec::new();
    for series in [20_000, 100_000] {
        let page = page(series);
        let mut chunk = Vec::with_capacity(64 * 1024);
        let mut len = 0;
        let info = measure(|| {
            let mut writer = page.writer(Exposition::Text);
            while writer.fill(&page, &mut chunk) {
                len += chunk.len();
                chunk.clear();
            }
        });
        assert!(len > series as usize * 2 * 200, "{len} bytes");
        assert!(chunk.capacity() == 64 * 1024, "a chunk grew to {} bytes", chunk.capacity());
        written.push(info);
    }
    assert_eq!(written[0], written[1], "five times the lines");
    assert!(written[0].count_total < 10 && written[0].bytes_max < 1024, "{:?}", written[0]);
}

/// Beside the compressed page itself, which is kept.
#[test]
fn compressing_needs_little() {
    for series in [20_000, 100_000] {
        let page = page(series);
        let mut kept = 0;
        let info = measure(|| kept = page.deflated(Exposition::Text).len());
        let extra = info.bytes_max - kept as u64;
        assert!(extra < 2 << 20, "{extra} bytes beside the {kept} that are kept of {series} series");
        let again = measure(|| assert_eq!(page.deflated(Exposition::Text).len(), kept));
        assert_eq!(again, AllocationInfo::default(), "made once");
    }
}

/// Rows and endpoints are made one by one while they are written.
#[test]
fn a_snapshot_as_json_needs_little() {
    let snapshot = snapshot(100_000);
    let info = measure(|| serde_json::to_writer(std::io::sink(), &snapshot.to_wire(20_000)).expect("written"));
    assert!(info.bytes_max < 4 << 20, "{} bytes", info.bytes_max);
    let written = serde_json::to_value(snapshot.to_wire(20_000)).expect("written");
    assert_eq!(written, serde_json::to_value(snapshot.to_api(20_000)).expect("written"));
    assert_eq!((written["rows"].as_array().map(Vec::len), &written["rest"]["rows"]), (Some(20_000), &80_000.into()));
}

/// An owner's name is bounded while it is decoded, wherever the owner stands.
#[test]
fn a_name_of_a_hundred_megabytes_costs_no_memory() {
    let name = "x".repeat(100_000_000);
    let request = ResolveRequest { new: vec!["10.0.0.1".parse().expect("an address")], ..ResolveRequest::default() };
    let asked = answer::Asked::of(&request);
    let owner = format!(r#"{{"type":"pod","name":"{name}"}}"#);
    for identity in [owner.clone(), format!(r#"{{"type":"pod","previous":[{owner}]}}"#)] {
        let body = format!(r#"{{"cursor":"1-1","identities":{{"10.0.0.1":{identity}}}}}"#);
        let info = measure(|| assert!(answer::read(body.as_bytes(), &asked).is_ok()));
        assert!(info.bytes_max < 16 << 10, "{} bytes for an identity", info.bytes_max);
    }
    let endpoint = owner.replacen('{', r#"{"ip":"10.0.0.1","#, 1);
    let info = measure(|| assert!(serde_json::from_str::<khan_api::snapshot::Endpoint>(&endpoint).is_ok()));
    assert!(info.bytes_max < 16 << 10, "{} bytes for an endpoint", info.bytes_max);
}
