//! A bounded number of series, an exact sum, and label values that survive Prometheus.

use khan_lab::{Lab, Program, Prometheus, Result, Seed};

use crate::page::lines;
use crate::support::{Agent, ip, pod, sum_by};

#[test]
fn the_smallest_rows_are_folded_and_the_sum_stays() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    // Client n of 2,000 holds 1 + n / 100 connections; four apps of 500 pods.
    let client = |n: u16| [10, 1, n.to_be_bytes()[0], n.to_be_bytes()[1]];
    let seeds = |n: u16| (0..=n / 100).map(move |k| Seed::tcp((client(n), 1000 + k), ([10, 2, 0, 1], 80)));
    let total = node.seed((0..2000).flat_map(seeds))?;
    let known = (0..2000)
        .map(|n| (client(n).into(), pod(["a", "b", "c", "d"][usize::from(n % 4)], ["n1", "n2"][usize::from(n % 2)])));
    let mut agent = Agent::on("n1").knowing(known.chain([(ip("10.2.0.1"), pod("db", "n1"))]));
    let whole = agent.page(&node);
    assert_eq!(lines(&whole, "khan_connection").len(), 2000);
    for most in [10, 50, 100, 1999, 2000] {
        agent.page_settings.max_series = most;
        let page = agent.page(&node);
        let count = lines(&page, "khan_connection").len();
        assert!(count <= most, "{count} series of at most {most}");
        let sum: u64 = sum_by(&page, ["side"]).values().sum();
        assert_eq!(sum, total, "with {most} series");
        assert_eq!(sum_by(&page, ["side"]), sum_by(&whole, ["side"]), "with {most} series");
        // With room for the apps, an app's sum is exact too.
        if most >= 50 {
            assert_eq!(
                sum_by(&page, ["src_ns", "src_app", "dst_app"]),
                sum_by(&whole, ["src_ns", "src_app", "dst_app"])
            );
        }
    }
    Ok(())
}

#[test]
fn a_label_value_survives_prometheus() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    node.seed([Seed::tcp(([203, 0, 113, 1], 1000), ([10, 2, 0, 1], 80))])?;
    let nasty = format!("a\"b\\c\nd\\n{}\u{e9}", "x".repeat(244));
    let agent = Program::workspace("khan-agent")?
        .args(["--node-name", &nasty, "--listen", "127.0.0.1:0", "--interval", "1s"])
        .inside(&node)
        .start()?;
    agent.get_when_ready("/readyz")?;
    let page = agent.get("/metrics")?.body;
    let (labels, _) = &lines(&page, "khan_connection")[0];
    assert_eq!(labels["node"], nasty);
    let address = agent.address()?.to_string();
    let job = khan_lab::prometheus::Job { name: "khan", targets: &[&address] };
    let prometheus = Prometheus::start(&lab, Some(&node), &[job], &[])?;
    khan_lab::until("the series in Prometheus", std::time::Duration::from_secs(20), || {
        let samples = prometheus.query("khan_connection{src_ip=\"203.0.113.1\"}").ok()?;
        samples.iter().any(|sample| sample.labels["node"] == nasty && sample.value > 0.0).then_some(())
    })
}
