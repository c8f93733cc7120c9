//! Pauses: longer from failure to failure, and never the same for all processes of a cluster.
//!
//! The crate `backon` wraps a future and retries it until it works. Watches and scans never end, show each failure and its next
//! attempt to the user, and reset the pause when something works, so all that they need is the next pause.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// `duration` times a random factor of at least `least` and less than `most`.
pub fn jittered(duration: Duration, least: f64, most: f64) -> Duration {
    // Every RandomState has keys of its own.
    let random = RandomState::new().hash_one(duration) % 1000;
    duration.mul_f64(least + (most - least) * random as f64 / 1000.0)
}

/// The pause after the first failure and `more` others: the first pause, doubled each time up to the longest, with up to a
/// quarter taken off at random so that processes do not return together.
pub fn pause((first, longest): (Duration, Duration), more: u32) -> Duration {
    // 20 doublings make a second twelve days.
    jittered(first.saturating_mul(1 << more.min(20)).min(longest), 0.75, 1.0)
}

/// The pauses of something that fails now and then.
#[derive(Debug)]
pub struct Backoff {
    bounds: (Duration, Duration),
    failures: u32,
}

impl Backoff {
    /// The first pause and the longest.
    pub const fn new(bounds: (Duration, Duration)) -> Self {
        Self { bounds, failures: 0 }
    }

    /// How long to pause after the failure that has just happened.
    pub fn pause(&mut self) -> Duration {
        let pause = pause(self.bounds, self.failures);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// It works again.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest_and_starts_over() {
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
