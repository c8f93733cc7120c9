//! Entries as Cilium writes them, byte by byte, and what becomes of them.

use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::flows::Address;

const OUT: u8 = 0;
const IN: u8 = 1;

fn key4(protocol: u8, flags: u8) -> Vec<u8> {
    // 10.0.1.7:40000 to 10.0.1.9:8080.
    let mut key = vec![10, 0, 1, 7, 10, 0, 1, 9, 0x1f, 0x90, 0x9c, 0x40];
    key.extend([protocol, flags]);
    key
}

/// `flags`, the TCP flags seen of packets transmitted and received, and the latest reports of both.
fn value(flags: u16, seen: [u8; 2], reports: [u32; 2]) -> Vec<u8> {
    let mut value = vec![0xee; 56];
    value[32..36].copy_from_slice(&2000_u32.to_ne_bytes());
    value[36..38].copy_from_slice(&flags.to_ne_bytes());
    value[38..40].copy_from_slice(&3_u16.to_be_bytes());
    value[42..44].copy_from_slice(&seen);
    value[48..52].copy_from_slice(&reports[0].to_ne_bytes());
    value[52..56].copy_from_slice(&reports[1].to_ne_bytes());
    value
}

const TIMES: Times = Times { clock: Clock::Seconds, now: 1000 };

fn read(key: &[u8], value: &[u8]) -> Flow {
    let (key, value) = (Key::<u32>::read(key).unwrap(), Value::read(value).unwrap());
    assert!(TIMES.lives(&value));
    flow(&Entry::of(&key, &value, TIMES.idle(&value)), None)
}

#[test]
fn ends_stand_where_the_flags_say() {
    let address = |text: &str| Address::from(text.parse::<IpAddr>().unwrap());
    for flags in [OUT, IN] {
        let flow = read(&key4(6, flags), &value(0x10, [2, 2], [1000, 990]));
        assert_eq!((flow.original.src, flow.original.src_port), (address("10.0.1.7"), 40_000));
        assert_eq!((flow.original.dst, flow.original.dst_port), (address("10.0.1.9"), 8080));
        assert_eq!((flow.reply.src, flow.reply.dst), (flow.original.dst, flow.original.src));
        assert_eq!((flow.idle, flow.timeout, flow.protocol), (Some(0), None, 6));
    }
    // A service's key is written as the client's packets are.
    let service = Key::<u32>::read(&[10, 96, 0, 1, 10, 0, 1, 7, 0x9c, 0x40, 0, 80, 6, 4]).unwrap();
    assert_eq!((service.client, service.client_port, service.port), (0x0a00_0107, 40_000, 80));
    let mut key = vec![0; 38];
    (key[15], key[31], key[36]) = (1, 2, 17);
    let six = Key::<[u64; 2]>::read(&key).unwrap();
    assert_eq!([six.client, six.server].map(Ip::address), [address("::1"), address("::2")]);
    assert_eq!(Key::<u32>::read(&key4(6, 8)), None, "flags that are not known");
}

#[test]
fn states_follow_from_what_each_end_has_sent() {
    const SYN: u8 = 2;
    const FIN: u8 = 1;
    const RST: u8 = 4;
    let (rx, tx, begun) = (1, 2, 0x10);
    let init = Tcp::CLOSE_INIT;
    for (flags, seen, reports, state, closers) in [
        (0, [SYN, 0], [990, 0], TcpState::SynSent, [0, 0]),
        (0, [SYN, SYN], [990, 990], TcpState::SynRecv, [0, 0]),
        (begun, [SYN, SYN], [990, 990], TcpState::Established, [0, 0]),
        (begun | tx, [SYN | FIN, SYN], [990, 990], TcpState::CloseWait, [init, 0]),
        (begun | rx, [SYN, SYN | FIN], [990, 990], TcpState::CloseWait, [0, init]),
        (begun | rx | tx, [SYN | FIN, SYN | FIN], [990, 990], TcpState::TimeWait, [0, 0]),
        (begun | rx, [SYN, SYN | RST], [990, 990], TcpState::Close, [0, init]),
        (rx | tx, [SYN, RST], [990, 990], TcpState::Close, [0, 0]),
    ] {
        let want = Tcp { state, flags_original: closers[0], flags_reply: closers[1] };
        let flow = read(&key4(6, OUT), &value(flags, seen, reports));
        assert_eq!((flow.tcp, flow.idle), (Some(want), Some(10)));
        // From the server's end the same packets go the other way.
        let mirrored = flags & begun | (flags & rx) << 1 | (flags & tx) >> 1;
        let flow = read(&key4(6, IN), &value(mirrored, [seen[1], seen[0]], [reports[1], reports[0]]));
        assert_eq!(flow.tcp, Some(want), "incoming");
    }
    for (reports, replied) in [([990, 0], false), ([990, 995], true)] {
        let flow = read(&key4(17, OUT), &value(0, [0, 0], reports));
        assert_eq!((flow.tcp, flow.status.has(Status::SEEN_REPLY)), (None, replied));
    }
    let silent = read(&key4(17, OUT), &value(0, [0, 0], [0, 0]));
    assert_eq!(silent.idle, None, "never reported is not known");
}

#[test]
fn lifetimes_end() {
    let lives = |lifetime| TIMES.lives(&Value { lifetime, ..Value::read(&[0; 56]).unwrap() });
    assert_eq!([0, 999, 1000, 1001].map(lives), [true, false, true, true]);
}

#[test]
fn a_client_led_back_to_itself_is_the_server() {
    let mut key = key4(6, OUT);
    key[..4].copy_from_slice(&[169, 254, 42, 1]);
    for flags in [0x10, 0x18] {
        let flow = read(&key, &value(flags, [2, 2], [1000, 1000]));
        assert_eq!((flow.original.src, flow.original.src_port), (flow.reply.src, 40_000));
    }
}

/// To Cilium 1.18 there were counters and the number of an interface in these places.
#[test]
fn an_address_is_told_from_counters() {
    let at = |text: &str| text.parse::<IpAddr>().unwrap();
    let bytes = |halves: [u64; 2], port: [u8; 2]| {
        let mut value = value(Value::DSR, [2, 2], [1000, 1000]);
        value[..8].copy_from_slice(&halves[0].to_ne_bytes());
        value[8..16].copy_from_slice(&halves[1].to_ne_bytes());
        value[40..42].copy_from_slice(&port);
        value
    };
    let [port, interface] = [30_080_u16.to_be_bytes(), 2_u16.to_ne_bytes()];
    for counters in [[0, 0], [1, 60], [7, 0], [u64::from(u32::MAX), 1 << 47]] {
        assert_eq!(Value::answers_as::<u32>(&bytes(counters, interface)), None, "{counters:?}");
        assert_eq!(Value::answers_as::<[u64; 2]>(&bytes(counters, interface)), None, "{counters:?}");
    }
    let mut four = bytes([0, 0], port);
    four[12..16].copy_from_slice(&[172, 18, 0, 2]);
    let dialled = Value::answers_as::<u32>(&four);
    assert_eq!(dialled.map(|(ip, port)| (ip.address(), port)), Some((at("172.18.0.2").into(), 30_080)));
    let mut six = bytes([0, 0], port);
    six[..16].copy_from_slice(&[0xfd, 0, 0x01, 0x72, 0, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    let dialled = Value::answers_as::<[u64; 2]>(&six);
    assert_eq!(dialled.map(|(ip, port)| (ip.address(), port)), Some((at("fd00:172:18::2").into(), 30_080)));
    six[40..42].fill(0);
    assert_eq!(Value::answers_as::<[u64; 2]>(&six), None, "no port");
}

proptest! {
    /// Whatever bytes are in a map: a flow, nothing, or a refusal; in other sizes always a refusal.
    #[test]
    fn any_bytes_are_read_or_refused(
        key in proptest::collection::vec(any::<u8>(), 0..60),
        value in proptest::collection::vec(any::<u8>(), 0..80),
        exact in any::<[u8; 38]>(),
        bytes in proptest::collection::vec(any::<u8>(), 56),
        uptime in 0_u64..1 << 33,
    ) {
        prop_assert_eq!(Value::read(&value).is_some(), value.len() == 56);
        prop_assert!(Key::<u32>::read(&key).is_none() || key.len() == 14);
        prop_assert!(Key::<[u64; 2]>::read(&key).is_none() || key.len() == 38);
        let value = Value::read(&bytes).unwrap();
        let latest = value.last_report().unwrap_or(0);
        let clock = Clock::choose(latest, Duration::from_secs(uptime), None);
        let times = Times { clock, now: clock.at(Duration::from_secs(uptime)) };
        let (mut four, mut six) = (Held::new(1), Held::new(1));
        if let Some(key) = Key::<u32>::read(&exact[..14]) {
            let entry = Entry::of(&key, &value, times.idle(&value));
            let entry = Value::answers_as(&bytes).map_or(entry, |dialled| four.directly(entry, dialled));
            four.add(entry);
        }
        if let Some(key) = Key::<[u64; 2]>::read(&exact) {
            let entry = Entry::of(&key, &value, times.idle(&value));
            let entry = Value::answers_as(&bytes).map_or(entry, |dialled| six.directly(entry, dialled));
            six.add(entry);
        }
        let mut flows = 0;
        let mut take = |flow: Flow| {
            flows += 1;
            std::hint::black_box(flow);
            Ok::<(), ()>(())
        };
        prop_assert_eq!(four.connections(|one, dialled| take(flow(one, dialled))), Ok(false));
        prop_assert_eq!(six.connections(|one, dialled| take(flow(one, dialled))), Ok(false));
        prop_assert!(flows <= 2);
    }
}
