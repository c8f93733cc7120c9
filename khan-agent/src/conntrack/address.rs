//! An IP address as sixteen bytes, so that both families compare, hash and copy alike.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 address in its v4-mapped form (`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2), or an IPv6 address.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(u128);

const MAPPED: u128 = 0xffff_0000_0000;

impl Address {
    /// From the four bytes of an IPv4 address as a big-endian number.
    pub const fn from_v4(bits: u32) -> Self {
        Self(MAPPED | bits as u128)
    }

    /// From the sixteen bytes of an IPv6 address as a big-endian number.
    pub const fn from_v6(bits: u128) -> Self {
        Self(bits)
    }

    /// The IPv4 address as a big-endian number, when it is one.
    pub const fn v4(self) -> Option<u32> {
        #[expect(clippy::cast_possible_truncation, reason = "the low half is the IPv4 address")]
        if self.0 >> 32 == MAPPED >> 32 { Some(self.0 as u32) } else { None }
    }

    /// All bits, an IPv4 address in its mapped form.
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// The standard library's form.
    pub fn ip(self) -> IpAddr {
        match self.v4() {
            Some(bits) => IpAddr::V4(Ipv4Addr::from_bits(bits)),
            None => IpAddr::V6(Ipv6Addr::from_bits(self.0)),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::from_v4(ip.to_bits()),
            IpAddr::V6(ip) => Self::from_v6(ip.to_bits()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_survive() {
        for text in ["10.0.0.1", "0.0.0.0", "255.255.255.255", "fd00::1", "::", "::1", "ffff::ffff"] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(Address::from(ip).ip(), ip);
            assert_eq!(Address::from(ip).v4().is_some(), ip.is_ipv4());
        }
    }
}
