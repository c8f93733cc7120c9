//! Entries that no kernel wrote: every order, unknown attributes among the known, both families, any protocol.

use std::net::IpAddr;

use khan_agent::flows::netlink::parse;
use netlink_packet_core::{DefaultNla, Emitable};
use netlink_packet_netfilter::conntrack::{
    ConntrackAttribute as Attribute, ConntrackMessage, IPTuple, ProtoInfo, ProtoInfoTCP, ProtoTuple, Status, TCPFlags,
    Tuple,
};
use proptest::prelude::*;

use crate::oracle;

fn unknown(kinds: &'static [u16]) -> impl Strategy<Value = DefaultNla> {
    (prop::sample::select(kinds), prop::collection::vec(any::<u8>(), 0..24))
        .prop_map(|(kind, value)| DefaultNla::new(kind, value))
}

fn addresses() -> impl Strategy<Value = [IpAddr; 2]> {
    prop_oneof![
        any::<[[u8; 4]; 2]>().prop_map(|ips| ips.map(IpAddr::from)),
        any::<[[u8; 16]; 2]>().prop_map(|ips| { ips.map(IpAddr::from) })
    ]
}

/// A tuple in any order, perhaps with a zone of its own, perhaps without ports.
fn tuple() -> impl Strategy<Value = Vec<Tuple>> {
    let zone = prop::option::of(any::<u16>());
    (addresses(), any::<u8>(), prop::option::of(any::<[u16; 2]>()), zone, unknown(&[4, 5, 9]), any::<bool>())
        .prop_flat_map(|([src, dst], protocol, ports, zone, other, with_other)| {
            let ip = vec![IPTuple::SourceAddress(src), IPTuple::DestinationAddress(dst)];
            let mut proto = vec![ProtoTuple::Protocol(protocol.into())];
            if let Some([src, dst]) = ports {
                proto.extend([ProtoTuple::SourcePort(src), ProtoTuple::DestinationPort(dst)]);
            }
            let others: Vec<Tuple> = zone
                .map(|zone| Tuple::Other(DefaultNla::new(3, zone.to_be_bytes().to_vec())))
                .into_iter()
                .chain(with_other.then_some(Tuple::Other(other)))
                .collect();
            (Just(ip).prop_shuffle(), Just(proto).prop_shuffle(), Just(others)).prop_flat_map(|(ip, proto, others)| {
                Just([vec![Tuple::Ip(ip), Tuple::Proto(proto)], others].concat()).prop_shuffle()
            })
        })
}

fn protocol_info() -> impl Strategy<Value = Attribute> {
    (0_u8..10, any::<[[u8; 2]; 2]>(), any::<[u8; 2]>())
        .prop_flat_map(|(state, flags, scales)| {
            let [original, reply] = flags.map(|flags| TCPFlags::parse(&flags).expect("two bytes"));
            Just(vec![
                ProtoInfoTCP::State(state),
                ProtoInfoTCP::OriginalWindowScale(scales[0]),
                ProtoInfoTCP::ReplyWindowScale(scales[1]),
                ProtoInfoTCP::OriginalFlags(original),
                ProtoInfoTCP::ReplyFlags(reply),
            ])
            .prop_shuffle()
        })
        .prop_map(|parts| Attribute::CtaProtoInfo(vec![ProtoInfo::TCP(parts)]))
}

/// An entry's attributes in any order.
fn attributes() -> impl Strategy<Value = Vec<u8>> {
    let known = (
        tuple().prop_map(Attribute::CtaTupleOrig),
        tuple().prop_map(Attribute::CtaTupleReply),
        any::<u32>().prop_map(|bits| Attribute::CtaStatus(Status::from_bits_retain(bits))),
        prop::option::of(any::<u32>().prop_map(Attribute::CtaTimeout)),
        prop::option::of(protocol_info()),
        // The kernel may flag any attribute as nested or as in network byte order; its type stays the same.
        prop::option::of((any::<u16>(), prop::sample::select(vec![0, 0x4000, 0x8000, 0xc000]))),
    );
    let unknown = prop::collection::vec(unknown(&[5, 6, 9, 10, 12, 20, 22, 25, 60, 0x3fff]), 0..4);
    (known, unknown, any::<bool>())
        .prop_flat_map(|((original, reply, status, timeout, info, zone), unknown, kernels_order)| {
            let zone =
                zone.map(|(zone, flags)| Attribute::Other(DefaultNla::new(0x12 | flags, zone.to_be_bytes().to_vec())));
            let rest = [Some(status), timeout, info, zone].into_iter().flatten();
            let rest = rest.chain(unknown.into_iter().map(Attribute::Other));
            let all: Vec<_> = [original, reply].into_iter().chain(rest).collect();
            if kernels_order { Just(all).boxed() } else { Just(all).prop_shuffle().boxed() }
        })
        .prop_map(|attributes| {
            let message = ConntrackMessage::New(attributes);
            let mut bytes = vec![0; message.buffer_len()];
            message.emit(&mut bytes);
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_readers_agree(bytes in attributes()) {
        let expected = oracle::flow(&bytes);
        prop_assert!(expected.is_some());
        prop_assert_eq!(parse::flow(&bytes).ok(), expected);
    }

    /// The fast path is the general walk, whatever the bytes; where both readers understand them, they agree.
    #[test]
    fn broken_entries_are_read_alike_or_refused(
        bytes in attributes(),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let mut bytes = bytes;
        *at.get_mut(&mut bytes) = value;
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        let ours = parse::flow(&bytes);
        prop_assert_eq!(ours, parse::general(&bytes));
        if let (Ok(flow), Some(expected)) = (ours, oracle::flow(&bytes)) {
            prop_assert_eq!(flow, expected);
        }
    }
}
