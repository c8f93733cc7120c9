//! In: addresses, the controller's answers, and the operator's names for outside ranges. Out: who an address is.
//!
//! Never waits: what is known is used, and the latest answer only makes it better.

pub mod clock;
pub mod external;
pub mod ranges;
pub mod resolver;

use std::collections::HashMap;

use khan_api::snapshot::{Endpoint, Names};
use khan_api::{Cursor, Identity, Kind, PreviousOwner, ResolveAnswer, Timestamp};

use crate::conntrack::Address;
use crate::table::Cuts;

pub use external::ExternalNames;
pub use ranges::Ranges;

/// Idle times and ages are whole seconds, each rounded its own way, and so is the `Date` that clocks are compared by. Within
/// this many seconds an entry belongs to the present owner.
const CLOCK_SLACK: u32 = 2;

/// Everything that is known of addresses.
#[derive(Debug, Default)]
pub struct Identities {
    /// This node's name.
    node: String,
    known: HashMap<Address, Option<Identity>>,
    ranges: Ranges,
    external: ExternalNames,
    names: Names,
    /// The controller's clock minus ours, in milliseconds.
    clock_ahead: i64,
}

impl Identities {
    /// Knows nothing yet. `controller` is its URL, or empty.
    pub fn new(node: &str, controller: &str, external: ExternalNames) -> Self {
        let names = Names { controller: controller.to_owned(), ..Names::default() };
        Self { node: node.to_owned(), external, names, ..Self::default() }
    }

    /// Where the names come from and how old they are; `unresolved` is left to who counts.
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// Whether the controller has told its ranges.
    pub const fn has_ranges(&self) -> bool {
        !self.ranges.is_empty()
    }

    /// The ones of these addresses that the controller can know, and of them those it was not asked about before.
    pub fn to_ask(&self, addresses: impl Iterator<Item = Address>) -> (Vec<Address>, Vec<Address>) {
        let inside = addresses.filter(|address| !is_loopback(*address) && self.ranges.contains(*address));
        inside.partition(|address| self.known.contains_key(address))
    }

    /// Applies an answer. About the addresses in `all` and `new` it says all there is; about others, what changed.
    pub fn apply(&mut self, all: &[Address], new: &[Address], answer: ResolveAnswer) {
        for address in all.iter().chain(new) {
            self.known.insert(*address, None);
        }
        for ip in answer.gone {
            self.known.insert(ip.into(), None);
        }
        for (ip, identity) in answer.identities {
            self.known.insert(ip.into(), Some(identity));
        }
        self.ranges = Ranges::new(&answer.ranges);
    }

    /// Notes that every address of the latest request is answered up to `cursor`.
    pub fn succeeded(&mut self, cursor: Cursor, now: Timestamp) {
        self.names.cursor = Some(cursor);
        self.names.updated = Some(now);
        self.names.error.clear();
    }

    /// Notes why the latest request failed. What is known stays.
    pub fn failed(&mut self, error: String) {
        self.names.error = error;
    }

    /// Notes how far the controller's clock is ahead of ours, in milliseconds. It is what `since` is told by.
    pub fn clock_is_ahead(&mut self, millis: i64) {
        self.clock_ahead = millis;
    }

    /// Forgets addresses that the table no longer holds.
    pub fn retain(&mut self, mut held: impl FnMut(Address) -> bool) {
        self.known.retain(|address, _| held(*address));
        if self.known.capacity() > 4 * self.known.len().max(1024) {
            self.known.shrink_to_fit();
        }
    }

    /// When addresses changed hands, seen from `now` by our clock.
    pub fn cuts(&self, now: Timestamp) -> Cuts {
        let now = Timestamp::from_millis(now.millis().saturating_add(self.clock_ahead));
        let age = |identity: &Identity| {
            let since = identity.since.filter(|_| identity.kind == Kind::Pod)?;
            u32::try_from(now.since(since).as_secs()).ok()?.checked_add(CLOCK_SLACK)
        };
        let ages = self.known.iter().filter_map(|(address, identity)| Some((*address, age(identity.as_ref()?)?)));
        Cuts::new(ages.collect())
    }

    /// Who has the address; with `gone`, who had it before its present owner.
    pub fn endpoint(&self, address: Address, gone: bool) -> Endpoint {
        let identity = self.known.get(&address).and_then(Option::as_ref);
        match identity {
            Some(identity) if gone => previous(address, identity),
            Some(identity) => Endpoint {
                ip: Some(address.ip()),
                kind: identity.kind,
                ns: identity.ns.clone(),
                app: identity.app.clone(),
                workload: identity.workload.clone(),
                name: identity.name.clone(),
                node: identity.node.clone(),
                gone: false,
            },
            None if is_loopback(address) => {
                Endpoint { name: self.node.clone(), node: self.node.clone(), ..nobody(address, Kind::Node) }
            }
            None => {
                let name = self.external.name(address);
                let outside = !self.ranges.is_empty() && !self.ranges.contains(address);
                let unruled = self.ranges.is_empty() && name.is_some();
                if outside || unruled {
                    Endpoint { name: name.unwrap_or_default().to_owned(), ..nobody(address, Kind::External) }
                } else {
                    nobody(address, Kind::Unknown)
                }
            }
        }
    }
}

/// The latest owner before the present one.
fn previous(address: Address, present: &Identity) -> Endpoint {
    let unknown = PreviousOwner { node: present.node.clone(), ..PreviousOwner::default() };
    let owner = present.previous.first().unwrap_or(&unknown);
    Endpoint {
        ip: Some(address.ip()),
        kind: owner.kind,
        ns: owner.ns.clone(),
        app: owner.app.clone(),
        workload: owner.workload.clone(),
        name: owner.name.clone(),
        node: owner.node.clone(),
        gone: true,
    }
}

fn nobody(address: Address, kind: Kind) -> Endpoint {
    Endpoint {
        ip: Some(address.ip()),
        kind,
        ns: String::new(),
        app: String::new(),
        workload: String::new(),
        name: String::new(),
        node: String::new(),
        gone: false,
    }
}

fn is_loopback(address: Address) -> bool {
    address.ip().is_loopback()
}
