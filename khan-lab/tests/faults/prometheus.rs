//! Prometheus goes away and comes back with its history.

use std::time::Instant;

use khan_api::Timestamp;
use khan_api::routes::AGENT_PORT;
use khan_lab::cluster::node_addresses;
use khan_lab::prometheus::{Job, Sample};
use khan_lab::{Prometheus, Result};

use crate::scene::{PATIENCE, Scene, nothing_is_wrong};

const HELD: &str = r#"sum(khan_connection{side="client", src_app!="", dst_app!=""})"#;

fn is_one(samples: &[Sample], accept: impl Fn(f64) -> bool) -> bool {
    matches!(samples, [sample] if accept(sample.value))
}

#[test]
fn a_prometheus_that_was_killed_goes_on_where_it_was() -> Result {
    let mut scene = Scene::start()?;
    let (monitoring, _) = scene.shop.cluster.outside(&scene.lab, "monitoring")?;
    let targets = [1, 2].map(|node| node_addresses(node).v4_port(AGENT_PORT).to_string());
    let jobs = [Job { name: "khan-agent", targets: &[&targets[0], &targets[1]] }];
    let start = || Prometheus::start(&scene.lab, Some(&monitoring), &jobs, &[]);
    let held = |scene: &Scene| scene.shop.edges.values().sum::<u64>() as f64;
    let before = start()?;
    let all = held(&scene);
    before.query_until(HELD, PATIENCE, |samples| is_one(samples, |value| (value - all).abs() < 0.5))?;
    let killed = Timestamp::now();
    drop(before);

    // Agents neither notice nor wait.
    let web = scene.shop.service("shop", "web")?;
    scene.shop.hold(("shop", "cart", 0), "web", web.v4_port(80), 5)?;
    nothing_is_wrong(&scene.khan.agents, &scene.shop);

    let restarted = Instant::now();
    let after = Prometheus::start(&scene.lab, Some(&monitoring), &jobs, &[])?;
    let all = held(&scene);
    after.query_until(HELD, PATIENCE, |samples| is_one(samples, |value| (value - all).abs() < 0.5))?;
    println!("Prometheus was killed: all right after {:.1} s", restarted.elapsed().as_secs_f64());
    // What it had stored is still there.
    let oldest = "min(min_over_time(timestamp(khan_agent_build_info)[10m:1s]))";
    let killed = killed.millis() as f64 / 1000.0;
    after.query_until(oldest, PATIENCE, |samples| is_one(samples, |value| value < killed))?;
    Ok(())
}
