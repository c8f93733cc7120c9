//! One entry as netlink-packet-netfilter understands it.

use std::net::IpAddr;

use khan_agent::flows::{Address, Flow, Status, Tcp, Tuple};
use khan_api::TcpState;
use netlink_packet_core::{NLA_TYPE_MASK, Nla, ParseableParametrized};
use netlink_packet_netfilter::conntrack::{
    ConntrackAttribute as Attribute, ConntrackMessage, IPTuple, ProtoInfo, ProtoInfoTCP, ProtoTuple,
    Tuple as TupleAttribute,
};

const CTA_ZONE: u16 = 18;
const CTA_TUPLE_ZONE: u16 = 3;

/// What stands in the attributes of an entry; none where they make no entry.
pub(crate) fn flow(attributes: &[u8]) -> Option<Flow> {
    // 0 is IPCTNL_MSG_CT_NEW.
    let ConntrackMessage::New(attributes) = ConntrackMessage::parse_with_param(attributes, 0).ok()? else {
        return None;
    };
    let mut flow = Flow::default();
    let (mut original, mut reply) = (false, false);
    for attribute in &attributes {
        match attribute {
            Attribute::CtaTupleOrig(parts) => {
                (flow.original, flow.protocol, original) = (tuple(parts)?, protocol(parts)?, true);
                flow.zone = zone(parts).unwrap_or(flow.zone);
            }
            Attribute::CtaTupleReply(parts) => {
                (flow.reply, reply) = (tuple(parts)?, true);
                flow.zone = zone(parts).unwrap_or(flow.zone);
            }
            Attribute::CtaProtoInfo(infos) => flow.tcp = tcp(infos).ok()?,
            Attribute::CtaStatus(status) => flow.status = Status(status.bits()),
            Attribute::CtaTimeout(seconds) => flow.timeout = Some(*seconds),
            Attribute::Other(other) if kind(other) == CTA_ZONE => flow.zone = number(other)?,
            _ => {}
        }
    }
    (original && reply).then_some(flow)
}

fn tuple(attributes: &[TupleAttribute]) -> Option<Tuple> {
    let (mut src, mut dst) = (None, None);
    let mut ports = (0, 0);
    for attribute in attributes {
        match attribute {
            TupleAttribute::Ip(addresses) => {
                for address in addresses {
                    match address {
                        IPTuple::SourceAddress(ip) => src = Some(*ip),
                        IPTuple::DestinationAddress(ip) => dst = Some(*ip),
                        _ => {}
                    }
                }
            }
            TupleAttribute::Proto(members) => {
                for member in members {
                    match member {
                        ProtoTuple::SourcePort(port) => ports.0 = *port,
                        ProtoTuple::DestinationPort(port) => ports.1 = *port,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let address = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => Address::from_v4(ip.to_bits()),
        IpAddr::V6(ip) => Address::from_v6(ip.to_bits()),
    };
    Some(Tuple { src: address(src?), dst: address(dst?), src_port: ports.0, dst_port: ports.1 })
}

fn protocol(parts: &[TupleAttribute]) -> Option<u8> {
    let protos =
        parts.iter().filter_map(|part| if let TupleAttribute::Proto(proto) = part { Some(proto) } else { None });
    let numbers = protos.flatten().filter_map(|part| if let ProtoTuple::Protocol(p) = part { Some(*p) } else { None });
    numbers.fold(None, |_, number| Some(number)).map(u8::from)
}

fn zone(parts: &[TupleAttribute]) -> Option<u16> {
    parts.iter().rev().find_map(|part| match part {
        TupleAttribute::Other(other) if kind(other) == CTA_TUPLE_ZONE => number(other),
        _ => None,
    })
}

/// None for another protocol; an error where the state is no state of TCP.
fn tcp(infos: &[ProtoInfo]) -> Result<Option<Tcp>, u8> {
    let mut tcp = None;
    for info in infos {
        let ProtoInfo::TCP(parts) = info else { continue };
        let mut found = Tcp::default();
        for part in parts {
            match part {
                ProtoInfoTCP::State(state) => found.state = TcpState::from_number(*state).ok_or(*state)?,
                ProtoInfoTCP::OriginalFlags(flags) => found.flags_original = flags.flags,
                ProtoInfoTCP::ReplyFlags(flags) => found.flags_reply = flags.flags,
                _ => {}
            }
        }
        tcp = Some(found);
    }
    Ok(tcp)
}

/// The type of an attribute that the crate does not know, without the flags that it leaves in.
fn kind(attribute: &impl Nla) -> u16 {
    attribute.kind() & NLA_TYPE_MASK
}

fn number(attribute: &impl Nla) -> Option<u16> {
    let mut bytes = vec![0; attribute.value_len()];
    attribute.emit_value(&mut bytes);
    bytes.try_into().ok().map(u16::from_be_bytes)
}
