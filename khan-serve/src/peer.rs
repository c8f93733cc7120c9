//! Who is at the other end, for sharing fairly: an IPv4 address, or the /64 of an IPv6 address, which one machine can
//! have the whole of.

use std::net::IpAddr;

/// One share of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer(u64, bool);

impl Peer {
    /// Of a request that came through no socket.
    pub(crate) const NOBODY: Self = Self(0, false);
}

impl From<IpAddr> for Peer {
    fn from(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self(ip.to_bits().into(), true),
            IpAddr::V6(ip) => Self((ip.to_bits() >> 64) as u64, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_one_peer_however_it_spells_its_address() {
        let peer = |text: &str| Peer::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(peer("10.0.0.1"), peer("::ffff:10.0.0.1"));
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:2"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_ne!(peer("10.0.0.1"), peer("10.0.0.2"));
    }
}
