//! Entries that a dump sent twice.
//!
//! The kernel dumps bucket after bucket, each under its lock, and an entry never leaves its bucket while the table keeps
//! its size. Between two datagrams it remembers the entry to go on with; when that one is gone, it begins the bucket anew
//! (`ctnetlink_dump_table`). So a duplicate stands in one of the datagrams just before, in the same bucket, and it is
//! enough to remember the entries of the last few: 32 KiB hold at most 216 entries, and a bucket has a handful.

/// How many datagrams back an entry is remembered.
const DATAGRAMS: u32 = 4;
/// Slots; several times the entries of that many datagrams.
const SLOTS: usize = 4096;
/// How far a slot may be from where its hash says.
const REACH: usize = 16;

/// Fingerprints of the latest entries.
#[derive(Debug)]
pub(super) struct Recent {
    slots: Box<[Slot]>,
    datagram: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    fingerprint: u64,
    datagram: u32,
}

impl Default for Recent {
    fn default() -> Self {
        Self { slots: vec![Slot::default(); SLOTS].into_boxed_slice(), datagram: DATAGRAMS }
    }
}

impl Recent {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        if self.datagram > u32::MAX / 2 {
            *self = Self::default();
        }
        self.datagram += DATAGRAMS;
    }

    /// A datagram begins.
    pub(super) fn datagram(&mut self) {
        self.datagram += 1;
    }

    /// Whether the entry came a moment ago; remembers it.
    #[inline]
    pub(super) fn seen(&mut self, fingerprint: u64) -> bool {
        let home = (fingerprint >> 20) as usize;
        let mut free = None;
        for step in 0..REACH {
            let slot = &mut self.slots[(home + step) & (SLOTS - 1)];
            if slot.datagram + DATAGRAMS <= self.datagram {
                // Stale: free, and nothing of the present window lies beyond the first slot that never was in use.
                free = free.or(Some(step));
                if slot.datagram == 0 {
                    break;
                }
            } else if slot.fingerprint == fingerprint {
                return true;
            }
        }
        let step = free.unwrap_or(0);
        self.slots[(home + step) & (SLOTS - 1)] = Slot { fingerprint, datagram: self.datagram };
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_last_datagrams_and_no_more() {
        let mut recent = Recent::default();
        let hash = |n: u64| (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        recent.datagram();
        assert!((0..200).all(|n| !recent.seen(hash(n))));
        for datagram in 1..4 {
            recent.datagram();
            assert!((0..200).all(|n| !recent.seen(hash(n + datagram * 1000))));
        }
        assert!((0..200).all(|n| recent.seen(hash(n))), "three datagrams later");
        recent.clear();
        assert!((0..200).all(|n| !recent.seen(hash(n))), "in another dump");
    }
}
