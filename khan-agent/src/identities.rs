//! In: addresses, the controller's answers, and the operator's names for outside ranges. Out: who an address is.
//!
//! Never waits: what is known is used, and the latest answer only makes it better.

pub mod answer;
pub mod backend;
mod dialled;
pub mod endpoint;
pub mod homes;
mod lookup;
pub mod ranges;
pub mod external;
mod held;
pub mod resolver;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use khan_api::identity::MAX_SERVICES;
use khan_api::node_port::MAX_NODE_PORTS;
use khan_api::service::Dialled;
use khan_api::snapshot::Names;
use khan_api::{Cursor, Identity, Kind, NodePort, Owner, ResolveAnswer, Sentence, ServicePort, Timestamp};

use crate::flows::Address;
use crate::local_routes::{LocalRoutes, LocalRoutesError};
use crate::table::{Homes, OwnershipAges};

pub use dialled::Translations;
pub use endpoint::Endpoint;
pub use external::ExternalNames;
pub use held::Held;
pub use homes::KnownHomes;
pub use ranges::Ranges;

/// Idle times and ages are whole seconds, each rounded its own way, and so is the `Date` that clocks are compared by. Within
/// this many seconds an entry belongs to the present owner.
const CLOCK_SLACK: u32 = 2;

/// Everything that is known of addresses.
#[derive(Debug, Default)]
pub struct Identities {
    /// This node.
    here: Arc<Owner>,
    /// Whoever has an address outside the cluster that the operator did not name.
    outside: Arc<Owner>,
    /// The unknown owner of an address inside the cluster's ranges.
    unknown: Arc<Owner>,
    /// Likewise where the address is routed to a pod's interface of this node.
    unknown_here: Arc<Owner>,
    known: HashMap<Address, Option<Known>>,
    ranges: Ranges,
    /// The services behind the node ports in the latest table, by port.
    node_ports: Vec<ServicePort>,
    /// Since when the controller knows the endpoints of services; `None` while it does not.
    endpoints: Option<Timestamp>,
    /// Which addresses live on this node, whoever has them.
    local: LocalRoutes,
    /// Why that is not known.
    local_error: Option<LocalRoutesError>,
    external: ExternalNames,
    names: Names,
    homes: KnownHomes,
    /// The controller's clock minus ours, in milliseconds.
    clock_ahead: i64,
    /// Whether the latest answers tell [what was dialled](Known::dialled).
    tells_dialled: bool,
}

/// What the controller has told of an address.
#[derive(Debug)]
struct Known {
    since: Option<Timestamp>,
    owner: Arc<Owner>,
    /// The latest owner before.
    previous: Option<Arc<Owner>>,
    /// When that one lost the address.
    until: Option<Timestamp>,
    /// The [ids](backend::service_id) of the services that list the address among their endpoints; `None` when these are too many
    /// to tell all.
    listed_by: Option<Box<[u64]>>,
    /// When that last changed.
    listed_changed: Option<Timestamp>,
    /// How many connections the present owner can take.
    limit: Option<NonZeroU32>,
    /// What leads to its ports, where that was asked.
    dialled: Box<[Dialled]>,
}

impl From<Identity> for Known {
    fn from(identity: Identity) -> Self {
        let previous = identity.previous.into_iter().next();
        let ids = identity.services.iter().map(|service| backend::service_id(&service.ns, &service.name));
        Self {
            since: identity.since,
            owner: Arc::new(identity.owner),
            until: previous.as_ref().and_then(|previous| previous.until),
            previous: previous.map(|previous| Arc::new(previous.owner)),
            listed_by: (identity.services.len() < MAX_SERVICES).then(|| ids.collect()),
            listed_changed: identity.services_changed,
            limit: identity.limit,
            dialled: identity.dialled.into(),
        }
    }
}

impl Identities {
    /// Knows nothing yet. `controller` is its URL, or empty.
    pub fn new(node: &str, controller: &str, external: ExternalNames) -> Self {
        let names = Names { controller: controller.into(), ..Names::default() };
        let here = Owner { kind: Kind::Node, name: node.into(), node: node.into(), ..Owner::default() };
        let outside = Owner { kind: Kind::External, ..Owner::default() };
        let unknown_here = Owner { node: node.into(), ..Owner::default() };
        Self {
            here: here.into(),
            outside: outside.into(),
            unknown_here: unknown_here.into(),
            external,
            names,
            ..Self::default()
        }
    }

    /// Where the names come from and how old they are; `unresolved` is left to who counts.
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// Whether the controller has told its ranges.
    pub const fn has_ranges(&self) -> bool {
        !self.ranges.is_empty()
    }

    /// The ones of these addresses that the controller can know, and of them those it was not asked about before. An
    /// IPv4-mapped one it would take for the IPv4 address.
    pub fn to_ask(&self, addresses: impl Iterator<Item = Address>) -> (Vec<Address>, Vec<Address>) {
        let can_be_known =
            |address: Address| !is_loopback(address) && !address.is_mapped() && self.ranges.contains(address);
        let inside = addresses.filter(|address| can_be_known(*address));
        inside.partition(|address| self.known.contains_key(address))
    }

    /// The ports among these that were dialled at an address of a node, and so may be a service's; each once.
    pub fn node_ports_to_ask(&self, held: &Held) -> Vec<NodePort> {
        let at_a_node =
            held.translated.iter().filter(|(address, _)| self.endpoint(*address, false).owner.kind == Kind::Node);
        let mut ports: Vec<NodePort> = at_a_node.map(|(_, port)| *port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports.truncate(MAX_NODE_PORTS);
        ports
    }

    /// The services behind node ports that the latest table has connections to.
    pub fn node_ports(&self) -> &[ServicePort] {
        &self.node_ports
    }

    /// Notes all that the controller says of node ports.
    pub fn set_node_ports(&mut self, mut node_ports: Vec<ServicePort>) {
        node_ports.sort_unstable_by_key(ServicePort::node_port);
        node_ports.dedup_by_key(|known| known.node_port());
        self.node_ports = node_ports;
    }

    /// Whether somebody is known to have the address, or to have had it.
    pub fn is_owned(&self, address: Address) -> bool {
        self.known.get(&address).is_some_and(Option::is_some)
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
            self.known.insert(ip.into(), Some(identity.into()));
        }
        self.ranges = Ranges::new(&answer.ranges);
        self.endpoints = answer.endpoints;
    }

    /// Notes that every address of the latest request is answered up to `cursor`.
    pub fn succeeded(&mut self, cursor: Cursor, now: Timestamp) {
        self.names.cursor = Some(cursor);
        self.names.updated = Some(now);
        self.names.error = Sentence::default();
    }

    /// Notes why the latest request failed. What is known stays.
    pub fn failed(&mut self, error: impl Into<Sentence>) {
        self.names.error = error.into();
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

    /// Reads which addresses live on this node, from the routes of the calling thread's network namespace.
    pub fn read_local_routes(&mut self) {
        let read = LocalRoutes::read();
        (self.local, self.local_error) = match read {
            Ok(local) => (local, None),
            Err(error) => (LocalRoutes::default(), Some(error)),
        };
    }

    /// What readers have to know of owners and where they live, one sentence each.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.local_error.iter().map(|error| {
            let reason = khan_serve::exit::chain(error);
            format!("where clients without an owner live is not known: {reason}")
        })
    }

    /// When addresses changed hands, seen from `now` by our clock.
    pub fn ownership_ages(&self, now: Timestamp) -> OwnershipAges {
        let ages = self.known.iter().filter_map(|(address, known)| Some((*address, self.age(known.as_ref()?, now)?)));
        OwnershipAges::new(ages.collect())
    }

    /// For how many seconds before `now` an entry may be the present owner's.
    fn age(&self, known: &Known, now: Timestamp) -> Option<u32> {
        let now = Timestamp::from_millis(now.millis().saturating_add(self.clock_ahead));
        let since = known.since.filter(|_| known.owner.kind == Kind::Pod)?;
        u32::try_from(now.since(since).as_secs()).ok()?.checked_add(CLOCK_SLACK)
    }

    /// Those of an entry's addresses whose owner was another when its last packet passed, `idle` seconds before `now`: with
    /// that owner. The same rule as in [`ownership_ages`](Self::ownership_ages).
    pub fn previous(&self, addresses: [Address; 3], idle: Option<u32>, now: Timestamp) -> Vec<Endpoint> {
        let changed = |address: &Address| {
            let known = self.known.get(address).and_then(Option::as_ref);
            known.and_then(|known| self.age(known, now)).zip(idle).is_some_and(|(age, idle)| age < idle)
        };
        let mut found: Vec<Endpoint> = Vec::new();
        for address in addresses {
            let endpoint = self.endpoint(address, changed(&address));
            if endpoint.previous && !found.contains(&endpoint) {
                found.push(endpoint);
            }
        }
        found
    }

    /// Who has the address, as the controller says; else as the address itself shows. With `before`, who had it before its
    /// present owner.
    pub fn endpoint(&self, address: Address, before: bool) -> Endpoint {
        let (owner, is_previous) = match self.known.get(&address).and_then(Option::as_ref) {
            None => (Arc::clone(self.stranger(address)), false),
            Some(known) => {
                let nobody = known.owner.kind == Kind::Unknown;
                match &known.previous {
                    // Nobody has the address now, so what is left of its connections is the previous owner's.
                    Some(previous) if before || nobody => (Arc::clone(previous), true),
                    _ if before => (Arc::new(Owner { node: known.owner.node.clone(), ..Owner::default() }), true),
                    _ if nobody && known.owner.node.is_empty() => (Arc::clone(self.unowned(address)), false),
                    _ => (Arc::clone(&known.owner), false),
                }
            }
        };
        Endpoint { ip: Some(address.ip()), owner, previous: is_previous, dead: None }
    }

    /// How many connections the present owner of the address can take.
    pub fn limit(&self, address: Address) -> Option<NonZeroU32> {
        match self.known.get(&address).and_then(Option::as_ref) {
            Some(known) => known.limit,
            None if self.stranger(address).kind == Kind::External => self.external.limit(address),
            None => None,
        }
    }

    /// The homes of addresses by what is known when each is asked for; [`many`](Self::many) tells what the numbers mean.
    pub fn homes(of: &Arc<Mutex<Self>>) -> Homes {
        let of = Arc::clone(of);
        Homes::new(move |address, before| {
            let mut identities = of.lock().unwrap_or_else(PoisonError::into_inner);
            let owner = identities.endpoint(address, before).owner;
            identities.homes.number(&owner)
        })
    }

    /// The endpoint that stands for many clients of one [home](Homes).
    pub fn many(&self, home: u32) -> Endpoint {
        Endpoint::many(self.homes.owner(home))
    }

    /// Whoever has an address of which the controller says nothing.
    fn stranger(&self, address: Address) -> &Arc<Owner> {
        if is_loopback(address) {
            return &self.here;
        }
        let named = self.external.owner(address);
        let outside = if self.has_ranges() { !self.ranges.contains(address) } else { named.is_some() };
        if outside { named.unwrap_or(&self.outside) } else { self.unowned(address) }
    }

    /// The unknown owner of an address inside the cluster's ranges. The kernel still knows whether it lives here.
    fn unowned(&self, address: Address) -> &Arc<Owner> {
        if self.local.contain(address) { &self.unknown_here } else { &self.unknown }
    }
}

fn is_loopback(address: Address) -> bool {
    address.ip().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_controller_is_never_asked_about_a_mapped_address() {
        let addresses = || {
            ["10.0.0.1", "::ffff:10.0.0.1", "fd00::1"].map(|text| text.parse::<std::net::IpAddr>().unwrap()).into_iter()
        };
        let mut identities = Identities::default();
        for ranges in [vec![], vec!["10.0.0.0/8".to_owned(), "::/0".to_owned()]] {
            identities.apply(&[], &[], ResolveAnswer { ranges, ..ResolveAnswer::default() });
            let (known, new) = identities.to_ask(addresses().map(Address::from));
            let new: Vec<_> = new.into_iter().map(|address| address.ip().to_string()).collect();
            assert_eq!((known, new), (vec![], vec!["10.0.0.1".to_owned(), "fd00::1".to_owned()]));
        }
    }
}
