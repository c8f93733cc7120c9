//! Which addresses are no backends any more: in, what the controller says of an address; out, since when at the latest.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU32;

use khan_api::{Kind, Timestamp};

use super::{CLOCK_SLACK, Identities};
use crate::flows::Address;

/// What has to be known of an address to tell whether packets to it go nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend<'a> {
    /// A pod had it, and nobody has it now.
    Gone(Ended),
    /// Somebody has it, but services that do not list it should send nothing there.
    Listed {
        /// The [ids](service_id) of the services that do.
        by: &'a [u64],
        /// When it left those that do not.
        otherwise: Ended,
    },
}

/// When an address ceased to be a backend, at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    at: Timestamp,
    /// How many seconds ago that was, less what clocks may differ by.
    pub age: u32,
}

impl Ended {
    /// When, in seconds, by our clock.
    pub fn at(self) -> Option<NonZeroU32> {
        u32::try_from(self.at.seconds()).ok().and_then(NonZeroU32::new)
    }
}

/// A number for a service, so that addresses need not hold names.
pub fn service_id(ns: &str, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (ns, name).hash(&mut hasher);
    hasher.finish()
}

impl Identities {
    /// Whether the controller answered the latest request: who is no backend any more may be one again when it did not.
    pub fn is_current(&self) -> bool {
        self.names.cursor.is_some() && self.names.error.is_empty()
    }

    /// What is known of an address as a backend, seen from `now` by our clock; `None` when nothing speaks against it.
    pub fn backend(&self, address: Address, now: Timestamp) -> Option<Backend<'_>> {
        let known = self.known.get(&address)?.as_ref()?;
        let ended = |at: Timestamp| {
            let at = Timestamp::from_millis(at.millis().saturating_sub(self.clock_ahead));
            let age = u32::try_from(now.since(at).as_secs()).unwrap_or(u32::MAX).saturating_sub(CLOCK_SLACK);
            Ended { at, age }
        };
        match known.owner.kind {
            Kind::Unknown => {
                let pod = known.previous.as_ref().is_some_and(|previous| previous.kind == Kind::Pod);
                known.until.filter(|_| pod).map(|until| Backend::Gone(ended(until)))
            }
            Kind::Pod | Kind::Node => {
                let (by, since) = (known.listed_by.as_deref()?, self.endpoints?);
                Some(Backend::Listed { by, otherwise: ended(known.listed_changed.unwrap_or(since)) })
            }
            _ => None,
        }
    }
}
