//! Netlink attributes: a walk over borrowed bytes, and the numbers of ctnetlink
//! (`include/uapi/linux/netfilter/nfnetlink_conntrack.h`).

/// `CTA_TUPLE_ORIG`
pub const TUPLE_ORIG: u16 = 1;
/// `CTA_TUPLE_REPLY`
pub const TUPLE_REPLY: u16 = 2;
/// `CTA_STATUS`
pub const STATUS: u16 = 3;
/// `CTA_PROTOINFO`
pub const PROTOINFO: u16 = 4;
/// `CTA_TIMEOUT`
pub const TIMEOUT: u16 = 7;
/// `CTA_MARK`
pub const MARK: u16 = 8;
/// `CTA_COUNTERS_ORIG`
pub const COUNTERS_ORIG: u16 = 9;
/// `CTA_COUNTERS_REPLY`
pub const COUNTERS_REPLY: u16 = 10;
/// `CTA_USE`
pub const USE: u16 = 11;
/// `CTA_ID`
pub const ID: u16 = 12;
/// `CTA_ZONE`
pub const ZONE: u16 = 18;
/// `CTA_TIMESTAMP`
pub const TIMESTAMP: u16 = 20;

/// `CTA_TUPLE_IP`
pub const TUPLE_IP: u16 = 1;
/// `CTA_TUPLE_PROTO`
pub const TUPLE_PROTO: u16 = 2;
/// `CTA_TUPLE_ZONE`
pub const TUPLE_ZONE: u16 = 3;
/// `CTA_IP_V4_SRC`
pub const IP_V4_SRC: u16 = 1;
/// `CTA_IP_V4_DST`
pub const IP_V4_DST: u16 = 2;
/// `CTA_IP_V6_SRC`
pub const IP_V6_SRC: u16 = 3;
/// `CTA_IP_V6_DST`
pub const IP_V6_DST: u16 = 4;
/// `CTA_PROTO_NUM`
pub const PROTO_NUM: u16 = 1;
/// `CTA_PROTO_SRC_PORT`
pub const PROTO_SRC_PORT: u16 = 2;
/// `CTA_PROTO_DST_PORT`
pub const PROTO_DST_PORT: u16 = 3;
/// `CTA_PROTOINFO_TCP`
pub const PROTOINFO_TCP: u16 = 1;
/// `CTA_PROTOINFO_TCP_STATE`
pub const TCP_STATE: u16 = 1;
/// `CTA_PROTOINFO_TCP_FLAGS_ORIGINAL`
pub const TCP_FLAGS_ORIGINAL: u16 = 4;
/// `CTA_PROTOINFO_TCP_FLAGS_REPLY`
pub const TCP_FLAGS_REPLY: u16 = 5;
/// `CTA_COUNTERS_BYTES`
pub const COUNTERS_BYTES: u16 = 2;
/// `CTA_TIMESTAMP_START`
pub const TIMESTAMP_START: u16 = 1;

/// The bits of an attribute's type that are its number; the others say "nested" and "network byte order".
const NUMBER: u16 = 0x3fff;
const HEADER: usize = 4;

/// The attributes in a run of bytes, each a number and its payload. Ends early, with [`Attributes::broken`] set, at
/// an attribute that claims to be longer than what is left.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
    broken: bool,
}

impl<'a> Attributes<'a> {
    /// Over these bytes.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, broken: false }
    }

    /// Whether the walk met an attribute that does not fit.
    pub const fn broken(&self) -> bool {
        self.broken
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let Some((&[l0, l1, t0, t1], _)) = self.rest.split_first_chunk() else {
            self.broken |= !self.rest.is_empty();
            return None;
        };
        let len = usize::from(u16::from_ne_bytes([l0, l1]));
        if len < HEADER || len > self.rest.len() {
            self.broken = true;
            self.rest = &[];
            return None;
        }
        let payload = &self.rest[HEADER..len];
        // The last attribute of a run may lack its padding.
        self.rest = self.rest.get(aligned(len)..).unwrap_or_default();
        Some((u16::from_ne_bytes([t0, t1]) & NUMBER, payload))
    }
}

/// Rounded up to a multiple of four.
pub const fn aligned(len: usize) -> usize {
    (len + 3) & !3
}

/// A one-byte payload.
#[inline]
pub fn u8(payload: &[u8]) -> Option<u8> {
    payload.first().copied().filter(|_| payload.len() == 1)
}

/// A two-byte payload in network byte order.
#[inline]
pub fn be16(payload: &[u8]) -> Option<u16> {
    payload.try_into().ok().map(u16::from_be_bytes)
}

/// A four-byte payload in network byte order.
#[inline]
pub fn be32(payload: &[u8]) -> Option<u32> {
    payload.try_into().ok().map(u32::from_be_bytes)
}

/// An eight-byte payload in network byte order.
#[inline]
pub fn be64(payload: &[u8]) -> Option<u64> {
    payload.try_into().ok().map(u64::from_be_bytes)
}

/// A sixteen-byte payload in network byte order.
#[inline]
pub fn be128(payload: &[u8]) -> Option<u128> {
    payload.try_into().ok().map(u128::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_padding_and_stops_at_lies() {
        let bytes = [[5, 0, 1, 0], [7, 9, 9, 9], [8, 0, 2, 0x80], [1, 2, 3, 4]].concat();
        let mut walk = Attributes::new(&bytes);
        assert_eq!(walk.next(), Some((1, &[7][..])));
        assert_eq!(walk.next(), Some((2, &[1, 2, 3, 4][..])));
        assert_eq!((walk.next(), walk.broken()), (None, false));
        for lie in [&[3, 0, 1, 0][..], &[9, 0, 1, 0, 7], &[5, 0, 1], &[0, 0, 0, 0]] {
            let mut walk = Attributes::new(lie);
            assert_eq!((walk.next(), walk.broken()), (None, true), "{lie:?}");
        }
    }
}
