//! The layout in which every kernel so far writes tuples with ports, and TCP's state: read at fixed places after one
//! comparison of all attribute headers. Anything else is left to the general walk, byte for byte the same in meaning.

use khan_api::TcpState;

use super::attribute as attr;
use crate::flows::address::Address;
use crate::flows::flow::{Flow, Tcp, Tuple};

/// Lengths of a whole tuple attribute with ports.
const V4: usize = 52;
const V6: usize = 76;

/// An attribute header as the number that a native load gives.
const fn header(len: u16, number: u16) -> u32 {
    let ([l0, l1], [n0, n1]) = (len.to_ne_bytes(), number.to_ne_bytes());
    u32::from_ne_bytes([l0, l1, n0, n1])
}

const NESTED: u16 = 0x8000;

#[inline]
fn word<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[inline]
fn be32<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    u32::from_be(word(bytes, at))
}

#[inline]
fn be16<const N: usize>(bytes: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[inline]
fn be128<const N: usize>(bytes: &[u8; N], at: usize) -> u128 {
    let part = |n: usize| u128::from(be32(bytes, at + 4 * n));
    part(0) << 96 | part(1) << 64 | part(2) << 32 | part(3)
}

/// Both tuples and their protocol into `flow`, and the bytes after them; none, and a spoiled `flow`, when the layout is
/// another one.
#[inline]
pub(super) fn tuples<'a>(bytes: &'a [u8], flow: &mut Flow) -> Option<&'a [u8]> {
    if let Some((both, rest)) = bytes.split_first_chunk::<{ 2 * V4 }>() {
        let (original, reply) = both.split_at(V4);
        let (original, reply) = (original.first_chunk::<V4>()?, reply.first_chunk::<V4>()?);
        if word(original, 0) == header(52, NESTED | 1) {
            flow.protocol = tuple_v4(original, 1, &mut flow.original)?;
            tuple_v4(reply, 2, &mut flow.reply)?;
            return Some(rest);
        }
    }
    let (both, rest) = bytes.split_first_chunk::<{ 2 * V6 }>()?;
    let (original, reply) = both.split_at(V6);
    flow.protocol = tuple_v6(original.first_chunk::<V6>()?, 1, &mut flow.original)?;
    tuple_v6(reply.first_chunk::<V6>()?, 2, &mut flow.reply)?;
    Some(rest)
}

#[inline]
fn tuple_v4(bytes: &[u8; V4], number: u16, tuple: &mut Tuple) -> Option<u8> {
    let odd = (word(bytes, 0) ^ header(52, NESTED | number))
        | (word(bytes, 4) ^ header(20, NESTED | 1))
        | (word(bytes, 8) ^ header(8, 1))
        | (word(bytes, 16) ^ header(8, 2))
        | (word(bytes, 24) ^ header(28, NESTED | 2))
        | (word(bytes, 28) ^ header(5, 1))
        | (word(bytes, 36) ^ header(6, 2))
        | (word(bytes, 44) ^ header(6, 3));
    if odd != 0 {
        return None;
    }
    tuple.src = Address::from_v4(be32(bytes, 12));
    tuple.dst = Address::from_v4(be32(bytes, 20));
    (tuple.src_port, tuple.dst_port) = (be16(bytes, 40), be16(bytes, 48));
    Some(bytes[32])
}

#[inline]
fn tuple_v6(bytes: &[u8; V6], number: u16, tuple: &mut Tuple) -> Option<u8> {
    let odd = (word(bytes, 0) ^ header(76, NESTED | number))
        | (word(bytes, 4) ^ header(44, NESTED | 1))
        | (word(bytes, 8) ^ header(20, 3))
        | (word(bytes, 28) ^ header(20, 4))
        | (word(bytes, 48) ^ header(28, NESTED | 2))
        | (word(bytes, 52) ^ header(5, 1))
        | (word(bytes, 60) ^ header(6, 2))
        | (word(bytes, 68) ^ header(6, 3));
    if odd != 0 {
        return None;
    }
    tuple.src = Address::from_v6(be128(bytes, 12));
    tuple.dst = Address::from_v6(be128(bytes, 32));
    (tuple.src_port, tuple.dst_port) = (be16(bytes, 64), be16(bytes, 72));
    Some(bytes[56])
}

/// Status and timeout, and the bytes after them, where a dump has nothing but mark, id and use between them
/// (`ctnetlink_dump_info`); none where it has more or less: a security context, an entry that a flow table took over.
#[inline]
pub(super) fn status_and_timeout(bytes: &[u8]) -> Option<(u32, u32, &[u8])> {
    let (five, rest) = bytes.split_first_chunk::<40>()?;
    let odd = (word(five, 0) ^ header(8, attr::STATUS))
        | (word(five, 8) ^ header(8, attr::MARK))
        | (word(five, 16) ^ header(8, attr::ID))
        | (word(five, 24) ^ header(8, attr::USE))
        | (word(five, 32) ^ header(8, attr::TIMEOUT));
    (odd == 0).then(|| (be32(five, 4), be32(five, 36), rest))
}

/// `CTA_PROTOINFO` for TCP, and the bytes after it, where it comes first; none when it does not.
#[inline]
pub(super) fn tcp_attribute(bytes: &[u8]) -> Option<(Tcp, &[u8])> {
    let (whole, rest) = bytes.split_first_chunk::<48>()?;
    if word(whole, 0) != header(48, NESTED | attr::PROTOINFO) {
        return None;
    }
    Some((tcp(&whole[4..])?, rest))
}

/// `CTA_PROTOINFO`'s payload for TCP: state, two window scales, two pairs of flags.
#[inline]
pub(super) fn tcp(bytes: &[u8]) -> Option<Tcp> {
    let bytes: &[u8; 44] = bytes.try_into().ok()?;
    let odd = (word(bytes, 0) ^ header(44, NESTED | 1))
        | (word(bytes, 4) ^ header(5, 1))
        | (word(bytes, 12) ^ header(5, 2))
        | (word(bytes, 20) ^ header(5, 3))
        | (word(bytes, 28) ^ header(6, 4))
        | (word(bytes, 36) ^ header(6, 5));
    if odd != 0 {
        return None;
    }
    Some(Tcp { state: TcpState::from_number(bytes[8])?, flags_original: bytes[32], flags_reply: bytes[40] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(number: u16, value: u32) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&header(8, number).to_ne_bytes());
        bytes[4..].copy_from_slice(&value.to_be_bytes());
        bytes
    }

    /// As Linux 6.18 writes an entry after its tuples.
    #[test]
    fn what_stands_between_status_and_timeout_is_stepped_over() {
        let kernel = [(attr::STATUS, 0x18e), (attr::MARK, 0), (attr::ID, 7), (attr::USE, 1), (attr::TIMEOUT, 86_400)];
        let mut bytes: Vec<u8> = kernel.into_iter().flat_map(|(number, value)| attribute(number, value)).collect();
        bytes.extend([1, 2, 3]);
        assert_eq!(status_and_timeout(&bytes), Some((0x18e, 86_400, &[1, 2, 3][..])));
        bytes[8..16].copy_from_slice(&attribute(attr::ID, 7));
        assert_eq!(status_and_timeout(&bytes), None);
    }
}
