//! Hashing for maps whose keys are already well mixed (row keys) or are addresses of our own allocations, so that the
//! cost of `SipHash` is not paid a million times a merge.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

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

/// 128 bits that name these texts in every process and every version: FNV-1a over each text's length and bytes.
///
/// Keys made of it are in the JSON output, so it never changes.
pub(crate) fn name(texts: &[&str]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let step = |hash: u128, byte: u8| (hash ^ u128::from(byte)).wrapping_mul(PRIME);
    texts.iter().fold(BASIS, |hash, text| {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
        length.into_iter().chain(text.bytes()).fold(hash, step)
    })
}

/// One name after another; the order matters. As fixed as [`name`].
#[expect(clippy::cast_possible_truncation, reason = "halves are taken on purpose")]
pub(crate) fn chain(first: u128, second: u128) -> u128 {
    let low = mix(first as u64, second as u64);
    let high = mix(((first >> 64) as u64).wrapping_add(ODD), (second >> 64) as u64);
    u128::from(high) << 64 | u128::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_every_process_and_version() {
        // Computed by hand from the definition of FNV-1a with 128 bits.
        assert_eq!(name(&["app", "shop/web"]), 0x94eb_ea5a_a86a_f436_f901_0936_d88c_aa0c);
        assert_ne!(name(&["ab", "c"]), name(&["a", "bc"]));
        assert_eq!(chain(1, 2), 0xd3f7_f733_5b47_455c_836a_d183_3699_577e);
    }
}
