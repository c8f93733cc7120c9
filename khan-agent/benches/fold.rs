//! What user space adds: parse and fold of recorded datagrams, without the kernel.
//!
//! `cargo bench -p khan-agent --bench fold [-- ENTRIES...]`

#[allow(dead_code, reason = "each benchmark uses its part")]
mod support;

use khan_agent::flows::netlink::sysctl::Timeouts;
use khan_agent::flows::{AttemptError, Netlink, Sink};
use khan_agent::table::{Settings, Table};
use khan_lab::Lab;
use support::clock::{cpu, nanos_each, ratio};
use support::drain::{Recording, drain};
use support::tables::{SIX, UNIQUE, USUAL};

const TURNS: usize = 15;

fn main() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    println!("CPU time of parse and fold, the fastest of {TURNS} turns; datagrams recorded from the kernel");
    println!("{:>9}  {:<8}{:>9}{:>14}{:>18}", "entries", "", "rows", "ns an entry", "ratio to a copy");
    for entries in support::sizes(&[10_000, 100_000, 1_000_000]) {
        for mix in [USUAL, UNIQUE, SIX] {
            let recording = mix.table(&lab, entries)?.enter(Recording::make)?;
            let (mut table, timeouts) = (Table::new(Settings::default()), Timeouts::read());
            let (mut copy, mut fold) = (Vec::new(), Vec::new());
            for _ in 0..TURNS {
                copy.push(cpu(|| drain(recording.link(), |_| {}))?);
                let mut netlink = Netlink::default();
                table.begin();
                fold.push(
                    cpu(|| netlink.read_from(recording.link(), &timeouts, || None, &mut table).map(drop))
                        .map_err(|error: AttemptError| error)?,
                );
            }
            let rows = table.v4().len() + table.v6().len();
            println!(
                "{entries:>9}  {:<8}{rows:>9}{:>14.1}{:>18.2}",
                mix.name,
                nanos_each(&fold, &copy, f64::from(entries)),
                ratio(&fold, &copy),
            );
        }
    }
    println!("less what handing out the datagrams costs by itself, which is the copy");
    Ok(())
}
