//! Basic authentication against bcrypt hashes.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use tokio::sync::Semaphore;

/// Checked pairs that are remembered, so that a scraper costs one bcrypt and not one a scrape.
const MOST_REMEMBERED: usize = 128;
/// A valid hash of nobody's password, checked for users that do not exist so that these take as long as others.
const NOBODY: &str = "$2b$10$abcdefghijklmnopqrstuuqsYqE9d4XJ5g9Yw5O6Fh1oQxH3x1zMa";

/// The users of one version of the file.
#[derive(Debug)]
pub(super) struct Users {
    hashes: BTreeMap<String, String>,
    keys: [RandomState; 2],
    remembered: Mutex<HashMap<[u64; 2], bool>>,
    // bcrypt takes a tenth of a second of CPU; strangers get one core at most.
    working: Semaphore,
}

impl Users {
    pub(super) fn new(hashes: BTreeMap<String, String>) -> Result<Self, String> {
        for (user, hash) in &hashes {
            if hash.parse::<bcrypt::HashParts>().is_err() {
                return Err(format!("the password of {user} is not a bcrypt hash"));
            }
        }
        let keys = [RandomState::new(), RandomState::new()];
        Ok(Self { hashes, keys, remembered: Mutex::default(), working: Semaphore::new(1) })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether the header names a user and its password.
    pub(super) async fn admit(&self, authorization: Option<&HeaderValue>) -> bool {
        let Some((user, password)) = authorization.and_then(credentials) else { return false };
        let pair = self.keys.each_ref().map(|key| key.hash_one((&user, &password)));
        if let Some(verdict) = self.remembered(|pairs| pairs.get(&pair).copied()) {
            return verdict;
        }
        let Ok(_permit) = self.working.acquire().await else { return false };
        // The same pair may have been checked while this waited.
        if let Some(verdict) = self.remembered(|pairs| pairs.get(&pair).copied()) {
            return verdict;
        }
        let (known, hash) = self.hashes.get(&user).map_or((false, NOBODY.to_owned()), |hash| (true, hash.clone()));
        let check = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false));
        let verdict = check.await.unwrap_or(false) && known;
        self.remembered(|pairs| {
            if pairs.len() >= MOST_REMEMBERED {
                pairs.clear();
            }
            pairs.insert(pair, verdict);
        });
        verdict
    }

    fn remembered<T>(&self, f: impl FnOnce(&mut HashMap<[u64; 2], bool>) -> T) -> T {
        f(&mut self.remembered.lock().unwrap_or_else(PoisonError::into_inner))
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

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_passes() {
        let hash = bcrypt::hash("se:cret", 4).unwrap();
        let users = Users::new(BTreeMap::from([("alice".into(), hash)])).unwrap();
        for _ in 0..2 {
            assert!(users.admit(Some(&header("alice:se:cret"))).await);
            for wrong in ["alice:secret", "alice:", "bob:se:cret", "alice", ""] {
                assert!(!users.admit(Some(&header(wrong))).await, "{wrong}");
            }
        }
        assert!(!users.admit(None).await);
        assert!(!users.admit(Some(&HeaderValue::from_static("Bearer x"))).await);
        assert!(!users.admit(Some(&HeaderValue::from_static("Basic %%%"))).await);
    }

    #[test]
    fn what_is_not_a_hash_is_refused_and_nobody_has_one() {
        let error = Users::new(BTreeMap::from([("alice".into(), "secret".into())])).unwrap_err();
        assert_eq!(error, "the password of alice is not a bcrypt hash");
        assert!(NOBODY.parse::<bcrypt::HashParts>().is_ok());
        assert!(bcrypt::verify("x", NOBODY).is_ok_and(|matches| !matches));
    }
}
