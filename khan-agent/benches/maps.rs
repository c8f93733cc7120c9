//! Reading and folding eBPF maps of Cilium's and Calico's layouts, against a loop that only receives their entries and against
//! the kernel's own table with the same connections, or as many as it may hold here; and the memory of the whole agent beside
//! each, with 12 connections a pair and with a pair for each.
//!
//! `cargo bench -p khan-agent --bench maps [-- CONNECTIONS...]`

#[allow(dead_code, reason = "each benchmark uses its part")]
mod support;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::time::Duration;

use khan_agent::flows::netlink::sysctl;
use khan_agent::flows::{Choice, Which};
use khan_agent::scan::Scanner;
use khan_agent::table::{OwnershipAges, Settings};
use khan_bpf::{Buffers, Map};
use khan_lab::ebpf::{Connection, DataPlane, Maps, calico, cilium};
use khan_lab::{Host, Lab, until};
use support::clock::{cpu, median};
use support::program::{self, IMAGE, SCANS, metric, status};
use support::tables::USUAL;

const PATIENCE: Duration = Duration::from_mins(2);
/// What one entry of a map should cost of an entry of the kernel's table.
const AIM: f64 = 0.20;

fn main() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    println!("CPU time of reading and folding one entry, medians; memory of the agent at its peak");
    println!(
        "{:>11}  {:<7}{:>9}{:>8}{:>8}{:>12}{:>15}{:>16}{:>8}{:>13}",
        "connections",
        "",
        "entries",
        "raw ns",
        "ns",
        "netlink ns",
        "raw : netlink",
        "maps : netlink",
        "MiB",
        "MiB, unique"
    );
    // What an entry costs there hardly depends on how many there are.
    let limit = sysctl::read("nf_conntrack_max").and_then(|limit| u32::try_from(limit).ok()).unwrap_or(u32::MAX);
    for connections in support::sizes(&[100_000, 1_000_000]) {
        let node = USUAL.table(&lab, connections.min(limit))?;
        let planes = [
            ("Cilium", DataPlane::Cilium(cilium::Clock::Seconds)),
            ("Calico", DataPlane::Calico(calico::Version::Four)),
        ];
        for (name, plane) in planes {
            let maps = filled(plane, connections, connections.div_ceil(12))?;
            let choice = |which| Choice { which, bpf_fs: maps.root() };
            let which = if name == "Cilium" { Which::Cilium } else { Which::Calico };
            let mut kernel = Scanner::choosing(choice(Which::Netlink), Settings::default());
            let mut pinned = Scanner::choosing(choice(which), Settings::default());
            let (mut slow, mut fast, mut raw, mut entries) = (Vec::new(), Vec::new(), Vec::new(), 0);
            for _ in 0..if connections > 500_000 { 5 } else { 15 } {
                slow.push(each(&node, &mut kernel)?.0);
                let (nanos, read) = each(&node, &mut pinned)?;
                fast.push(nanos);
                entries = read;
                raw.push(drain(&maps)?);
            }
            let ratio = |some: &[f64]| median(some.iter().zip(&slow).map(|(some, slow)| some / slow).collect());
            let (floor, whole, memory) = (ratio(&raw), ratio(&fast), resident(&lab, &maps)?);
            drop(maps);
            let unique = resident(&lab, &filled(plane, connections, connections)?)?;
            println!(
                "{connections:>11}  {name:<7}{entries:>9}{:>8.0}{:>8.0}{:>12.0}{floor:>15.3}{whole:>16.3}{memory:>8.1}{unique:>13.1}",
                median(raw),
                median(fast),
                median(slow)
            );
        }
    }
    println!("raw: a loop that only receives the maps' entries; maps : netlink is to be {AIM}");
    Ok(())
}

/// Maps with so many connections, of so many pairs.
fn filled(plane: DataPlane, connections: u32, pairs: u32) -> anyhow::Result<Maps> {
    let maps = Maps::new(plane, connections * 2)?;
    (0..connections).try_for_each(|n| maps.put(&connection(n, pairs)))?;
    Ok(maps)
}

/// Nanoseconds of CPU for each entry of what one scan reads, and how many entries there are.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a second")]
fn each(node: &Host, scanner: &mut Scanner) -> anyhow::Result<(f64, u64)> {
    let mut entries = 0;
    let took = node.enter(|| {
        cpu(|| {
            let scan = scanner.scan(OwnershipAges::default()).map_err(io::Error::other)?;
            entries = scan.stats.tables.iter().map(|table| table.entries).sum();
            Ok::<_, io::Error>(())
        })
    })?;
    Ok((took.as_nanos() as f64 / entries as f64, entries))
}

/// Nanoseconds of CPU for each entry, of a loop that only receives them.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a second")]
fn drain(maps: &Maps) -> anyhow::Result<f64> {
    let (mut buffers, mut entries) = (Buffers::default(), 0);
    let took = cpu(|| {
        for pin in std::fs::read_dir(maps.root().join("tc/globals"))? {
            entries += Map::open(pin?.path())?.walk(&mut buffers, |_, _| ControlFlow::Continue(()))?.entries;
        }
        Ok::<_, io::Error>(())
    })?;
    Ok(took.as_nanos() as f64 / entries as f64)
}

/// The peak of a whole agent that reads the maps and an empty table of its own, after five scans.
fn resident(lab: &Lab, maps: &Maps) -> anyhow::Result<f64> {
    let node = USUAL.table(lab, 0)?;
    let root = maps.root();
    let mut environment = IMAGE.to_vec();
    environment.push(("KHAN_BPF_FS", root.to_str().unwrap_or_default()));
    let agent = program::start(&node, "100ms", &environment)?;
    until("scans", PATIENCE, || (metric(&agent, SCANS).ok()? > 5).then_some(()))?;
    status(&agent, "VmHWM:")
}

/// The `n`th connection, of the pair `n % pairs`, in the mix of the kernel's table: a tenth DNS, half of them through services, the
/// others direct.
fn connection(n: u32, pairs: u32) -> Connection {
    let (pair, round) = (n % pairs, n / pairs);
    let (client, other) = (pair / 16, pair % 16);
    let at = |net: u32, host: u32, port| SocketAddr::from((Ipv4Addr::from_bits(net << 24 | host), port));
    let from = at(10, client, u16::try_from(32_768 + round).unwrap_or_default());
    let backend = |port| at(12, other * 256 + client % 4, port);
    match pair % 10 {
        0 => Connection::udp(from, backend(53)),
        1..=5 => Connection::tcp(from, at(11, other, 443)).backend(backend(8443)),
        6..=7 => Connection::tcp(from, at(100, pair, 443)),
        _ => Connection::tcp(from, backend(5432)),
    }
    .idle(5)
}
