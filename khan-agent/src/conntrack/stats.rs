//! The kernel's own numbers about the table, through ctnetlink (`ctnetlink_stat_ct`, `ctnetlink_stat_ct_cpu`).

use std::io;

use super::attribute::{self as attr, Attributes};
use super::link::Link;
use super::request;

/// `CTA_STATS_GLOBAL_ENTRIES`
const GLOBAL_ENTRIES: u16 = 1;
/// `CTA_STATS_GLOBAL_MAX_ENTRIES`
const GLOBAL_MAX_ENTRIES: u16 = 2;

/// The counters of a CPU that kernels still count, by `CTA_STATS_*` number. Those that always read 0 are left out
/// (searched, new, ignore, delete, `delete_list`: gone since Linux 5.9).
const COUNTERS: [(u16, &str); 10] = [
    (2, "found"),
    (4, "invalid"),
    (8, "insert"),
    (9, "insert_failed"),
    (10, "drop"),
    (11, "early_drop"),
    (12, "error"),
    (13, "search_restart"),
    (14, "clash_resolve"),
    (15, "chain_toolong"),
];

/// What the kernel counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Entries in this network namespace (`nf_conntrack_count`).
    pub entries: u64,
    /// The most entries it may hold (`nf_conntrack_max`).
    pub limit: u64,
    counters: [u64; COUNTERS.len()],
}

impl Stats {
    /// Counters since boot, summed over CPUs.
    pub fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> {
        COUNTERS.iter().zip(self.counters).map(|((_, name), value)| (*name, value))
    }

    /// One counter by name.
    pub fn counter(&self, name: &str) -> u64 {
        self.counters().find(|(known, _)| *known == name).map_or(0, |(_, value)| value)
    }

    /// Asks the kernel.
    pub fn read(link: &mut impl Link) -> io::Result<Self> {
        let mut stats = Self::default();
        let mut buffer = vec![0; 32 * 1024];
        ask(link, &mut buffer, &request::stats(1), false, |number, payload| match number {
            GLOBAL_ENTRIES => stats.entries = attr::be32(payload).map_or(0, u64::from),
            GLOBAL_MAX_ENTRIES => stats.limit = attr::be32(payload).map_or(0, u64::from),
            _ => {}
        })?;
        ask(link, &mut buffer, &request::stats_cpu(2), true, |number, payload| {
            if let Some(place) = COUNTERS.iter().position(|(known, _)| *known == number) {
                stats.counters[place] += attr::be32(payload).map_or(0, u64::from);
            }
        })?;
        Ok(stats)
    }
}

/// Sends a request and shows the attributes of every answer.
fn ask(
    link: &mut impl Link,
    buffer: &mut [u8],
    request: &[u8],
    dump: bool,
    mut see: impl FnMut(u16, &[u8]),
) -> io::Result<()> {
    const DONE: u16 = 3;
    const ERROR: u16 = 2;
    link.send(request)?;
    loop {
        let len = link.receive(buffer)?;
        let mut bytes = buffer.get(..len).ok_or(io::ErrorKind::InvalidData)?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while let Some(header) = bytes.first_chunk::<16>() {
            let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
            let message = bytes.get(16..len).ok_or(io::ErrorKind::InvalidData)?;
            match u16::from_ne_bytes([header[4], header[5]]) {
                DONE => return Ok(()),
                ERROR => {
                    let code = message.first_chunk::<4>().map_or(0, |code| i32::from_ne_bytes(*code));
                    return if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code.wrapping_neg())) };
                }
                _ => {
                    for (number, payload) in Attributes::new(message.get(4..).unwrap_or_default()) {
                        see(number, payload);
                    }
                }
            }
            bytes = bytes.get(attr::aligned(len)..).unwrap_or_default();
        }
        if !dump {
            return Ok(());
        }
    }
}
