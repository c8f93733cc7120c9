//! The memory of the whole agent: idle, at its peak over a large table while it is scraped, and some scans after the
//! table has emptied.
//!
//! `cargo bench -p khan-agent --bench memory [-- ENTRIES...]`

#[allow(dead_code, reason = "each benchmark uses its part")]
mod support;

use std::time::Duration;

use khan_lab::program::Running;
use khan_lab::{Lab, until};
use support::program::{self, IMAGE, SCANS, metric, status};
use support::tables::{Mix, USUAL};

const PATIENCE: Duration = Duration::from_mins(2);

/// What the image sets (`deploy/images/Dockerfile`), and what the program has by itself.
const ENVIRONMENTS: [(&str, &[(&str, &str)]); 2] = [("image", &IMAGE), ("bare", &[])];

fn main() -> anyhow::Result<()> {
    println!("resident memory of khan-agent in MiB");
    println!(
        "{:>9}{:>6}{:>8}{:>8}{:>9}{:>9}{:>11}{:>8}",
        "entries", "as", "series", "idle", "scanned", "scraped", "snapshots", "after"
    );
    for entries in support::sizes(&[10_000, 100_000, 1_000_000]) {
        for (name, variables) in ENVIRONMENTS {
            measure(USUAL, entries, name, variables)?;
        }
    }
    println!("as: with the environment of the image, or without");
    println!(
        "idle: an empty table; scanned, scraped, snapshots: the peak after five scans, then after ten pages plain and"
    );
    println!(
        "compressed, then after ten snapshots as JSON; after: what is left five scans after the table has emptied"
    );
    Ok(())
}

fn measure(mix: Mix, entries: u32, name: &str, variables: &[(&str, &str)]) -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let node = mix.table(&lab, 0)?;
    let agent = program::start(&node, "100ms", variables)?;
    scans(&agent, 5)?;
    let idle = status(&agent, "VmRSS:")?;
    mix.fill(&node, entries)?;
    scans(&agent, 5)?;
    let scanned = status(&agent, "VmHWM:")?;
    for _ in 0..10 {
        node.run(["curl", "--silent", "--output", "/dev/null", &agent.url("/metrics")?])?;
        node.run(["curl", "--silent", "--compressed", "--output", "/dev/null", &agent.url("/metrics")?])?;
    }
    let scraped = status(&agent, "VmHWM:")?;
    for _ in 0..10 {
        node.run(["curl", "--silent", "--compressed", "--output", "/dev/null", &agent.url("/v1/snapshot")?])?;
    }
    let snapshots = status(&agent, "VmHWM:")?;
    let series = metric(&agent, "khan_agent_series ")?;
    node.flush()?;
    scans(&agent, 5)?;
    let after = status(&agent, "VmRSS:")?;
    println!("{entries:>9}{name:>6}{series:>8}{idle:>8.1}{scanned:>9.1}{scraped:>9.1}{snapshots:>11.1}{after:>8.1}");
    Ok(())
}

/// Waits for this many scans that begin from now on.
fn scans(agent: &Running, count: u64) -> anyhow::Result<()> {
    let done = || metric(agent, SCANS);
    let before = done()?;
    Ok(until("scans", PATIENCE, || (done().ok()? > before + count).then_some(()))?)
}
