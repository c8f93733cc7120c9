//! The prefixes that the cluster uses.

use khan_api::Cidr;

use crate::flows::Address;

/// Disjoint address ranges, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(Address, Address)>);

impl Ranges {
    /// From CIDRs. What is none is left out: the controller is newer than this agent, or broken.
    pub fn new(cidrs: &[String]) -> Self {
        let mut ranges: Vec<_> = cidrs.iter().filter_map(|cidr| cidr.parse().ok()).map(bounds).collect();
        ranges.sort_unstable();
        let mut disjoint: Vec<(Address, Address)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match disjoint.last_mut() {
                Some(before) if first <= before.1 => before.1 = before.1.max(last),
                _ => disjoint.push((first, last)),
            }
        }
        Self(disjoint)
    }

    /// Whether nothing is known.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the cluster uses the address. True of every address while nothing is known.
    pub fn contains(&self, address: Address) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= address);
        self.0.is_empty() || after.checked_sub(1).is_some_and(|at| address <= self.0[at].1)
    }
}

/// First and last address of a CIDR.
fn bounds(cidr: Cidr) -> (Address, Address) {
    (cidr.network().into(), cidr.last().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_prefixes_of_both_families() {
        let ranges =
            Ranges::new(&["10.1.0.0/16", "10.0.0.0/8", "fd00::/64", "192.168.7.9/32", "rubbish"].map(String::from));
        let inside = |text: &str| ranges.contains(text.parse::<std::net::IpAddr>().unwrap().into());
        for text in ["10.0.0.0", "10.1.2.3", "10.255.255.255", "fd00::ffff", "192.168.7.9"] {
            assert!(inside(text), "{text}");
        }
        for text in ["9.255.255.255", "11.0.0.0", "fd00:0:0:1::", "192.168.7.8", "::1", "255.255.255.255"] {
            assert!(!inside(text), "{text}");
        }
        assert!(Ranges::default().contains(Address::from_v4(1)));
    }
}
