//! The agent as a program: started, and what it and the kernel say of it.

use anyhow::Context;
use khan_lab::program::Running;
use khan_lab::{Host, Program};

/// What the image sets (`deploy/images/Dockerfile`).
pub(crate) const IMAGE: [(&str, &str); 2] = [("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_ARENA_MAX", "1")];
/// Scans that succeeded, as [`metric`] finds it on the page.
pub(crate) const SCANS: &str = "khan_agent_scans_total{result=\"success\"} ";

/// Starts the agent on a node, scanning as often as `interval` says whatever that costs. Returns when it is ready.
pub(crate) fn start(node: &Host, interval: &str, environment: &[(&str, &str)]) -> anyhow::Result<Running> {
    let mut program = Program::workspace("khan-agent")?
        .args(["--node-name", "n1", "--listen", "127.0.0.1:0", "--interval", interval, "--max-scan-cpu", "100"])
        .inside(node);
    for (variable, value) in environment {
        program = program.env(variable, value);
    }
    let agent = program.start()?;
    agent.get_when_ready("/readyz")?;
    Ok(agent)
}

/// A metric without its labels.
pub(crate) fn metric(agent: &Running, name: &str) -> anyhow::Result<u64> {
    let page = agent.get("/metrics")?.body;
    let line =
        page.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name} on the page"))?;
    line.parse().context("a number")
}

/// A size in `/proc/PID/status`, in MiB.
pub(crate) fn status(agent: &Running, name: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}
