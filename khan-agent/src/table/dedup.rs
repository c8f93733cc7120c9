//! Entries that a dump sent twice.
//!
//! The kernel dumps bucket after bucket, each under its lock, and an entry never leaves its bucket while the table keeps
//! its size. Between two datagrams it remembers the entry to go on with; when that one is gone, it begins the bucket anew
//! (`ctnetlink_dump_table`). So a duplicate stands in one of the datagrams just before, in the same bucket, and it is
//! enough to remember the entries of the last few: 32 KiB hold about 200 entries, and a bucket has a handful.

/// How many datagrams are remembered, the present one included.
const DATAGRAMS: usize = 4;
/// Marks; each stands for the fingerprints that share its number.
const MARKS: usize = 16 * 1024;
/// Marks in a word: one bit for each datagram.
const IN_WORD: usize = 64 / DATAGRAMS;

/// Fingerprints of the latest entries, and a coarse picture of them that says "new" of nearly every new one at a glance.
#[derive(Debug)]
pub(crate) struct Dedup {
    marks: Box<[u64]>,
    datagrams: [Vec<u64>; DATAGRAMS],
    present: usize,
}

impl Default for Dedup {
    fn default() -> Self {
        Self {
            marks: vec![0; MARKS / IN_WORD].into_boxed_slice(),
            datagrams: [const { Vec::new() }; DATAGRAMS],
            present: 0,
        }
    }
}

impl Dedup {
    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.marks.fill(0);
        self.datagrams.iter_mut().for_each(Vec::clear);
    }

    /// A batch (a datagram of the kernel's) begins; the oldest is forgotten.
    pub(crate) fn batch(&mut self) {
        self.present = (self.present + 1) % DATAGRAMS;
        self.datagrams[self.present].clear();
        let others = !((u64::MAX / 15) << self.present);
        self.marks.iter_mut().for_each(|word| *word &= others);
    }

    /// Whether the entry came a moment ago; remembers it. An entry is named by the hash of its original tuple and its zone.
    #[inline]
    pub(crate) fn seen(&mut self, tuple: u64, zone: u16) -> bool {
        let fingerprint = tuple ^ u64::from(zone).rotate_right(16);
        let mark = (fingerprint >> 20) as usize % MARKS;
        let (word, shift) = (&mut self.marks[mark / IN_WORD], mark % IN_WORD * DATAGRAMS);
        let marked = *word >> shift & 15;
        if marked != 0 {
            let among = |(n, entries): (usize, &Vec<u64>)| marked >> n & 1 != 0 && entries.contains(&fingerprint);
            if self.datagrams.iter().enumerate().any(among) {
                return true;
            }
        }
        *word |= 1 << (shift + self.present);
        self.datagrams[self.present].push(fingerprint);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_last_datagrams_and_no_more() {
        let mut dedup = Dedup::default();
        let hash = |n: u64| (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for round in 0..10 {
            dedup.batch();
            let entries = || (0..200).map(|n| hash(n + 1000 * round));
            assert!(entries().all(|n| !dedup.seen(n, 0)));
            dedup.batch();
            assert!(entries().all(|n| dedup.seen(n, 0)), "in the next datagram");
            dedup.batch();
            dedup.batch();
            assert!(entries().all(|n| dedup.seen(n, 0)), "three datagrams later");
            dedup.batch();
            assert!(entries().all(|n| !dedup.seen(n, 0)), "four datagrams later");
            dedup.clear();
            assert!(entries().all(|n| !dedup.seen(n, 0)), "in another dump");
            dedup.clear();
        }
    }
}
