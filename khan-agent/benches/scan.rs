//! Dump and fold of a real table, against a raw drain of the same table and against `conntrack -L`.
//!
//! `cargo bench -p khan-agent --bench scan [-- ENTRIES...]`

#[allow(dead_code, reason = "each benchmark uses its part")]
mod support;

use std::io;
use std::process::Command;

use khan_agent::flows::netlink::link::Kernel;
use khan_agent::scan::Scanner;
use khan_agent::table::{OwnershipAges, Settings};
use khan_lab::Lab;
use support::clock::{cpu, cpu_of, ratio};
use support::drain::drain;
use support::tables::{SIX, UNIQUE, USUAL};

fn main() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    println!("CPU time of reading a table, medians of ratios taken in turns");
    println!("{:>9}  {:<8}{:>9}{:>12}{:>15}{:>19}", "entries", "", "rows", "scan : raw", "list : raw", "scan : list");
    for entries in support::sizes(&[10_000, 100_000, 1_000_000]) {
        for mix in [USUAL, UNIQUE, SIX] {
            let node = mix.table(&lab, entries)?;
            let mut scanner = Scanner::new(Settings::default());
            let (mut raw, mut scan, mut list) = (Vec::new(), Vec::new(), Vec::new());
            for turn in 0..if entries > 500_000 { 9 } else { 25 } {
                raw.push(node.enter(|| cpu(|| drain(Kernel::open()?, |_| {})))?);
                scan.push(
                    node.enter(|| cpu(|| scanner.scan(OwnershipAges::default()).map(drop)).map_err(io::Error::other))?,
                );
                if turn < 5 {
                    list.push(node.enter(|| cpu_of(Command::new("conntrack").arg("-L")))?);
                }
            }
            let rows = scanner.table().v4().len() + scanner.table().v6().len();
            println!(
                "{entries:>9}  {:<8}{rows:>9}{:>12.3}{:>15.2}{:>19.2}",
                mix.name,
                ratio(&scan, &raw),
                ratio(&list, &raw),
                ratio(&scan, &list),
            );
        }
    }
    println!("raw: a loop that only receives the dump; list: conntrack -L, its output thrown away");
    Ok(())
}
