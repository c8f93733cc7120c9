//! An address as a key.

use std::net::{IpAddr, Ipv6Addr};

/// An IPv6 address, or an IPv4 address in its IPv4-mapped form: both spellings of one address are one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Address([u8; 16]);

impl Address {
    /// A cheap hash. Whoever finds addresses that share one gains nothing but a slower answer.
    pub(super) const fn hash(self) -> u16 {
        // The golden ratio, so that neighbours fall far apart (Knuth, The Art of Computer Programming, 6.4).
        let product = u128::from_be_bytes(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let [first, second, ..] = product.to_be_bytes();
        u16::from_be_bytes([first, second])
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self(match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        })
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        Self::V6(Ipv6Addr::from(address.0)).to_canonical()
    }
}
