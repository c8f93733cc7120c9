//! An IP address of either family, small enough that an entry's four cost the fold nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 or IPv6 address. The families stay apart: `::ffff:10.0.0.1` (RFC 4291 section 2.5.5.2) in an IPv6 entry is not
/// the IPv4 address 10.0.0.1, and its entry is another connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Form);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Form {
    V4(u32),
    /// The most significant word first. A `u128` would need its alignment, and make the whole twelve bytes larger.
    V6([u32; 4]),
}

impl Address {
    /// From the four bytes of an IPv4 address as a big-endian number.
    #[inline]
    pub const fn from_v4(bits: u32) -> Self {
        Self(Form::V4(bits))
    }

    /// From the sixteen bytes of an IPv6 address as a big-endian number.
    #[expect(clippy::cast_possible_truncation, reason = "all four words are taken")]
    #[inline]
    pub const fn from_v6(bits: u128) -> Self {
        Self(Form::V6([(bits >> 96) as u32, (bits >> 64) as u32, (bits >> 32) as u32, bits as u32]))
    }

    /// The IPv4 address as a big-endian number, when it is one.
    #[inline]
    pub const fn v4(self) -> Option<u32> {
        match self.0 {
            Form::V4(bits) => Some(bits),
            Form::V6(_) => None,
        }
    }

    /// All bits as a big-endian number, an IPv4 address in its mapped form: unambiguous within one family only.
    #[inline]
    pub const fn bits(self) -> u128 {
        let [a, b, c, d] = match self.0 {
            Form::V4(bits) => [0, 0, 0xffff, bits],
            Form::V6(words) => words,
        };
        (a as u128) << 96 | (b as u128) << 64 | (c as u128) << 32 | d as u128
    }

    /// Whether it is an IPv6 address that only looks like an IPv4 one. Whoever reads addresses as text takes the two for one.
    pub const fn is_mapped(self) -> bool {
        matches!(self.0, Form::V6([0, 0, 0xffff, _]))
    }

    /// The standard library's form.
    pub fn ip(self) -> IpAddr {
        match self.0 {
            Form::V4(bits) => IpAddr::V4(Ipv4Addr::from_bits(bits)),
            Form::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(self.bits())),
        }
    }
}

impl Default for Address {
    fn default() -> Self {
        Self::from_v6(0)
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
    fn both_families_survive_and_stay_apart() {
        let texts = ["0.0.0.0", "10.0.0.1", "255.255.255.255", "::", "::1", "::ffff:10.0.0.1", "fd00::1", "ffff::ffff"];
        let ips = texts.map(|text| text.parse::<IpAddr>().unwrap());
        for ip in ips {
            let address = Address::from(ip);
            assert_eq!(address.ip(), ip);
            assert_eq!(address.v4().is_some(), ip.is_ipv4());
            assert_eq!(address.is_mapped(), ip.to_string().starts_with("::ffff:"));
        }
        assert!(ips.map(Address::from).is_sorted_by(|a, b| a < b), "in order, no two alike");
    }

    #[test]
    fn the_families_cost_no_room() {
        assert!(size_of::<Address>() <= 20);
    }
}
