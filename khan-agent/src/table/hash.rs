//! A seeded hash of two multiplications. Pods choose the addresses and ports of the table's keys, so the seed is drawn
//! anew by every process; one multiplication alone let real traffic with one service port pile up.

use std::hash::{BuildHasher, RandomState};

use crate::flows::Tuple;
use crate::product::fold;

/// Drawn once per process.
#[derive(Clone, Copy, Debug)]
pub struct Seeds([u64; 3]);

impl Seeds {
    pub(crate) fn random() -> Self {
        let random = RandomState::new();
        Self([1, 2, 3].map(|n: u64| random.hash_one(n) | 1))
    }

    /// Of one direction of an entry.
    #[inline]
    pub(crate) fn tuple(&self, tuple: &Tuple, protocol: u8) -> u64 {
        let ports = u64::from(tuple.src_port) << 32 | u64::from(tuple.dst_port) << 16 | u64::from(protocol);
        match (tuple.src.v4(), tuple.dst.v4()) {
            (Some(src), Some(dst)) => self.two(u64::from(src) << 32 | u64::from(dst), ports),
            _ => self.wide([tuple.src.bits(), tuple.dst.bits()], ports),
        }
    }

    /// Of two words.
    #[inline]
    fn two(&self, a: u64, b: u64) -> u64 {
        fold(fold(a ^ self.0[0], b ^ self.0[1]) ^ b.rotate_left(32), self.0[2])
    }

    /// Of three words.
    #[inline]
    pub(super) fn three(&self, a: u64, b: u64, c: u64) -> u64 {
        fold(fold(a ^ self.0[0], b ^ self.0[1]) ^ c, self.0[2])
    }

    /// Of addresses of sixteen bytes and one more word.
    #[inline]
    pub(super) fn wide<const N: usize>(&self, addresses: [u128; N], last: u64) -> u64 {
        let [s0, s1, s2] = self.0;
        let mut hash = s0;
        for address in addresses {
            #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
            let (high, low) = ((address >> 64) as u64, address as u64);
            hash = fold(hash ^ high, low ^ s1);
        }
        fold(hash ^ last, s2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chi-squared-like bound: with n keys in n buckets, real traffic's regular addresses fill as many as random ones
    /// would (1 - 1/e of them).
    #[test]
    fn regular_addresses_spread() {
        let seeds = Seeds::random();
        for (step, ports) in [(1, 80), (256, 443), (1 << 16, 5432)] {
            let mut buckets = vec![false; 1 << 16];
            for n in 0..1u64 << 16 {
                let hash = seeds.three(((n * step) << 32) | 0x0a60_0001, 0x0af4_0001 << 32 | ports << 16 | ports, 3);
                buckets[usize::try_from(hash & 0xffff).unwrap()] = true;
            }
            let filled = buckets.iter().filter(|filled| **filled).count();
            assert!((40_000..43_000).contains(&filled), "{filled} of 65536 buckets with step {step}");
        }
    }
}
