//! The addresses of one request, 4 or 16 bytes each: it may be held for as long as its answer is read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 addresses, then IPv6 addresses; otherwise in the order in which they were asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    v4: Vec<Ipv4Addr>,
    v6: Vec<Ipv6Addr>,
    // The first ones of either family that were kept; what stood there has been looked at.
    kept: (usize, usize),
}

impl Addresses {
    pub(super) fn push(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(ip) => self.v4.push(ip),
            IpAddr::V6(ip) => self.v6.push(ip),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Bytes that this holds.
    pub(super) fn size(&self) -> usize {
        self.v4.capacity() * size_of::<Ipv4Addr>() + self.v6.capacity() * size_of::<Ipv6Addr>()
    }

    pub(super) fn get(&self, n: usize) -> Option<IpAddr> {
        match self.v4.get(n) {
            Some(ip) => Some((*ip).into()),
            None => self.v6.get(n - self.v4.len()).map(|ip| (*ip).into()),
        }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = IpAddr> {
        (0..self.len()).filter_map(|n| self.get(n))
    }

    /// Keeps number `n`, the latest that was looked at, in the room of those before it.
    pub(super) fn keep(&mut self, n: usize) {
        if let Some(ip) = self.v4.get(n).copied() {
            self.v4[self.kept.0] = ip;
            self.kept.0 += 1;
        } else if let Some(ip) = self.v6.get(n - self.v4.len()).copied() {
            self.v6[self.kept.1] = ip;
            self.kept.1 += 1;
        }
    }

    /// Those that were kept.
    pub(super) fn kept(&self) -> impl Iterator<Item = IpAddr> {
        let (v4, v6) = (&self.v4[..self.kept.0], &self.v6[..self.kept.1]);
        v4.iter().copied().map(IpAddr::from).chain(v6.iter().copied().map(IpAddr::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_takes_the_room_of_what_was_looked_at() {
        let all: Vec<IpAddr> =
            ["10.0.0.1", "fd00::1", "10.0.0.2", "::ffff:10.0.0.3", "10.0.0.4"].map(|ip| ip.parse().unwrap()).into();
        let mut addresses = Addresses::default();
        for ip in &all {
            addresses.push(*ip);
        }
        let mut kept = Vec::new();
        for n in 0..addresses.len() {
            let ip = addresses.get(n).unwrap();
            assert!(all.contains(&ip));
            if n != 1 {
                addresses.keep(n);
                kept.push(ip);
            }
        }
        assert_eq!(addresses.get(5), None);
        assert_eq!(addresses.kept().collect::<Vec<_>>(), kept);
    }
}
