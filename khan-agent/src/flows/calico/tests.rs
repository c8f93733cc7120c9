//! Entries as Calico writes them, byte by byte, and what becomes of them.

use std::net::IpAddr;

use khan_api::TcpState;
use proptest::prelude::*;

use super::entry::{Connection, Refused, read};
use super::layout::{key_size, value_size};
use super::lifetime::Phase;
use crate::flows::flow::{Status, Tcp, Tuple};

/// Bits of a leg.
const SYN: u32 = 1;
const ACK: u32 = 2;
const FIN: u32 = 4;
const RST: u32 = 8;
const OPENER: u32 = 32;
const SHAKEN: u32 = SYN | ACK;

/// Bytes of a map from a dump: pairs of hexadecimal digits, spaces between them as in `bpftool map dump`.
fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// A key with 10.65.0.2:40000 as A and 10.65.0.3:8080 as B, and a value without legs.
fn v4(protocol: u8, kind: u8) -> (Vec<u8>, Vec<u8>) {
    let mut key = vec![protocol, 0, 0, 0, 10, 65, 0, 2, 10, 65, 0, 3];
    key.extend([40_000_u16, 8080].into_iter().flat_map(u16::to_ne_bytes));
    let mut value = vec![0; 88];
    value[16] = kind;
    (key, value)
}

fn put_leg(value: &mut [u8], at: usize, bytes: u64, packets: u32, bits: u32) {
    value[at..at + 8].copy_from_slice(&bytes.to_ne_bytes());
    value[at + 8..at + 12].copy_from_slice(&packets.to_ne_bytes());
    value[at + 16..at + 20].copy_from_slice(&bits.to_ne_bytes());
}

/// A connection that A opened, by the bits of both legs.
fn opened_by_a(protocol: u8, client: (u32, u32), server: (u32, u32)) -> Connection {
    let (key, mut value) = v4(protocol, 0);
    put_leg(&mut value, 24, 60 * u64::from(client.0), client.0, client.1 | OPENER);
    put_leg(&mut value, 48, 50 * u64::from(server.0), server.0, server.1);
    read::<4>(&key, &value).unwrap().unwrap()
}

fn tuple(src: (&str, u16), dst: (&str, u16)) -> Tuple {
    let address = |text: &str| text.parse::<IpAddr>().unwrap().into();
    Tuple { src: address(src.0), dst: address(dst.0), src_port: src.1, dst_port: dst.1 }
}

/// As in memory of a little-endian node: a pod, 10.65.0.2:5555, calls the service 10.96.0.1:80, whose backend 10.65.0.3:8080 is
/// end B. Opener and flag agree.
#[test]
fn a_call_of_a_service_is_the_reverse_entry() {
    if cfg!(target_endian = "big") {
        return;
    }
    let key = hex("06 00 00 00 0a 41 00 02 0a 41 00 03 b3 15 90 1f");
    let value = hex("00 00 00 00 00 00 00 00 00 ca 9a 3b 00 00 00 00 02 00 00 00 00 00 00 00
         e8 03 00 00 00 00 00 00 07 00 00 00 11 22 33 44 73 00 00 00 0c 00 00 00
         f4 01 00 00 00 00 00 00 05 00 00 00 11 22 33 44 53 00 00 00 0d 00 00 00
         00 00 00 00 0a 60 00 01 50 00 b3 15 0a 41 00 02");
    let connection = read::<4>(&key, &value).unwrap().unwrap();
    assert_eq!(connection.flow.original, tuple(("10.65.0.2", 5555), ("10.96.0.1", 80)));
    assert_eq!(connection.flow.reply, tuple(("10.65.0.3", 8080), ("10.65.0.2", 5555)));
    assert_eq!(connection.flow.tcp, Some(Tcp { state: TcpState::Established, ..Tcp::default() }));
    assert_eq!((connection.flow.idle, connection.flow.timeout), (None, None));
    assert_eq!((connection.phase, connection.last_seen), (Phase::Established, 1_000_000_000));
    assert_eq!(connection.bytes, Some([1000, 500]));
    // The entry that leads there, by the same pod and the service's address.
    let forward = hex("06 00 00 00 0a 41 00 02 0a 60 00 01 b3 15 50 00");
    let mut leads = value.clone();
    leads[16] = 1;
    leads[24..40].copy_from_slice(&key);
    assert_eq!(read::<4>(&forward, &leads), Ok(None));
    // A node port of this node, whose backend is on another: that one counts it.
    let mut handed_on = value.clone();
    handed_on[17] = 0x04;
    assert_eq!(read::<4>(&key, &handed_on), Ok(None));
}

/// A host's process calls a service: the source is changed to the tunnel's address and another port on the way.
#[test]
fn a_changed_source_is_not_the_client() {
    let (key, mut value) = v4(6, 2);
    put_leg(&mut value, 24, 0, 0, 0);
    put_leg(&mut value, 48, 80, 1, SYN | OPENER);
    value[76..80].copy_from_slice(&[10, 96, 0, 1]);
    value[80..82].copy_from_slice(&443_u16.to_ne_bytes());
    value[82..84].copy_from_slice(&51_000_u16.to_ne_bytes());
    value[84..88].copy_from_slice(&[172, 18, 0, 1]);
    let connection = read::<4>(&key, &value).unwrap().unwrap();
    assert_eq!(connection.flow.original, tuple(("172.18.0.1", 51_000), ("10.96.0.1", 443)));
    assert_eq!(connection.flow.reply, tuple(("10.65.0.2", 40_000), ("10.65.0.3", 8080)), "B opened it");
}

#[test]
fn ipv6_has_the_same_at_other_places() {
    let (a, b, service) = ("fd00::2", "fd00::3", "fd00:96::1");
    let bytes = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    let mut key = 17_u32.to_ne_bytes().to_vec();
    key.extend(bytes(a).into_iter().chain(bytes(b)));
    key.extend([5353_u16, 40_000].into_iter().flat_map(u16::to_ne_bytes));
    let mut value = vec![0; 128];
    (value[16], value[23]) = (2, 1);
    put_leg(&mut value, 24, 900, 3, 0);
    put_leg(&mut value, 48, 300, 4, 0);
    value[88..104].copy_from_slice(&bytes(service));
    value[104..106].copy_from_slice(&53_u16.to_ne_bytes());
    assert_eq!((key.len(), value.len()), (key_size::<16>(), value_size::<16>()));
    let connection = read::<16>(&key, &value).unwrap().unwrap();
    // Neither leg says who opened it, but the flag does.
    assert_eq!(connection.flow.original, tuple((b, 40_000), (service, 53)));
    assert_eq!(connection.flow.reply, tuple((a, 5353), (b, 40_000)));
    assert_eq!((connection.bytes, connection.phase), (Some([300, 900]), Phase::Udp));
    assert_eq!((connection.flow.tcp, connection.flow.status.0), (None, Status::SEEN_REPLY));
}

#[test]
fn states_follow_from_the_packets_seen() {
    let all = [
        ((1, SYN), (0, 0), TcpState::SynSent, Phase::Handshake),
        ((1, SYN), (1, SHAKEN), TcpState::SynRecv, Phase::Handshake),
        ((2, SHAKEN), (1, SHAKEN), TcpState::Established, Phase::Established),
        // Before Calico 3.30 packets are not counted.
        ((0, SHAKEN), (0, SHAKEN), TcpState::Established, Phase::Established),
        ((9, SHAKEN | FIN), (9, SHAKEN), TcpState::CloseWait, Phase::Established),
        ((9, SHAKEN), (9, SHAKEN | FIN), TcpState::CloseWait, Phase::Established),
        ((9, SHAKEN | FIN), (9, SHAKEN | FIN), TcpState::TimeWait, Phase::Finished),
        ((1, SYN), (1, RST), TcpState::Close, Phase::Reset),
        ((9, SHAKEN | FIN | RST), (9, SHAKEN), TcpState::Close, Phase::Reset),
        ((9, SHAKEN | FIN), (9, SHAKEN | FIN | RST), TcpState::TimeWait, Phase::Finished),
    ];
    for (client, server, state, phase) in all {
        let connection = opened_by_a(6, client, server);
        let tcp = connection.flow.tcp.unwrap();
        assert_eq!((tcp.state, connection.phase), (state, phase), "{client:?} {server:?}");
        let closed = [client.1 & FIN != 0, server.1 & FIN != 0];
        let first = [tcp.flags_original & Tcp::CLOSE_INIT != 0, tcp.flags_reply & Tcp::CLOSE_INIT != 0];
        assert_eq!(first, if closed == [true; 2] { [false; 2] } else { closed }, "{client:?} {server:?}");
    }
}

/// Only an entry that counts packets can say that nobody answered.
#[test]
fn answers_are_known_where_packets_are_counted() {
    for protocol in [17, 132] {
        let answered = |sent, received| {
            let connection = opened_by_a(protocol, (sent, 0), (received, 0));
            (connection.flow.status.has(Status::SEEN_REPLY), connection.bytes)
        };
        assert_eq!(answered(3, 0), (false, Some([180, 0])));
        assert_eq!(answered(3, 1), (true, Some([180, 50])));
        assert_eq!(answered(0, 0), (true, None));
    }
    let ping = opened_by_a(1, (1, 0), (1, 0));
    assert_eq!((ping.flow.original.src_port, ping.flow.reply.src_port, ping.phase), (0, 0, Phase::Icmp));
    assert_eq!(opened_by_a(47, (1, 0), (1, 0)).phase, Phase::Other);
}

#[test]
fn what_is_not_known_is_refused() {
    let (key, value) = v4(6, 0);
    assert_eq!(read::<4>(&key, &value[..64]), Err(Refused::Size));
    assert_eq!(read::<4>(&key[..8], &value), Err(Refused::Size));
    assert_eq!(read::<16>(&key, &value), Err(Refused::Size));
    assert_eq!(read::<4>(&key, &v4(6, 3).1), Err(Refused::Kind(3)));
    let mut large = key;
    large[..4].copy_from_slice(&262_u32.to_ne_bytes());
    assert_eq!(read::<4>(&large, &value), Err(Refused::Protocol(262)));
}

proptest! {
    /// Whatever lies in a map is a connection, an entry that another one counts, or refused.
    #[test]
    fn any_bytes_are_read_or_refused(
        key4 in prop::array::uniform16(any::<u8>()),
        key6 in prop::collection::vec(any::<u8>(), 40),
        value in prop::collection::vec(any::<u8>(), 128),
        kind in 0_u8..4,
        len in 0_usize..=128,
    ) {
        let mut value = value;
        value[16] = kind;
        let _ = read::<4>(&key4, &value[..len]);
        let _ = read::<16>(&key6, &value[..len]);
        let whole = [read::<4>(&key4, &value[..88]), read::<16>(&key6, &value)];
        for read in whole {
            match read {
                Ok(Some(connection)) => {
                    prop_assert!(kind == 0 || kind == 2);
                    let [client, _, backend] = connection.flow.ends();
                    prop_assert_eq!(client.v4().is_some(), backend.v4().is_some());
                }
                Ok(None) => prop_assert!(kind == 1 || value[17] & 4 != 0),
                Err(Refused::Kind(number)) => prop_assert_eq!(number, 3),
                Err(error) => prop_assert!(matches!(error, Refused::Protocol(number) if number > 255)),
            }
        }
    }
}
