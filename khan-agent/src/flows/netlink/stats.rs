//! The kernel's own numbers about the table, through ctnetlink (`ctnetlink_stat_ct`, `ctnetlink_stat_ct_cpu`).

use std::io;

use super::NETFILTER_HEADER;
use super::attribute::{self as attr, Attributes};
use super::link::Link;
use super::message::{self, Message};
use super::request;
use crate::flows::reader::Stats;

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

/// Asks the kernel.
pub(super) fn read(link: &mut impl Link, buffer: &mut [u8]) -> io::Result<Stats> {
    let (mut stats, mut counters) = (Stats::default(), COUNTERS.map(|(_, name)| (name, 0)));
    let attributes = |message: Message<'_>, see: &mut dyn FnMut(u16, u64)| {
        for (number, payload) in Attributes::new(message.payload.get(NETFILTER_HEADER..).unwrap_or_default()) {
            see(number, attr::be32(payload).map_or(0, u64::from));
        }
    };
    message::ask(link, buffer, &request::stats(1), false, |message| {
        attributes(message, &mut |number, value| match number {
            GLOBAL_ENTRIES => stats.entries = value,
            GLOBAL_MAX_ENTRIES => stats.limit = value,
            _ => {}
        });
    })?;
    message::ask(link, buffer, &request::stats_cpu(2), true, |message| {
        attributes(message, &mut |number, value| {
            if let Some(place) = COUNTERS.iter().position(|(known, _)| *known == number) {
                counters[place].1 += value;
            }
        });
    })?;
    stats.counters = counters.into();
    Ok(stats)
}
