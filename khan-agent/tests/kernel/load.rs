//! Scans keep within `--max-scan-cpu`, whether the table is large or many ask for a fresh snapshot at once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use khan_api::Snapshot;
use khan_lab::program::Running;
use khan_lab::{Lab, Program, Result, Seed, until};

use crate::page::number;

const PATIENCE: Duration = Duration::from_mins(2);
const SCANS: &str = "khan_agent_scans_total{result=\"success\"}";
const INTERVAL: &str = "khan_agent_scan_interval_seconds";
const CPU: &str = "khan_agent_scan_cpu_seconds_total";

fn metric(agent: &Running, name: &str) -> Result<f64> {
    let page = agent.get("/metrics")?.body;
    Ok(number(&page, name).unwrap_or_else(|| panic!("no {name} in {page}")))
}

fn seeds(count: u32) -> impl Iterator<Item = Seed> + Send {
    let client = |n: u32| {
        let [_, a, b, c] = n.to_be_bytes();
        [10, a, b, c]
    };
    (0..count).map(move |n| {
        Seed::tcp((client(n / 20_000), u16::try_from(1024 + n % 20_000).expect("a port")), ([11, 0, 0, 1], 80))
    })
}

/// 200,000 entries take ten times as long as an empty table's buckets, and the period is set between both.
#[test]
fn a_large_table_makes_scans_rarer_as_long_as_it_is_large() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    let arguments = ["--node-name", "n1", "--listen", "127.0.0.1:0", "--interval", "4s", "--max-scan-cpu", "5"];
    let agent = Program::workspace("khan-agent")?.args(arguments).inside(&node).start()?;
    agent.get_when_ready("/readyz")?;
    node.seed(seeds(200_000))?;
    let longer = until("a longer period", PATIENCE, || metric(&agent, INTERVAL).ok().filter(|seconds| *seconds > 4.0))?;
    println!("200,000 entries are scanned every {longer:.1} s");
    let line = |says: &'static str| {
        agent.wait_for_line(says, PATIENCE, move |line| line.contains(says).then(|| line.to_owned()))
    };
    let began = line("Scans are made rarer to keep within --max-scan-cpu")?;
    assert!(began.contains("WARN") && began.contains("configured=4s"), "{began}");
    node.flush()?;
    until("the configured period", PATIENCE, || {
        metric(&agent, INTERVAL).ok().filter(|seconds| (seconds - 4.0).abs() < 0.001)
    })?;
    line("Scans keep their configured period again").map(drop)
}

#[test]
fn a_hundred_who_ask_at_once_share_one_scan() -> Result {
    const SHARE: f64 = 0.05;
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    node.seed(seeds(20_000))?;
    let arguments = ["--node-name", "n1", "--listen", "127.0.0.1:0", "--interval", "1h", "--max-scan-cpu", "5"];
    let program = Program::workspace("khan-agent")?.args(arguments).inside(&node);
    let began = Instant::now();
    let agent = program.start()?;
    agent.get_when_ready("/readyz")?;
    let url = agent.url("/v1/snapshot?max_age=0s")?;
    let mut total = metric(&agent, CPU)?;
    let mut latest = total;
    until("four scans on demand", PATIENCE, || {
        let before = metric(&agent, SCANS).expect("served");
        let ids: BTreeSet<String> = std::thread::scope(|scope| {
            let asked: Vec<_> = (0..100).map(|_| scope.spawn(|| node.get(&url))).collect();
            let answers = asked.into_iter().map(|asked| asked.join().expect("no panic").expect("an answer"));
            answers.map(|answer| answer.json::<Snapshot>().expect("a snapshot").id.into()).collect()
        });
        let (scans, cpu) = (metric(&agent, SCANS).expect("served"), metric(&agent, CPU).expect("served"));
        let more = scans - before;
        assert!(ids.len() as f64 <= more + 1.0, "{} snapshots of {more} scans", ids.len());
        // A scan begins when the ones before are paid for.
        if more > 0.0 {
            (latest, total) = (cpu - total, cpu);
        }
        let allowed = SHARE * began.elapsed().as_secs_f64();
        println!("{scans} scans, {cpu:.3} s of CPU; {allowed:.3} s are allowed for all but the latest");
        assert!(
            cpu - latest <= allowed,
            "{scans} scans took {cpu} s of CPU, the latest {latest}; {allowed} s are allowed"
        );
        (scans >= 5.0).then_some(())
    })
}
