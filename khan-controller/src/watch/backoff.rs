//! Pauses after failures.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Doubles from failure to failure, with up to a quarter taken off at random so that replicas do not return together.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new((first, longest): (Duration, Duration)) -> Self {
        Self { first, longest, next: first }
    }

    /// How long to pause after the failure that has just happened.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        let random = RandomState::new().hash_one(pause) % 1000;
        pause.mul_f64(1.0 - random as f64 / 4000.0)
    }

    /// It works again.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest_and_begins_anew() {
        let mut backoff = Backoff::new((Duration::from_secs(1), Duration::from_secs(4)));
        for longest in [1, 2, 4, 4] {
            let pause = backoff.pause();
            let longest = Duration::from_secs(longest);
            assert!(pause <= longest && pause >= longest.mul_f64(0.75), "{pause:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= Duration::from_secs(1));
    }
}
