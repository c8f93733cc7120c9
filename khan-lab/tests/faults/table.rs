//! The kernel's table is flushed, is full, or changes while it is read.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use khan_api::routes;
use khan_api::snapshot::Side;
use khan_lab::{Khan, Lab, Result, Seed, Shop, traffic, until};

use crate::scene::{ARGUMENTS, PATIENCE, Scene, all_is_right, edges, nothing_is_wrong, snapshot, sum};

#[test]
fn a_flushed_table_is_empty_until_packets_fill_it_again() -> Result {
    let lab = Lab::new()?;
    let mut shop = Shop::start(&lab)?;
    // Without NAT: what the kernel forgot about it could not be picked up again.
    let postgres = shop.cluster.plan().pod_addresses("postgres-0")?;
    shop.hold(("shop", "cart", 0), "postgres", postgres.v4_port(5432), 9)?;
    let khan = Khan::start(&lab, &shop.cluster, &ARGUMENTS)?;
    all_is_right(&khan, &shop, "the start")?;
    for node in [1, 2] {
        shop.cluster.node(node).flush()?;
    }
    until("the page to be empty", PATIENCE, || {
        khan.agents
            .iter()
            .all(|agent| snapshot(agent).is_ok_and(|snapshot| edges(&snapshot, Side::Client).is_empty()))
            .then_some(())
    })?;
    shop.talk()?;
    all_is_right(&khan, &shop, "the table was flushed")
}

#[test]
fn a_busy_table_is_never_counted_twice() -> Result {
    let mut scene = Scene::start()?;
    // Connections come and go on the same edges while what is held stays.
    let web = scene.shop.service("shop", "web")?;
    let end = Instant::now() + Duration::from_secs(10);
    let least = scene.shop.edges.clone();
    let mut closed = 0;
    while Instant::now() < end {
        let short = traffic::hold_tcp(scene.shop.pod(("shop", "cart", 1))?, web.v4_port(80), 20)?;
        let mid = sum(scene.khan.agents.iter().map(|agent| edges(&snapshot(agent).expect("served"), Side::Client)));
        for (edge, count) in &least {
            let most = if edge.0 == "cart" && edge.1 == "web" { *count + closed + 20 } else { *count };
            let now = mid.get(edge).copied().unwrap_or_default();
            assert!((*count..=most).contains(&now), "{edge:?}: {now} is not between {count} and {most}");
        }
        short.close()?;
        closed += 20;
    }
    // The kernel remembers closed connections for two minutes; they are tracked, so they are counted.
    *scene.shop.edges.get_mut(&("cart".into(), "web".into())).expect("an edge of the shop") += closed;
    all_is_right(&scene.khan, &scene.shop, "churn")
}

#[test]
fn a_full_table_is_said_and_what_it_holds_stays_right() -> Result {
    let lab = Lab::new()?;
    let mut shop = Shop::start(&lab)?;
    // Assured ones only: the kernel makes room at the cost of others.
    let postgres = shop.cluster.plan().pod_addresses("postgres-0")?;
    shop.hold(("shop", "cart", 0), "postgres", postgres.v4_port(5432), 9)?;
    shop.talk()?;
    let khan = Khan::start(&lab, &shop.cluster, &["--interval", "1s", "--max-scan-cpu", "100"])?;
    all_is_right(&khan, &shop, "the start")?;
    let node = shop.cluster.node(1).clone();
    let number = |name: &str| -> Result<u32> {
        Ok(node.read_sysctl(&format!("net.netfilter.nf_conntrack_{name}"))?.parse().expect("a number"))
    };
    let limit = number("max")?;
    assert!(limit <= 1_100_000, "nf_conntrack_max of {limit} is too much to fill; lower it for this test");
    let client =
        |n: u32| (Ipv4Addr::from_bits(0xc612_0000 + n / 50_000), 1024 + u16::try_from(n % 50_000).expect("small"));
    let free = limit - number("count")?;
    // One too many is no failure: the table is full then.
    let _ = node.seed((0..free).map(|n| Seed::tcp(client(n), ([203, 0, 113, 200], 9))));
    let is = |reason: &str, value: u32| {
        let line = format!("khan_agent_blind{{reason=\"{reason}\"}} {value}\n");
        until(&line, PATIENCE, || khan.agents[0].get(routes::METRICS).ok().filter(|page| page.body.contains(&line)))
    };
    is("table_full", 1)?;
    let full = Khan::next_snapshot(&khan.agents[0])?;
    assert!(full.table.entries >= u64::from(limit) * 95 / 100, "{:?}", full.table);
    assert_eq!(edges(&full, Side::Client), shop.edges, "what was in the table before");

    // New connections find no place, and that is said.
    let asking = traffic::half_open(shop.pod(("shop", "cart", 0))?, postgres.v4_port(5432), 5)?;
    is("dropping", 1)?;
    nothing_is_wrong(&khan.agents, &shop);
    drop(asking);

    node.run(["conntrack", "-D", "-d", "203.0.113.200"])?;
    is("table_full", 0)?;
    shop.hold(("shop", "cart", 0), "postgres", postgres.v4_port(5432), 4)?;
    all_is_right(&khan, &shop, "the table was full")
}
