//! Hashing for maps whose keys are already well mixed (row keys) or are addresses of our own allocations, so that the
//! cost of `SipHash` is not paid a million times a merge.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

/// Folds words by multiplication. Not for keys that a stranger chooses.
#[derive(Default)]
pub(crate) struct Mix(u64);

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = mix(self.0, word);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}

/// A map with keys for which [`Mix`] is good enough.
pub(crate) type MixMap<K, V> = HashMap<K, V, BuildHasherDefault<Mix>>;

#[expect(clippy::cast_possible_truncation, reason = "halves are taken on purpose")]
fn mix(state: u64, word: u64) -> u64 {
    let product = u128::from(state.rotate_left(5) ^ word ^ ODD) * u128::from(ODD);
    (product as u64) ^ ((product >> 64) as u64)
}

/// 128 bits that name a value in every process: two runs of `SipHash` with different beginnings.
pub(crate) fn fingerprint(value: &impl Hash) -> u128 {
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(seed);
        value.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(1) << 64 | half(2)
}

/// One fingerprint after another; the order matters.
#[expect(clippy::cast_possible_truncation, reason = "halves are taken on purpose")]
pub(crate) fn chain(first: u128, second: u128) -> u128 {
    let low = mix(first as u64, second as u64);
    let high = mix(((first >> 64) as u64).wrapping_add(ODD), (second >> 64) as u64);
    u128::from(high) << 64 | u128::from(low)
}
