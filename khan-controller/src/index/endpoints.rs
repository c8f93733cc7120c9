//! Which addresses answer for which service, from slices of endpoints, in both directions.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use khan_api::identity::MAX_SERVICES;
use khan_api::service::Conditions;
use khan_api::{Kind, Service, ServiceEndpoint, ServiceName, Timestamp};

use super::Index;
use super::address::Address;
use super::record::{Record, Records, Seconds};
use crate::kubernetes::{Endpoint, Slice};

/// Namespace and name of a service.
type Key = (Box<str>, Box<str>);

/// What slices list.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    // The slices (by slot) of each service.
    services: BTreeMap<Key, Vec<u32>>,
    // Every address with the slices that list it: 20 bytes each, where a map of lists would take three times that.
    listed: BTreeSet<(Address, u32)>,
    // By slice, since when each of its endpoints is in its condition.
    since: HashMap<u32, Box<[Seconds]>>,
    // Since when all slices are known.
    known: Option<Timestamp>,
}

impl Endpoints {
    /// The slice in `slot` listed `old` and lists `new` now. Tells for which addresses the services changed that list them.
    fn replace(
        &mut self,
        slot: u32,
        namespace: &str,
        (old, new): (Option<&Slice>, Option<&Slice>),
        records: &Records,
        now: Seconds,
    ) -> Vec<IpAddr> {
        if let (Some(before), Some(after)) = (old, new)
            && before.service != after.service
        {
            let mut changed = self.replace(slot, namespace, (old, None), records, now);
            changed.extend(self.replace(slot, namespace, (None, new), records, now));
            return changed;
        }
        let Some(service) = old.or(new).map(|slice| &slice.service) else { return Vec::new() };
        let key = (namespace.into(), service.clone());
        let others: Vec<u32> =
            self.services.get(&key).into_iter().flatten().copied().filter(|other| *other != slot).collect();
        let elsewhere =
            |this: &Self, ip: IpAddr| others.iter().copied().find(|other| this.listed.contains(&(ip.into(), *other)));
        let (mut changed, mut since) = (Vec::new(), Vec::new());
        let sinces = self.since.remove(&slot).unwrap_or_default();
        let mut before = old.map_or(&[][..], |slice| &slice.endpoints).iter().zip(sinces).peekable();
        let mut after = new.map_or(&[][..], |slice| &slice.endpoints).iter().peekable();
        // Both are in the order of their addresses.
        loop {
            let order = match (before.peek(), after.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((old, _)), Some(new)) => old.ip.cmp(&new.ip),
            };
            let old = if order.is_le() { before.next() } else { None };
            let new = if order.is_ge() { after.next() } else { None };
            match (old, new) {
                (Some((old, at)), Some(new)) => since.push(if old.conditions == new.conditions { at } else { now }),
                (Some((old, _)), None) => {
                    self.listed.remove(&(old.ip.into(), slot));
                    changed.extend(Some(old.ip).filter(|ip| elsewhere(self, *ip).is_none()));
                }
                (None, Some(new)) => {
                    let other = elsewhere(self, new.ip);
                    self.listed.insert((new.ip.into(), slot));
                    // Slices are evened out now and then, which changes nothing for the endpoint.
                    since.push(other.and_then(|other| self.since_in(other, *new, records)).unwrap_or(now));
                    changed.extend(Some(new.ip).filter(|_| other.is_none()));
                }
                (None, None) => {}
            }
        }
        match (old, new) {
            (None, Some(_)) => self.services.entry(key).or_default().push(slot),
            (Some(_), None) => {
                if others.is_empty() {
                    self.services.remove(&key);
                } else {
                    self.services.insert(key, others);
                }
            }
            _ => {}
        }
        if new.is_some() {
            self.since.insert(slot, since.into());
        }
        changed
    }

    /// Since when the slice in `slot` lists `endpoint` as it is.
    fn since_in(&self, slot: u32, endpoint: Endpoint, records: &Records) -> Option<Seconds> {
        let place = slice(records.get(slot))?.endpoints.binary_search(&endpoint).ok()?;
        self.since.get(&slot)?.get(place).copied()
    }
}

/// What the record of a slice lists.
fn slice(record: &Record) -> Option<&Slice> {
    record.holdings.as_ref()?.slice.as_deref()
}

/// How many endpoints of a service are in each condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceCount {
    /// The service's namespace and name.
    pub service: (Box<str>, Box<str>),
    /// Addresses that are ready, serving and terminating.
    pub endpoints: [usize; 3],
}

impl Index {
    /// The slice in `slot` listed `old`; takes in what it lists now.
    pub(super) fn list(&mut self, slot: u32, old: Option<&Slice>, now: Timestamp) {
        let record = self.records.get(slot);
        let slices = (old, slice(record));
        let changed = self.endpoints.replace(slot, &record.group.namespace, slices, &self.records, now.into());
        for address in changed.into_iter().map(Address::from) {
            if let Some(entry) = self.addresses.get_mut(&address) {
                self.revision += 1;
                entry.revision = self.revision;
                entry.listed = now.into();
                self.recent.note(address, self.revision);
            }
        }
    }

    /// Says whether all endpoints of all services are known.
    pub fn know_endpoints(&mut self, known: bool, now: Timestamp) {
        self.endpoints.known = known.then(|| self.endpoints.known.unwrap_or(now));
    }

    /// Since when all endpoints are known; `None` while they are not, as where slices may not be listed.
    pub const fn endpoints_known(&self) -> Option<Timestamp> {
        self.endpoints.known
    }

    /// The services that list `address`, at most [`MAX_SERVICES`].
    pub(super) fn services_of(&self, address: Address) -> Vec<ServiceName<&str, &str>> {
        let slots = self.endpoints.listed.range((address, 0)..=(address, u32::MAX));
        let mut services: Vec<_> = slots
            .filter_map(|(_, slot)| {
                let record = self.records.get(*slot);
                Some(ServiceName { ns: &*record.group.namespace, name: &*slice(record)?.service })
            })
            .collect();
        services.sort_unstable();
        services.dedup();
        services.truncate(MAX_SERVICES);
        services
    }

    /// A service with its endpoints, by address; `None` when no slice speaks of it.
    pub fn service(&self, ns: &str, name: &str) -> Option<Service> {
        let slots = self.endpoints.services.get(&(ns.into(), name.into()))?;
        let mut endpoints: BTreeMap<IpAddr, ServiceEndpoint> = BTreeMap::new();
        for slot in slots {
            let Some(slice) = slice(self.records.get(*slot)) else { continue };
            let sinces = self.endpoints.since.get(slot).into_iter().flatten();
            for (endpoint, since) in slice.endpoints.iter().zip(sinces) {
                if let Some(known) = endpoints.get_mut(&endpoint.ip) {
                    known.ports.extend(slice.ports.iter().cloned());
                    continue;
                }
                let owner = self.identity(endpoint.ip).map(|identity| identity.owner).unwrap_or_default();
                let pod = if owner.kind == Kind::Pod { owner.name } else { "" };
                let conditions = endpoint.conditions;
                let (pod, node, since) = (pod.into(), owner.node.into(), since.timestamp());
                let (ip, ports) = (endpoint.ip, slice.ports.to_vec());
                let port = ports.first().and_then(|port| port.port);
                endpoints.insert(ip, ServiceEndpoint { ip, port, ports, conditions, pod, node, since });
            }
        }
        Some(Service { ns: ns.into(), name: name.into(), endpoints: endpoints.into_values().collect() })
    }

    /// Counts the endpoints of at most so many services, in the order of their names, that come after this one.
    pub fn service_counts(&self, after: Option<&(Box<str>, Box<str>)>, most: usize) -> Vec<ServiceCount> {
        use std::ops::Bound::{Excluded, Unbounded};
        let services = self.endpoints.services.range((after.map_or(Unbounded, Excluded), Unbounded));
        services.take(most).map(|(key, slots)| self.count(key, slots)).collect()
    }

    fn count(&self, key: &Key, slots: &[u32]) -> ServiceCount {
        let slices = slots.iter().filter_map(|slot| slice(self.records.get(*slot)));
        // An address may stand in several, for different ports.
        let mut all: Vec<Endpoint> = slices.flat_map(|slice| &slice.endpoints).copied().collect();
        all.sort_unstable();
        all.dedup_by_key(|endpoint| endpoint.ip);
        let count = |is: fn(&Conditions) -> bool| all.iter().filter(|endpoint| is(&endpoint.conditions)).count();
        let endpoints = [count(|c| c.ready), count(|c| c.serving), count(|c| c.terminating)];
        ServiceCount { service: key.clone(), endpoints }
    }
}
