//! What must hold of a dump, whatever bytes its datagram holds. Shared with the fuzz target.

use khan_agent::flows::Flow;
use khan_agent::flows::netlink::parse;
use khan_agent::table::{Counts, Settings, Table};

use crate::script::{Kept, entries, run};

/// `NLMSG_DONE` of a process's first dump: length 20, type 3, flags `NLM_F_MULTI`, sequence number 1, port 0, no error.
const DONE: [u32; 5] = [20, 3 | 2 << 16, 1, 0, 0];

/// One dump of two datagrams, these bytes and an end: read into a list and into a table, which have to agree.
pub(crate) fn check(bytes: &[u8]) {
    let end: Vec<u8> = DONE.iter().flat_map(|word| word.to_le_bytes()).collect();
    let (mut kept, mut table) = (Kept::default(), Table::new(Settings::default()));
    let listed = run(&[bytes, &end], &mut kept);
    let folded = run(&[bytes, &end], &mut table);
    assert_eq!(listed.is_ok(), folded.is_ok(), "{listed:?}, but {folded:?}");
    let rows = table.v4().iter().map(|row| row.count).chain(table.v6().iter().map(|row| row.count));
    let (rows, counts) = (rows.map(u64::from).sum::<u64>(), table.counts());
    let Ok(dumped) = listed else {
        assert!(kept.0.is_empty(), "half a dump was kept");
        assert_eq!((rows, *counts), (0, Counts::default()), "half a dump was counted");
        return;
    };
    assert_eq!(dumped.flows, kept.0.len() as u64);
    let entries = entries(&[bytes, &end]);
    let general: Vec<Flow> = entries.iter().filter_map(|attributes| parse::general(attributes).ok()).collect();
    assert_eq!(kept.0, general, "both ways of reading must agree");
    assert_eq!(counts.protocols.iter().sum::<u64>() + counts.seen_twice, dumped.flows);
    assert_eq!(rows, counts.connections);
    let countable: u64 = [6, 17, 132].map(|protocol| counts.protocols[protocol]).iter().sum();
    assert_eq!(counts.connections + counts.other_zones, countable);
}
