//! Basic authentication against bcrypt hashes.
//!
//! bcrypt takes a tenth of a second of CPU for each guess, so guesses pass a gate: one at a time, and after a wrong one
//! nothing for nine times as long as it took. Verdicts are remembered, right ones apart from wrong ones, so that no flood of
//! guesses makes a scraper's password cost anything again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::exchange::Exchange;
use crate::gate::{Bounds, Gate};
use crate::remember::{Fingerprint, Keys, Remembered};
use crate::shed::Shed;

/// Right passwords that are remembered: usually one a user.
const MOST_RIGHT: usize = 128;
/// Wrong passwords that are remembered, and for how long.
const MOST_WRONG: usize = 1024;
const WRONG_FOR: Duration = Duration::from_mins(10);
/// The pause after a wrong password, in times of what checking it took: a tenth of one core is for strangers.
const PAUSE: u32 = 9;

/// Where all guesses of the process pass, whichever version of the file they are checked against.
#[derive(Clone, Debug)]
pub(super) struct Passwords {
    gate: Gate,
    // The rounds of all checks, 2^cost each.
    rounds: Arc<AtomicU64>,
}

impl Default for Passwords {
    fn default() -> Self {
        let gate = Gate::new(Bounds {
            name: "passwords",
            capacity: 1,
            entry: 1,
            waiting: 32,
            patience: Duration::from_secs(10),
            grace: None,
        });
        Self { gate, rounds: Arc::default() }
    }
}

/// The users of one version of the file.
#[derive(Debug)]
pub(super) struct Users {
    hashes: BTreeMap<String, String>,
    passwords: Passwords,
    known: Arc<Known>,
}

/// What was checked already.
#[derive(Debug)]
struct Known {
    keys: Keys,
    right: Mutex<Remembered<()>>,
    wrong: Mutex<Remembered<()>>,
}

impl Known {
    fn verdict(&self, pair: &Fingerprint) -> Option<bool> {
        let get = |all: &Mutex<Remembered<()>>| all.lock().unwrap_or_else(PoisonError::into_inner).get(pair);
        if get(&self.right).is_some() {
            return Some(true);
        }
        get(&self.wrong).filter(|((), age)| *age < WRONG_FOR).map(|_| false)
    }

    fn remember(&self, pair: Fingerprint, verdict: bool) {
        let all = if verdict { &self.right } else { &self.wrong };
        all.lock().unwrap_or_else(PoisonError::into_inner).insert(pair, ());
    }
}

impl Users {
    pub(super) fn new(hashes: BTreeMap<String, String>, passwords: Passwords) -> Result<Self, String> {
        for (user, hash) in &hashes {
            if hash.parse::<bcrypt::HashParts>().is_err() {
                return Err(format!("the password of {user} is not a bcrypt hash"));
            }
        }
        let known = Arc::new(Known {
            keys: Keys::default(),
            right: Mutex::new(Remembered::new(MOST_RIGHT)),
            wrong: Mutex::new(Remembered::new(MOST_WRONG)),
        });
        Ok(Self { hashes, passwords, known })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether the header names a user and its password; refuses to say when too many ask.
    pub(super) async fn admit(&self, exchange: &Exchange, authorization: Option<&HeaderValue>) -> Result<bool, Shed> {
        let Some((user, password)) = authorization.and_then(credentials) else { return Ok(false) };
        let pair = self.known.keys.fingerprint(&(&user, &password));
        if let Some(verdict) = self.known.verdict(&pair) {
            return Ok(verdict);
        }
        let pass = self.passwords.gate.enter(exchange).await?;
        // The same pair may have been checked while this waited.
        if let Some(verdict) = self.known.verdict(&pair) {
            return Ok(verdict);
        }
        let (is_user, hash) = self.hash_for(&user);
        let (known, rounds) = (Arc::clone(&self.known), Arc::clone(&self.passwords.rounds));
        let (tell, told) = oneshot::channel();
        // A task of its own: whoever hangs up has still made the guess, and it is still paid for.
        tokio::spawn(async move {
            let check = spawn_blocking(move || {
                let begun = Instant::now();
                let cost = hash.parse::<bcrypt::HashParts>().map_or(0, |parts| parts.get_cost());
                rounds.fetch_add(1 << cost, Ordering::Relaxed);
                (bcrypt::verify(password, &hash).unwrap_or(false), begun.elapsed())
            });
            let (matches, took) = check.await.unwrap_or_default();
            let verdict = matches && is_user;
            known.remember(pair, verdict);
            // Gone, perhaps.
            let _ = tell.send(verdict);
            if !verdict {
                tokio::time::sleep(took * PAUSE).await;
            }
            drop(pass);
        });
        Ok(told.await.unwrap_or(false))
    }

    /// The hash to check a password of `user` against. For somebody who does not exist it is that of another user, always
    /// the same, so that the time it takes says nothing.
    fn hash_for(&self, user: &str) -> (bool, String) {
        if let Some(hash) = self.hashes.get(user) {
            return (true, hash.clone());
        }
        let [number, _] = self.known.keys.fingerprint(&user);
        let other = usize::try_from(number % self.hashes.len().max(1) as u64).unwrap_or_default();
        (false, self.hashes.values().nth(other).cloned().unwrap_or_default())
    }
}

fn credentials(authorization: &HeaderValue) -> Option<(String, String)> {
    let (scheme, encoded) = authorization.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.into(), password.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> HeaderValue {
        HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(text))).unwrap()
    }

    fn users(hashes: &[(&str, u32)]) -> Users {
        let hash = |(user, cost): &(&str, u32)| ((*user).into(), bcrypt::hash("se:cret", *cost).unwrap());
        Users::new(hashes.iter().map(hash).collect(), Passwords::default()).unwrap()
    }

    async fn admit(users: &Users, text: &str) -> bool {
        users.admit(&Exchange::default(), Some(&header(text))).await.unwrap()
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_passes() {
        let users = users(&[("alice", 4)]);
        for _ in 0..2 {
            assert!(admit(&users, "alice:se:cret").await);
            for wrong in ["alice:secret", "alice:", "bob:se:cret", "alice", ""] {
                assert!(!admit(&users, wrong).await, "{wrong}");
            }
        }
        for other in [None, Some(HeaderValue::from_static("Bearer x")), Some(HeaderValue::from_static("Basic %%%"))] {
            assert!(!users.admit(&Exchange::default(), other.as_ref()).await.unwrap());
        }
        // Each pair was worked on once: four of them, since two are no pairs.
        assert_eq!(users.passwords.rounds.load(Ordering::Relaxed), 4 << 4);
    }

    #[tokio::test]
    async fn strangers_cost_as_much_as_users() {
        let users = users(&[("alice", 5), ("bob", 5)]);
        let rounds = || users.passwords.rounds.load(Ordering::Relaxed);
        for user in ["alice", "bob", "carol", "dave"] {
            let before = rounds();
            assert!(!admit(&users, &format!("{user}:wrong")).await);
            assert_eq!(rounds() - before, 1 << 5, "{user}");
        }
        // The right password of one user is nobody else's.
        assert!(!admit(&users, "carol:se:cret").await);
    }

    #[tokio::test]
    async fn guesses_do_not_drive_out_a_password_that_is_known() {
        let users = users(&[("alice", 4)]);
        assert!(admit(&users, "alice:se:cret").await);
        for n in 0..2 * MOST_WRONG {
            users.known.remember(users.known.keys.fingerprint(&n), false);
        }
        let before = users.passwords.rounds.load(Ordering::Relaxed);
        assert!(admit(&users, "alice:se:cret").await);
        assert_eq!(users.passwords.rounds.load(Ordering::Relaxed), before);
    }

    #[test]
    fn what_is_not_a_hash_is_refused() {
        let hashes = BTreeMap::from([("alice".into(), "secret".into())]);
        let error = Users::new(hashes, Passwords::default()).unwrap_err();
        assert_eq!(error, "the password of alice is not a bcrypt hash");
    }
}
