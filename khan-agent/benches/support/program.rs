//! What a running agent says of itself, and what the kernel says of it.

use anyhow::Context;
use khan_lab::program::Running;

/// What the image sets (`deploy/images/Dockerfile`).
pub(crate) const IMAGE: [(&str, &str); 2] = [("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_ARENA_MAX", "1")];

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
