//! Our walk against netlink-packet-netfilter's typed messages, on generated entries and on damaged ones.

use std::net::IpAddr;

use khan_agent::conntrack::flow::{Flow, Tcp};
use khan_agent::conntrack::parse;
use netlink_packet_core::{DefaultNla, Emitable, NetlinkSerializable, ParseableParametrized};
use netlink_packet_netfilter::conntrack::{
    ConntrackAttribute as Attribute, ConntrackMessage, IPTuple, ProtoInfo, ProtoInfoTCP, ProtoTuple, Status, TCPFlags,
    Tuple,
};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};
use proptest::prelude::*;

const ENTRY: u16 = 0x0100;

/// What the typed messages say of an entry, in our words; none where they miss a tuple.
fn typed(bytes: &[u8]) -> Option<Flow> {
    let mut flow = Flow::default();
    let message = NetfilterMessage::parse_with_param(bytes, ENTRY).ok()?;
    let NetfilterMessageInner::Conntrack(ConntrackMessage::New(attributes)) = message.inner else { return None };
    let (mut original, mut reply) = (false, false);
    for attribute in attributes {
        match attribute {
            Attribute::CtaTupleOrig(tuple) => {
                flow.protocol = fill(&mut flow.original, &tuple)?;
                original = true;
            }
            Attribute::CtaTupleReply(tuple) => {
                fill(&mut flow.reply, &tuple)?;
                reply = true;
            }
            Attribute::CtaStatus(status) => flow.status.0 = status.bits(),
            Attribute::CtaTimeout(timeout) => flow.timeout = Some(timeout),
            Attribute::CtaProtoInfo(infos) => {
                for info in infos {
                    let ProtoInfo::TCP(parts) = info else { continue };
                    let mut tcp = Tcp::default();
                    for part in parts {
                        match part {
                            ProtoInfoTCP::State(state) => tcp.state = khan_api::TcpState::from_number(state)?,
                            ProtoInfoTCP::OriginalFlags(flags) => tcp.flags_original = flags.flags,
                            ProtoInfoTCP::ReplyFlags(flags) => tcp.flags_reply = flags.flags,
                            _ => {}
                        }
                    }
                    flow.tcp = Some(tcp);
                }
            }
            _ => {}
        }
    }
    (original && reply).then_some(flow)
}

fn fill(tuple: &mut khan_agent::conntrack::Tuple, parts: &[Tuple]) -> Option<u8> {
    let mut protocol = None;
    for part in parts {
        match part {
            Tuple::Ip(ips) => {
                for ip in ips {
                    match ip {
                        IPTuple::SourceAddress(ip) => tuple.src = (*ip).into(),
                        IPTuple::DestinationAddress(ip) => tuple.dst = (*ip).into(),
                        _ => {}
                    }
                }
            }
            Tuple::Proto(protos) => {
                for proto in protos {
                    match proto {
                        ProtoTuple::Protocol(number) => protocol = Some(u8::from(*number)),
                        ProtoTuple::SourcePort(port) => tuple.src_port = *port,
                        ProtoTuple::DestinationPort(port) => tuple.dst_port = *port,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    protocol
}

#[derive(Clone, Debug)]
struct Entry {
    attributes: Vec<Attribute>,
    family: NetfilterProtoFamily,
}

impl Entry {
    fn bytes(&self) -> Vec<u8> {
        let inner = ConntrackMessage::New(self.attributes.clone());
        let message = NetfilterMessage::new(NetfilterHeader::new(self.family, 0, 0), inner);
        let mut bytes = vec![0; Emitable::buffer_len(&message)];
        message.serialize(&mut bytes);
        bytes
    }
}

fn tuple(src: IpAddr, dst: IpAddr, ports: (u16, u16), protocol: u8) -> Vec<Tuple> {
    vec![
        Tuple::Ip(vec![IPTuple::SourceAddress(src), IPTuple::DestinationAddress(dst)]),
        Tuple::Proto(vec![
            ProtoTuple::Protocol(protocol.into()),
            ProtoTuple::SourcePort(ports.0),
            ProtoTuple::DestinationPort(ports.1),
        ]),
    ]
}

prop_compose! {
    fn entries()(
        v6 in any::<bool>(),
        ips in any::<[[u8; 16]; 4]>(),
        ports in any::<[u16; 4]>(),
        protocol in prop_oneof![Just(6_u8), Just(17), Just(132), Just(1)],
        status in any::<u16>(),
        timeout in proptest::option::of(any::<u32>()),
        tcp in proptest::option::of((0..10_u8, any::<[u8; 2]>())),
        mark in any::<u32>(),
        unknown in proptest::option::of((30..200_u16, proptest::collection::vec(any::<u8>(), 0..20))),
        order in Just(()).prop_perturb(|(), mut random| random.random::<u64>()),
        shuffled in any::<bool>(),
    ) -> Entry {
        let ip = |n: usize| -> IpAddr {
            if v6 { ips[n].into() } else { <[u8; 4]>::try_from(&ips[n][..4]).unwrap().into() }
        };
        let mut attributes = vec![
            Attribute::CtaTupleOrig(tuple(ip(0), ip(1), (ports[0], ports[1]), protocol)),
            Attribute::CtaTupleReply(tuple(ip(2), ip(3), (ports[2], ports[3]), protocol)),
            Attribute::CtaStatus(Status::from_bits_retain(u32::from(status))),
            Attribute::CtaMark(mark),
        ];
        attributes.extend(timeout.map(Attribute::CtaTimeout));
        attributes.extend(tcp.filter(|_| protocol == 6).map(|(state, flags)| {
            let flags = flags.map(|flags| TCPFlags::parse(&[flags, 0]).unwrap());
            let [original, reply] = flags;
            Attribute::CtaProtoInfo(vec![ProtoInfo::TCP(vec![
                ProtoInfoTCP::State(state),
                ProtoInfoTCP::OriginalWindowScale(7),
                ProtoInfoTCP::ReplyWindowScale(7),
                ProtoInfoTCP::OriginalFlags(original),
                ProtoInfoTCP::ReplyFlags(reply),
            ])])
        }));
        attributes.extend(unknown.map(|(kind, payload)| Attribute::Other(DefaultNla::new(kind, payload))));
        if shuffled {
            let len = attributes.len() as u64;
            for n in 0..attributes.len() {
                attributes.swap(n, usize::try_from(order.rotate_left(7 * u32::try_from(n).unwrap()) % len).unwrap());
            }
        }
        Entry { attributes, family: if v6 { NetfilterProtoFamily::IPv6 } else { NetfilterProtoFamily::IPv4 } }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn we_read_what_the_typed_messages_read(entry in entries()) {
        let bytes = entry.bytes();
        let want = typed(&bytes);
        prop_assert!(want.is_some());
        prop_assert_eq!(parse::flow(&bytes[4..]).ok(), want);
        prop_assert_eq!(parse::general(&bytes[4..]).ok(), want);
    }

    /// The usual layout's path and the general walk agree on anything, damaged or not.
    #[test]
    fn both_paths_agree_on_damaged_entries(
        entry in entries(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let mut bytes = entry.bytes()[4..].to_vec();
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        prop_assert_eq!(parse::flow(&bytes).ok(), parse::general(&bytes).ok());
    }
}
