//! A table of twice as many pairs as the agent keeps, while clients ask for everything and read nothing. What grows with
//! pairs has grown to its bound by then; `cargo bench -p khan-agent --bench budget` does the same with four million.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use khan_api::Snapshot;
use khan_lab::{Host, Lab, Result, Seed, until};

use crate::page::{lines, number};
use crate::support::{agent, deaf, status};

const PATIENCE: Duration = Duration::from_mins(3);
const PAIRS: u32 = 150_000;
/// Pairs of many connections, and how many the `n`th has.
const PLANTED: u32 = 40;
const READERS: usize = 120;
/// The budget of DESIGN.md, and what the program takes of it when it is idle (`benches/README.md`). A program that was
/// built for debugging is larger on disk, and so in memory, so what is held is the growth.
const BUDGET_KIB: u64 = 64 << 10;
const IDLE_KIB: u64 = 8 << 10;

fn planted(n: u32) -> u16 {
    u16::try_from(200 + n).expect("small")
}

fn client(n: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a09_0000 + n).into()
}

fn plant(numbers: std::ops::Range<u32>) -> impl Iterator<Item = Seed> + Send {
    let one = |n: u32| {
        (0..planted(n)).map(move |port| Seed::tcp((client(n), 10_000 + port), ([10, 96, 0, 7], 5432)).timeout(86_000))
    };
    numbers.flat_map(one)
}

/// Half of the pairs share nothing, a quarter a client, as a port scan has it, and a quarter are IPv6.
fn flood(n: u32) -> Seed {
    let four = |high: u32| IpAddr::from(Ipv4Addr::from_bits(high + n));
    let six = |net: u128| IpAddr::from(Ipv6Addr::from_bits(0xfd00_u128 << 112 | net << 64 | u128::from(n)));
    let seed = match n % 4 {
        0 => Seed::tcp(([10, 9, 9, 9], 1000 + u16::try_from(n % 60_000).expect("a port")), (four(0x1600_0000), 443)),
        1 => Seed::tcp((six(1), 40_000), (six(2), 443)),
        _ => Seed::tcp((four(0x1400_0000), 40_000), (four(0x1500_0000), 443)),
    };
    seed.timeout(86_000)
}

/// Planted pairs that the page shows, with their connections; and the sum of all lines.
fn shown(page: &str) -> (BTreeMap<IpAddr, u64>, u64) {
    let lines = lines(page, "khan_connection");
    let sum = lines.iter().map(|line| line.1).sum();
    let planted = lines.iter().filter(|line| line.0["dst_ip"] == "10.96.0.7");
    (planted.map(|line| (line.0["src_ip"].parse().expect("an address"), line.1)).collect(), sum)
}

#[test]
fn a_flood_and_readers_that_do_not_read_stay_within_the_budget() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    let agent = agent(&node, &["--interval", "1s", "--max-scan-cpu", "100"])?;
    agent.get_when_ready("/readyz")?;
    agent.get("/metrics")?;
    let idle = status(&agent, "VmHWM:")?;
    node.seed(plant(0..PLANTED / 2))?;
    node.seed((0..PAIRS).map(flood))?;
    node.seed(plant(PLANTED / 2..PLANTED))?;
    let all = u64::from(PAIRS) + (0..PLANTED).map(|n| u64::from(planted(n))).sum::<u64>();

    let readers = deaf(&node, agent.address()?, READERS, "/v1/snapshot");
    let mut slowest = Duration::ZERO;
    let page = |slowest: &mut Duration| {
        let began = Instant::now();
        let page = agent.get("/metrics").ok().filter(|page| page.status == 200)?.body;
        *slowest = began.elapsed().max(*slowest);
        Some(page)
    };
    // Reading a page line by line takes longer than making it.
    let entries = |page: &str| number(page, "khan_conntrack_entries{protocol=\"tcp\"}");
    let scans = |page: &str| number(page, "khan_agent_scans_total{result=\"success\"}").expect("on every page");
    #[expect(clippy::cast_precision_loss, reason = "some hundred thousand")]
    let whole_table = Some(all as f64);
    let first = until("a page of the whole table", PATIENCE, || {
        page(&mut slowest).filter(|page| entries(page) == whole_table)
    })?;
    let more = deaf(&node, agent.address()?, READERS / 2, "/v1/snapshot");
    let enough = scans(&first) + 2.0;
    let later = until("two more scans", PATIENCE, || page(&mut slowest).filter(|page| scans(page) >= enough))?;

    let wanted: BTreeMap<IpAddr, u64> = (0..PLANTED).map(|n| (client(n), planted(n).into())).collect();
    let lost = 100;
    let (early, sum) = shown(&first);
    assert_eq!(sum, all);
    for (ip, count) in &wanted {
        let shown = early.get(ip).copied().unwrap_or_default();
        assert!((count - lost..=*count).contains(&shown), "{ip} has {count} connections, {shown} on the first page");
    }
    // From the second scan on they are known from the one before.
    assert_eq!(shown(&later), (wanted, all));
    whole(&node, &agent.url("/v1/snapshot")?, all)?;
    let peak = status(&agent, "VmHWM:")?;
    println!("idle {idle} KiB, peak {peak} KiB; the slowest scrape took {slowest:?}");
    assert!(peak - idle + IDLE_KIB <= BUDGET_KIB, "from {idle} KiB to {peak} KiB");
    drop((readers, more));
    Ok(())
}

/// The snapshot holds all connections in its rows and their rest, and says that rows are bounded.
fn whole(node: &Host, url: &str, all: u64) -> Result {
    let snapshot: Snapshot = node.get(url)?.json()?;
    let rest = snapshot.rest.expect("more pairs than rows");
    let rows: u64 = snapshot.rows.iter().map(|row| row.connections).sum();
    assert_eq!((rows + rest.client + rest.server + rest.unknown, snapshot.connections), (all, all));
    assert!(
        snapshot.rows.len() <= 20_000 && snapshot.endpoints.len() <= 60_000,
        "{} endpoints",
        snapshot.endpoints.len()
    );
    assert!(snapshot.warnings.iter().any(|text| text.contains("more pairs than")), "{:?}", snapshot.warnings);
    // Whoever makes the flood is named: a quarter of all comes from one client.
    let scanner = snapshot.endpoints.iter().position(|end| end.ip == Some(IpAddr::from([10, 9, 9, 9])));
    let from = |row: &&khan_api::snapshot::Row| Some(row.src as usize) == scanner;
    let many: u64 = snapshot.rows.iter().filter(from).map(|row| row.connections).sum();
    assert!(many > all / 5, "{many} connections of the client that scans");
    Ok(())
}
