//! In: the attributes of one entry, borrowed. Out: a [`Flow`].
//!
//! Attributes come in an order that differs between kernels, so the general walk takes them as they come, skips those it
//! does not know, and refuses an entry whose known ones make no sense. The layout that every kernel so far writes is
//! read without a walk (`fast_path.rs`).

use khan_api::TcpState;

use super::attribute::{self as attr, Attributes};
use super::fast_path;
use crate::flows::address::Address;
use crate::flows::flow::{Flow, Status, Tcp, Tuple};

/// Why an entry was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// An attribute claims to be longer than what holds it.
    #[error("an attribute does not fit its entry")]
    Broken,
    /// A known attribute has another size than the kernel gives it, or a value that it does not have.
    #[error("attribute {0} makes no sense")]
    Odd(u16),
    /// A tuple is missing.
    #[error("a tuple is missing")]
    NoTuple,
}

/// Reads one entry: everything after the `nfgenmsg` header.
#[inline]
pub fn flow(bytes: &[u8]) -> Result<Flow, Refused> {
    // Filled where it lies: a copy of what was just written in parts would wait for the parts.
    let mut flow = Flow::default();
    let Some(mut rest) = fast_path::tuples(bytes, &mut flow) else { return general(bytes) };
    if let Some((status, timeout, after)) = fast_path::status_and_timeout(rest) {
        (flow.status, flow.timeout, rest) = (Status(status), Some(timeout), after);
        if let Some((tcp, after)) = fast_path::tcp_attribute(rest) {
            (flow.tcp, rest) = (Some(tcp), after);
        }
    }
    rest_of(&mut flow, true, true, rest)?;
    Ok(flow)
}

/// Reads one entry of any layout.
pub fn general(bytes: &[u8]) -> Result<Flow, Refused> {
    let mut flow = Flow::default();
    rest_of(&mut flow, false, false, bytes)?;
    Ok(flow)
}

/// Numbers of the attributes that [`rest_of`] reads, as bits.
const KNOWN: u64 = 1 << attr::TUPLE_ORIG
    | 1 << attr::TUPLE_REPLY
    | 1 << attr::STATUS
    | 1 << attr::TIMEOUT
    | 1 << attr::PROTOINFO
    | 1 << attr::ZONE;

#[inline]
fn rest_of(flow: &mut Flow, mut has_original: bool, mut has_reply: bool, bytes: &[u8]) -> Result<(), Refused> {
    let mut attributes = Attributes::new(bytes);
    for (number, payload) in attributes.by_ref() {
        // What the usual layout leaves is nearly always of no interest, and one comparison says so.
        if number >= 64 || KNOWN >> number & 1 == 0 {
            continue;
        }
        let odd = Refused::Odd(number);
        match number {
            attr::TUPLE_ORIG => {
                let (tuple, protocol, zone) = tuple(payload)?;
                (flow.original, flow.protocol, has_original) = (tuple, protocol, true);
                flow.zone = zone.unwrap_or(flow.zone);
            }
            attr::TUPLE_REPLY => {
                let (tuple, _, zone) = tuple(payload)?;
                (flow.reply, has_reply) = (tuple, true);
                flow.zone = zone.unwrap_or(flow.zone);
            }
            attr::STATUS => flow.status = Status(attr::be32(payload).ok_or(odd)?),
            attr::TIMEOUT => flow.timeout = Some(attr::be32(payload).ok_or(odd)?),
            attr::PROTOINFO => flow.tcp = protocol_state(payload)?,
            attr::ZONE => flow.zone = attr::be16(payload).ok_or(odd)?,
            _ => {}
        }
    }
    match (attributes.broken(), has_original && has_reply) {
        (true, _) => Err(Refused::Broken),
        (_, false) => Err(Refused::NoTuple),
        _ => Ok(()),
    }
}

/// A tuple, its protocol, and its zone where the zone belongs to one direction only.
fn tuple(bytes: &[u8]) -> Result<(Tuple, u8, Option<u16>), Refused> {
    let (mut src, mut dst, mut protocol, mut zone) = (None, None, None, None);
    let mut ports = (0, 0);
    each(bytes, |number, payload| match number {
        attr::TUPLE_IP => each(payload, |number, payload| {
            let odd = Refused::Odd(number);
            match number {
                attr::IP_V4_SRC => src = Some(Address::from_v4(attr::be32(payload).ok_or(odd)?)),
                attr::IP_V4_DST => dst = Some(Address::from_v4(attr::be32(payload).ok_or(odd)?)),
                attr::IP_V6_SRC => src = Some(Address::from_v6(attr::be128(payload).ok_or(odd)?)),
                attr::IP_V6_DST => dst = Some(Address::from_v6(attr::be128(payload).ok_or(odd)?)),
                _ => {}
            }
            Ok(())
        }),
        attr::TUPLE_PROTO => each(payload, |number, payload| {
            let odd = Refused::Odd(number);
            match number {
                attr::PROTO_NUM => protocol = Some(attr::u8(payload).ok_or(odd)?),
                attr::PROTO_SRC_PORT => ports.0 = attr::be16(payload).ok_or(odd)?,
                attr::PROTO_DST_PORT => ports.1 = attr::be16(payload).ok_or(odd)?,
                _ => {}
            }
            Ok(())
        }),
        attr::TUPLE_ZONE => {
            zone = Some(attr::be16(payload).ok_or(Refused::Odd(number))?);
            Ok(())
        }
        _ => Ok(()),
    })?;
    match (src, dst, protocol) {
        (Some(src), Some(dst), Some(protocol)) => {
            Ok((Tuple { src, dst, src_port: ports.0, dst_port: ports.1 }, protocol, zone))
        }
        _ => Err(Refused::NoTuple),
    }
}

/// `CTA_PROTOINFO`: TCP's state and flags; nothing for other protocols.
#[inline]
fn protocol_state(bytes: &[u8]) -> Result<Option<Tcp>, Refused> {
    if let Some(tcp) = fast_path::tcp(bytes) {
        return Ok(Some(tcp));
    }
    let mut tcp = None;
    each(bytes, |number, payload| {
        if number != attr::PROTOINFO_TCP {
            return Ok(());
        }
        let mut found = Tcp::default();
        each(payload, |number, payload| {
            let odd = Refused::Odd(number);
            match number {
                attr::TCP_STATE => found.state = attr::u8(payload).and_then(TcpState::from_number).ok_or(odd)?,
                // `struct nf_ct_tcp_flags`: the flags, and a mask that means nothing in an answer.
                attr::TCP_FLAGS_ORIGINAL => found.flags_original = *payload.first().ok_or(odd)?,
                attr::TCP_FLAGS_REPLY => found.flags_reply = *payload.first().ok_or(odd)?,
                _ => {}
            }
            Ok(())
        })?;
        tcp = Some(found);
        Ok(())
    })?;
    Ok(tcp)
}

fn each<'a>(bytes: &'a [u8], mut see: impl FnMut(u16, &'a [u8]) -> Result<(), Refused>) -> Result<(), Refused> {
    let mut attributes = Attributes::new(bytes);
    for (number, payload) in attributes.by_ref() {
        see(number, payload)?;
    }
    if attributes.broken() { Err(Refused::Broken) } else { Ok(()) }
}
