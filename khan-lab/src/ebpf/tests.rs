//! Entries against bytes written out by hand, so that writer and reader cannot share a mistake about places.

use std::time::Duration;

use super::calico::{self, Version};
use super::cilium::{self, Clock};
use super::{Connection, Here, Stage, Way};
use crate::seed::Closer;

const NOW: Duration = Duration::from_secs(1000);

/// Pairs of hexadecimal digits, separated, as `bpftool map dump` prints them.
fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn pod_to_service() -> Connection {
    let at = |last, port| ([10, 0, 1, last], port);
    Connection::tcp(at(7, 40_000), ([10, 96, 0, 1], 80)).backend(at(9, 8080)).here(Here::Both)
}

#[test]
fn cilium_has_an_entry_for_each_end_and_one_for_what_was_dialled() {
    if cfg!(target_endian = "big") {
        return;
    }
    let entries = cilium::entries(&pod_to_service().stage(Stage::HalfClosed(Closer::Client)), Clock::Seconds, NOW);
    let keys = [
        "0a 60 00 01 0a 00 01 07 9c 40 00 50 06 04",
        "0a 00 01 07 0a 00 01 09 1f 90 9c 40 06 00",
        "0a 00 01 07 0a 00 01 09 1f 90 9c 40 06 01",
    ];
    assert_eq!(entries.iter().map(|entry| entry.key.clone()).collect::<Vec<_>>(), keys.map(hex));
    let [service, out, into] = [0, 1, 2].map(|n| &entries[n].value);
    assert_eq!(service[8..16], 7_u64.to_le_bytes());
    // The number of the service, by which the client's entry refers to it.
    assert_eq!([service, out, into].map(|value| [value[38], value[39]]), [[1, 80], [1, 80], [0, 0]]);
    // Lifetime 9000, closing by the client and not only SYNs, TCP flags, times of both reports.
    assert_eq!(out[32..38], hex("28 23 00 00 12 00"));
    assert_eq!(into[32..38], hex("28 23 00 00 11 00"));
    assert_eq!((&out[42..44], &into[42..44]), (&[0x13, 0x12][..], &[0x12, 0x13][..]));
    assert_eq!(out[48..56], hex("e8 03 00 00 e8 03 00 00"));
    assert!(entries.iter().all(|entry| entry.map == "cilium_ct4_global" && entry.value.len() == 56));
    // What comes in for a pod of this node has one entry, and says nothing of the service.
    let into = cilium::entries(&pod_to_service().here(Here::Backend), Clock::Jiffies(250), NOW);
    assert_eq!((into.len(), into[0].key[13], into[0].value[36]), (1, 1, 0x10));
    // 2^32 - 75000 + 250000 jiffies, in units of 256, and 8000 s more.
    assert_eq!(into[0].value[32..36], (16_777_899_u32 + 7812).to_le_bytes());
}

/// Direct server return over two nodes.
#[test]
fn cilium_tracks_an_answer_where_it_leaves() {
    let dialled = pod_to_service().way(Way::Dsr);
    let [passed, answered] =
        [Here::Neither, Here::Backend].map(|here| cilium::entries(&dialled.here(here), Clock::Seconds, NOW));
    assert_eq!(passed.iter().map(|entry| entry.key[13]).collect::<Vec<_>>(), [4]);
    assert_eq!(answered.iter().map(|entry| entry.key[13]).collect::<Vec<_>>(), [0, 1]);
    let [out, into] = [0, 1].map(|n| &answered[n].value);
    assert_eq!((out[36], into[36]), (0x90, 0x10));
    assert_eq!(out[..16], hex("00 00 00 00 00 00 00 00 00 00 00 00 0a 60 00 01"));
    assert_eq!(out[38..42], hex("00 00 00 50"), "no number of a service");
}

#[test]
fn calico_has_an_entry_that_leads_and_one_that_tracks() {
    if cfg!(target_endian = "big") {
        return;
    }
    let entries = calico::entries(Version::Four, &pod_to_service().idle(1), NOW);
    let [forward, reverse] = [0, 1].map(|n| &entries[n]);
    assert_eq!(forward.key, hex("06 00 00 00 0a 60 00 01 0a 00 01 07 50 00 40 9c"), "10.0.1.7 is the larger number");
    assert_eq!(reverse.key, hex("06 00 00 00 0a 00 01 07 0a 00 01 09 40 9c 90 1f"));
    assert_eq!(forward.value[24..40], reverse.key);
    let value = "00 00 00 00 00 00 00 00 00 46 0a 99 e8 00 00 00 02 00 00 00 00 00 00 00
        e8 03 00 00 00 00 00 00 0a 00 00 00 12 34 56 78 33 00 00 00 07 00 00 00
        a0 0f 00 00 00 00 00 00 08 00 00 00 12 34 56 78 13 00 00 00 07 00 00 00
        00 00 00 00 0a 60 00 01 50 00 40 9c 0a 00 01 07";
    assert_eq!(reverse.value, hex(value));
    // Older versions count nothing; masquerading on the way out makes a second entry.
    let masqueraded =
        Connection::udp(([10, 0, 1, 7], 5000), ([8, 8, 8, 8], 53)).masqueraded_as(([172, 18, 0, 1], 6000));
    let entries = calico::entries(Version::Three, &masqueraded, NOW);
    assert_eq!(entries.iter().map(|entry| (entry.map, entry.value[16])).collect::<Vec<_>>(), [("cali_v4_ct3", 0); 2]);
    assert!(entries.iter().all(|entry| entry.value[24..36] == [0; 12] && entry.value[0..8] != [0; 8]));
}
