//! Verdicts about secrets, remembered for a while without the secrets: by two keyed hashes, as many as fit, the oldest
//! making room.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use tokio::time::Instant;

/// 128 bits that only this process can compute.
pub type Fingerprint = [u64; 2];

/// Keys that are made at the start and never leave the process.
#[derive(Debug, Default)]
pub struct Keys([RandomState; 2]);

impl Keys {
    /// Of a secret.
    pub fn fingerprint(&self, secret: &impl Hash) -> Fingerprint {
        self.0.each_ref().map(|key| key.hash_one(secret))
    }
}

/// What was found out about some secrets.
#[derive(Debug)]
pub struct Remembered<V> {
    most: usize,
    verdicts: HashMap<Fingerprint, (V, Instant)>,
    // In the order in which they were found out; some of them again since.
    order: VecDeque<(Fingerprint, Instant)>,
}

impl<V: Copy> Remembered<V> {
    /// Remembers `most` verdicts.
    pub fn new(most: usize) -> Self {
        Self { most, verdicts: HashMap::new(), order: VecDeque::new() }
    }

    /// A verdict and its age.
    pub fn get(&self, secret: &Fingerprint) -> Option<(V, Duration)> {
        self.verdicts.get(secret).map(|(verdict, at)| (*verdict, at.elapsed()))
    }

    /// Remembers a verdict from now on.
    pub fn insert(&mut self, secret: Fingerprint, verdict: V) {
        let now = Instant::now();
        self.verdicts.insert(secret, (verdict, now));
        self.order.push_back((secret, now));
        while self.verdicts.len() > self.most {
            let Some((oldest, at)) = self.order.pop_front() else { return };
            if self.verdicts.get(&oldest).is_some_and(|(_, latest)| *latest == at) {
                self.verdicts.remove(&oldest);
            }
        }
        if self.order.len() > 2 * self.most {
            let verdicts = &self.verdicts;
            self.order.retain(|(secret, at)| verdicts.get(secret).is_some_and(|(_, latest)| latest == at));
        }
    }

    /// Forgets a verdict.
    pub fn remove(&mut self, secret: &Fingerprint) {
        self.verdicts.remove(secret);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_oldest_make_room_and_nothing_grows() {
        let keys = Keys::default();
        let mut remembered = Remembered::new(3);
        for n in 0..1000 {
            tokio::time::advance(Duration::from_secs(1)).await;
            remembered.insert(keys.fingerprint(&"again"), -1);
            remembered.insert(keys.fingerprint(&n), n);
        }
        assert_eq!(remembered.get(&keys.fingerprint(&"again")), Some((-1, Duration::ZERO)));
        assert_eq!(remembered.get(&keys.fingerprint(&998)), Some((998, Duration::from_secs(1))));
        assert_eq!(remembered.get(&keys.fingerprint(&997)), None);
        assert!(remembered.verdicts.len() == 3 && remembered.order.len() <= 6);
        remembered.remove(&keys.fingerprint(&998));
        assert_eq!(remembered.get(&keys.fingerprint(&998)), None);
    }
}
