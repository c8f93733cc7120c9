//! Pauses that do not fall into step with others.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Numbers without a pattern.
#[derive(Debug, Default)]
pub(crate) struct Jitter {
    seed: RandomState,
    drawn: u64,
}

impl Jitter {
    /// Between 0 and 1.
    pub(crate) fn next(&mut self) -> f64 {
        self.drawn += 1;
        f64::from((self.seed.hash_one(self.drawn) >> 32) as u32) / f64::from(u32::MAX)
    }

    /// `wait`, made longer by up to a half.
    pub(crate) fn stretch(&mut self, wait: Duration) -> Duration {
        wait.mul_f64(1.0 + self.next() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stretches_within_its_bounds_and_not_always_alike() {
        let mut jitter = Jitter::default();
        let waits: Vec<_> = (0..100).map(|_| jitter.stretch(Duration::from_secs(2))).collect();
        assert!(waits.iter().all(|wait| (2.0..=3.0).contains(&wait.as_secs_f64())));
        assert!(waits.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
