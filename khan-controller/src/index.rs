//! Objects in, the owners of addresses out.
//!
//! Three verbs change it: [`Index::apply`], [`Index::delete`] and [`Index::reset`] with [`Index::settle`], for a list that
//! replaces what was known. Every change of what an address is called gets a revision, so that a reader can ask for what
//! changed since. Nothing here does I/O or reads a clock: the caller passes the time.
//!
//! An address can be claimed by several objects; the best claim owns it, the others are kept, and whoever loses it stays
//! as a previous owner. A lock around the index is held for microseconds; persistent snapshots of 150,000 pods would cost more
//! than they spare.

mod address;
mod ranges;
mod recent;
mod record;
mod claim;
mod history;
mod entry;
mod ports;
mod limits;
mod listed;
mod endpoints;
mod dialled;
mod view;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use khan_api::{Cursor, ExternalNames, Timestamp};

use crate::kubernetes::{Holdings, Object, Resource, Role, Uid};

use address::Address;
use claim::Claim;
use endpoints::Endpoints;
use entry::Entry;
use history::History;
use limits::Limits;
use ports::NodePorts;
use ranges::Ranges;
use recent::Recent;
use record::{Draft, Names, Record, Records, Seconds};

pub use endpoints::ServiceCount;
pub use limits::Limited;
pub use view::IdentityRef;

/// What an index does not learn from objects.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Labels that name the app, the first that is set wins.
    pub app_labels: Vec<String>,
    /// How long a previous owner is remembered.
    pub remember: Duration,
    /// Most previous owners that are remembered; the oldest go first.
    pub most_previous: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            app_labels: ["app", "app.kubernetes.io/name", "k8s-app"].map(str::to_owned).to_vec(),
            remember: Duration::from_hours(24),
            most_previous: 100_000,
        }
    }
}

/// Who has which address.
#[derive(Debug)]
pub struct Index {
    settings: Settings,
    epoch: u64,
    revision: u64,
    // Cursors below this have missed an address that was forgotten altogether.
    oldest_cursor: u64,
    // Cursors below this have missed a change of the pod ranges or of the operator's names.
    layout: u64,
    records: Records,
    by_uid: HashMap<Uid, u32>,
    names: Names,
    addresses: HashMap<Address, Entry>,
    recent: Recent,
    ranges: Ranges,
    node_ports: NodePorts,
    limits: Limits,
    endpoints: Endpoints,
    history: History,
    external: Arc<ExternalNames>,
    rounds: [u32; Resource::ALL.len()],
    counts: Counts,
}

/// Sizes of an [`Index`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Objects that claim an address, a range or endpoints, by resource.
    pub objects: [usize; Resource::ALL.len()],
    /// Owned addresses, by role of the owner.
    pub addresses: [usize; Role::ALL.len()],
    /// Addresses that several nodes, services or pods claim.
    pub conflicts: usize,
    /// Remembered previous owners.
    pub previous: usize,
}

impl Index {
    /// An empty index. No two processes may use the same `epoch`.
    pub fn new(settings: Settings, epoch: u64) -> Self {
        Self {
            history: History::new(settings.remember, settings.most_previous),
            settings,
            epoch,
            revision: 0,
            oldest_cursor: 0,
            layout: 0,
            records: Records::default(),
            by_uid: HashMap::new(),
            names: Names::default(),
            addresses: HashMap::new(),
            recent: Recent::new(),
            ranges: Ranges::default(),
            node_ports: NodePorts::default(),
            limits: Limits::default(),
            endpoints: Endpoints::default(),
            external: Arc::default(),
            rounds: [0; Resource::ALL.len()],
            counts: Counts::default(),
        }
    }

    /// The present point in the history of changes.
    pub const fn cursor(&self) -> Cursor {
        Cursor { epoch: self.epoch, revision: self.revision }
    }

    /// Sizes.
    pub fn counts(&self) -> Counts {
        Counts { previous: self.history.len(), ..self.counts }
    }

    /// Distinct workloads and node names that are held.
    pub fn names(&self) -> usize {
        self.names.len()
    }

    /// Adds an object or replaces what was known of it.
    pub fn apply(&mut self, object: Object, now: Timestamp) {
        object.cluster_addresses.iter().for_each(|ip| self.ranges.add_service(*ip));
        let draft = Draft::new(object, &self.settings.app_labels);
        if draft.claims.is_empty() && draft.holdings.is_empty() {
            // Pending, finished, headless, on the host network: nothing to name, so nothing to hold.
            self.delete(draft.uid, now);
        } else if let Some(slot) = self.by_uid.get(&draft.uid).copied() {
            let round = self.rounds[draft.resource as usize];
            let record = self.records.get_mut(slot);
            record.round = round;
            if !record.is_same(&draft) {
                self.replace(slot, draft, now);
            }
        } else {
            self.insert(draft, now);
        }
    }

    /// Removes an object. One that is not known, or whose name another life of it has by now, changes nothing.
    pub fn delete(&mut self, uid: Uid, now: Timestamp) {
        let Some(slot) = self.by_uid.remove(&uid) else { return };
        let record = self.records.get_mut(slot);
        let (claims, holdings) = (std::mem::take(&mut record.claims), record.holdings.take());
        self.counts.objects[record.resource as usize] -= 1;
        for (address, _) in claims {
            self.change(address, now, News::IfOwnerChanges, |entry, records| entry.withdraw(slot, records));
        }
        if let Some(holdings) = holdings {
            self.give_up(slot, &holdings);
            self.list(slot, holdings.slice.as_deref(), now);
        }
        let record = self.records.remove(slot);
        self.limits.remove(&record);
        self.names.release(record.group, record.node);
    }

    /// A complete list of `resource` begins: what is not applied until [`Index::settle`] is no more.
    pub fn reset(&mut self, resource: Resource) {
        self.rounds[resource as usize] += 1;
    }

    /// The list is complete: deletes every object of `resource` that was not applied since [`Index::reset`].
    pub fn settle(&mut self, resource: Resource, now: Timestamp) {
        let round = self.rounds[resource as usize];
        let gone: Vec<Uid> = self
            .records
            .iter()
            .filter(|record| record.resource == resource && record.round != round)
            .map(|record| record.uid)
            .collect();
        for uid in gone {
            self.delete(uid, now);
        }
    }

    /// Keeps an object as it is known although its latest version is refused, so that [`Index::settle`] spares it.
    pub fn keep(&mut self, uid: Uid) {
        if let Some(slot) = self.by_uid.get(&uid) {
            let record = self.records.get_mut(*slot);
            record.round = self.rounds[record.resource as usize];
        }
    }

    /// Replaces the operator's names for addresses outside the cluster.
    pub fn name_externals(&mut self, names: Arc<ExternalNames>) {
        if *self.external != *names {
            self.ranges.replace_named(names.ranges().collect());
            self.external = names;
            self.revision += 1;
            self.layout = self.revision;
        }
    }

    /// Forgets previous owners whose time is over.
    pub fn expire(&mut self, now: Timestamp) {
        while let Some((address, number)) = self.history.expired(now) {
            self.forget(address, number);
        }
    }

    /// CIDRs that cover every address the index knows something of, as a JSON array of strings.
    pub fn ranges(&self) -> Arc<str> {
        self.ranges.covering()
    }

    /// Whether [`Index::ranges`] hold `ip`.
    pub fn is_in_ranges(&self, ip: IpAddr) -> bool {
        self.ranges.contains(ip)
    }

    /// Whether a reader at `cursor` needs everything again.
    pub const fn is_too_old(&self, cursor: Cursor) -> bool {
        cursor.epoch != self.epoch || cursor.revision > self.revision || cursor.revision < self.oldest_cursor
    }

    /// Whether what is known of `ip` changed after `cursor`, which must not be too old.
    pub fn changed_since(&self, ip: IpAddr, cursor: Cursor) -> bool {
        let address = Address::from(ip);
        if self.layout <= cursor.revision && !self.recent.may_have_changed(address, cursor.revision) {
            return false;
        }
        match self.addresses.get(&address) {
            Some(entry) if entry.revision > cursor.revision => true,
            Some(entry) if entry.owner.is_some() => false,
            _ => self.layout > cursor.revision,
        }
    }

    fn insert(&mut self, draft: Draft, now: Timestamp) {
        // A start in the future comes from a node whose clock is ahead; the creation comes from the API server's clock.
        let started = draft.started.filter(|started| *started <= now).or(draft.created).unwrap_or(now);
        let (uid, since) = (draft.uid, Seconds::from(started.min(now)));
        self.counts.objects[draft.resource as usize] += 1;
        let record = Record::new(draft, &mut self.names, &self.rounds);
        let claims = record.claims.clone();
        self.limits.add(&record);
        let slot = self.records.insert(record);
        self.by_uid.insert(uid, slot);
        for (address, role) in claims {
            self.claim(address, Claim { slot, since, role }, now);
        }
        self.hold(slot);
        self.list(slot, None, now);
    }

    fn replace(&mut self, slot: u32, draft: Draft, now: Timestamp) {
        let (renamed, aged) = (self.records.get(slot).is_renamed(&draft), self.records.get(slot).is_aged(&draft));
        let old_claims = std::mem::take(&mut self.records.get_mut(slot).claims);
        // Lost addresses first, so that the previous owner has the name of its time.
        for (address, _) in old_claims.iter().filter(|old| draft.claims.iter().all(|new| new.0 != old.0)) {
            self.change(*address, now, News::IfOwnerChanges, |entry, records| entry.withdraw(slot, records));
        }
        let record = Record::new(draft, &mut self.names, &self.rounds);
        let (claims, held) = (record.claims.clone(), record.holdings != self.records.get(slot).holdings);
        self.limits.add(&record);
        let old = std::mem::replace(self.records.get_mut(slot), record);
        self.limits.remove(&old);
        self.names.release(old.group, old.node);
        for (address, role) in claims {
            match old_claims.iter().find(|old| old.0 == address) {
                // It has had other addresses or names before, so this one is new now.
                None => self.claim(address, Claim { slot, since: now.into(), role }, now),
                Some((_, old_role)) if renamed || aged || *old_role != role => {
                    let news = if renamed { News::IfOwner(slot) } else { News::IfOwnerChanges };
                    self.change(address, now, news, |entry, records| entry.revise(slot, role, records));
                }
                Some(_) => {}
            }
        }
        if renamed || aged || held {
            if let Some(holdings) = &old.holdings {
                self.give_up(slot, holdings);
            }
            self.hold(slot);
        }
        if held {
            self.list(slot, old.holdings.as_ref().and_then(|holdings| holdings.slice.as_deref()), now);
        }
    }

    fn claim(&mut self, address: Address, claim: Claim, now: Timestamp) {
        self.change(address, now, News::IfOwnerChanges, |entry, records| entry.add(claim, records));
    }

    /// Every change of the claims to an address goes through here: it keeps the previous owners, the revision and the counts.
    fn change(&mut self, address: Address, now: Timestamp, news: News, change: impl FnOnce(&mut Entry, &Records)) {
        let counted = self.addresses.get(&address).map(Entry::is_of_pods);
        let entry = self.addresses.entry(address).or_insert(Entry::EMPTY);
        let (before, was_contested) = (entry.owner, entry.is_contested());
        change(entry, &self.records);
        let after = entry.owner;
        self.counts.conflicts += usize::from(entry.is_contested());
        self.counts.conflicts -= usize::from(was_contested);
        for (claim, step) in [(before, usize::MAX), (after, 1)] {
            if let Some(claim) = claim {
                let count = &mut self.counts.addresses[claim.role as usize];
                *count = count.wrapping_add(step);
            }
        }
        let slots = (before.map(|claim| claim.slot), after.map(|claim| claim.slot));
        let roles = (before.map(|claim| claim.role), after.map(|claim| claim.role));
        let news_anyway = after.is_some_and(|claim| news == News::IfOwner(claim.slot));
        if slots.0 != slots.1 || roles.0 != roles.1 || news_anyway {
            self.revision += 1;
            entry.revision = self.revision;
            self.recent.note(address, self.revision);
        }
        if slots.0 != slots.1
            && let Some(lost) = before
        {
            let until = after.map(|claim| claim.since).filter(|since| *since > lost.since).unwrap_or(now.into());
            let previous = self.history.record(address, self.records.get(lost.slot), lost, until, now);
            if let Some(oldest) = entry.remember(previous) {
                self.names.release(oldest.group, oldest.node);
            }
        }
        self.drop_if_empty(address, counted);
        self.expire(now);
    }

    /// Removes one previous owner, and the address with it when nothing else is known of it.
    fn forget(&mut self, address: Address, number: u64) {
        let Some(entry) = self.addresses.get_mut(&address) else { return };
        let counted = Some(entry.is_of_pods());
        let Some(previous) = entry.forget(number) else { return };
        self.names.release(previous.group, previous.node);
        self.drop_if_empty(address, counted);
    }

    /// Also counts it among the ranges for what it is now; `counted` is what it was counted for, a pod's or not.
    fn drop_if_empty(&mut self, address: Address, counted: Option<bool>) {
        if let Some(entry) = self.addresses.get(&address)
            && entry.is_empty()
        {
            // An answer to an older cursor can no longer say that this address lost its owner.
            self.oldest_cursor = self.oldest_cursor.max(entry.revision);
            self.addresses.remove(&address);
        }
        self.ranges.recount(address.into(), counted, self.addresses.get(&address).map(Entry::is_of_pods));
    }

    /// Takes in what the record in `slot` has besides addresses.
    fn hold(&mut self, slot: u32) {
        let Some(holdings) = &self.records.get(slot).holdings else { return };
        holdings.pods.iter().for_each(|range| self.ranges.add_pods(*range, slot));
        holdings.services.iter().for_each(|range| self.ranges.add_services(*range));
        holdings.node_ports.iter().for_each(|port| self.node_ports.add(*port, slot));
        let (layout, serves) = (!holdings.pods.is_empty(), !holdings.ports.is_empty());
        self.lay_out(layout);
        if serves {
            self.serve(slot, true);
        }
    }

    fn give_up(&mut self, slot: u32, holdings: &Holdings) {
        holdings.pods.iter().for_each(|range| self.ranges.remove_pods(*range, slot));
        holdings.services.iter().for_each(|range| self.ranges.remove_services(*range));
        holdings.node_ports.iter().for_each(|port| self.node_ports.remove(*port, slot));
        self.lay_out(!holdings.pods.is_empty());
        if !holdings.ports.is_empty() {
            self.serve(slot, false);
        }
    }

    fn lay_out(&mut self, changed: bool) {
        if changed {
            self.revision += 1;
            self.layout = self.revision;
        }
    }
}

/// When a change of the claims to an address is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    IfOwnerChanges,
    /// Also when the owner is the object in this slot, which is called otherwise now.
    IfOwner(u32),
}
