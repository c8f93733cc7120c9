//! Which addresses answer for which service, from slices of endpoints, in both directions.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use khan_api::identity::MAX_SERVICES;
use khan_api::service::{Conditions, EndpointPort};
use khan_api::{Kind, Service, ServiceEndpoint, ServiceName, Timestamp};

use super::Index;
use super::address::Address;
use super::listed::Listed;
use super::record::{Record, Records, Seconds};
use crate::kubernetes::{Endpoint, Slice};

/// Namespace and name of a service.
type Key = (Box<str>, Box<str>);

/// What slices list.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    services: BTreeMap<Key, Known>,
    listed: Listed,
    // By slice, since when each of its endpoints is in its condition.
    since: HashMap<u32, Box<[Seconds]>>,
    // Since when all slices are known.
    known: Option<Timestamp>,
}

/// Where to find what is known of a service.
#[derive(Debug, Default)]
struct Known {
    // The slots of its slices.
    slices: Vec<u32>,
    // The slot of the service itself, if it has a cluster address.
    service: Option<u32>,
}

/// Addresses of which answers say something else.
#[derive(Debug, Default)]
struct Changes {
    // Other services list them.
    listed: Vec<IpAddr>,
    // The same services, with other ports.
    ports: Vec<IpAddr>,
}

impl Changes {
    /// `ip` joined or left a slice with these ports; `others` are the ports of the service's other slices that list it. Slices are
    /// evened out now and then, which changes nothing for the endpoint.
    fn take<'a>(&mut self, ip: IpAddr, ports: &[EndpointPort], others: impl Iterator<Item = &'a [EndpointPort]>) {
        let mut others = others.peekable();
        if others.peek().is_none() {
            self.listed.push(ip);
        } else if !others.any(|other| other == ports) {
            self.ports.push(ip);
        }
    }
}

impl Endpoints {
    /// The slice in `slot` listed `old` and lists `new` now. Tells for which addresses that is news.
    fn replace(
        &mut self,
        slot: u32,
        namespace: &str,
        (old, new): (Option<&Slice>, Option<&Slice>),
        records: &Records,
        now: Seconds,
    ) -> Changes {
        if let (Some(before), Some(after)) = (old, new)
            && before.service != after.service
        {
            let mut changes = self.replace(slot, namespace, (old, None), records, now);
            let more = self.replace(slot, namespace, (None, new), records, now);
            changes.listed.extend(more.listed);
            changes.ports.extend(more.ports);
            return changes;
        }
        let Some(service) = old.or(new).map(|slice| &slice.service) else { return Changes::default() };
        let key = (namespace.into(), service.clone());
        let known = self.services.get(&key);
        let others: Vec<u32> =
            known.into_iter().flat_map(|known| &known.slices).copied().filter(|other| *other != slot).collect();
        let [old_ports, new_ports] = [old, new].map(|slice| slice.map_or(&[][..], |slice| &slice.ports));
        let (mut changes, mut since) = (Changes::default(), Vec::new());
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
            let was = if order.is_le() { before.next() } else { None };
            let is = if order.is_ge() { after.next() } else { None };
            match (was, is) {
                (Some((was, at)), Some(is)) => {
                    since.push(if was.conditions == is.conditions { at } else { now });
                    changes.ports.extend(Some(is.ip).filter(|_| old_ports != new_ports));
                }
                (Some((was, _)), None) => {
                    self.listed.remove(was.ip.into(), slot);
                    changes.take(was.ip, old_ports, self.ports_among(&others, was.ip, records));
                }
                (None, Some(is)) => {
                    let elsewhere = self.listing(&others, is.ip).next();
                    self.listed.insert(is.ip.into(), slot);
                    since.push(elsewhere.and_then(|other| self.since_in(other, *is, records)).unwrap_or(now));
                    changes.take(is.ip, new_ports, self.ports_among(&others, is.ip, records));
                }
                (None, None) => {}
            }
        }
        match (old, new) {
            (None, Some(_)) => self.services.entry(key).or_default().slices.push(slot),
            (Some(_), None) => self.note(&key, |known| known.slices.retain(|other| *other != slot)),
            _ => {}
        }
        if new.is_some() {
            self.since.insert(slot, since.into());
        }
        changes
    }

    /// Changes what is known of a service, which goes when that is nothing.
    fn note(&mut self, key: &Key, change: impl FnOnce(&mut Known)) {
        let known = self.services.entry(key.clone()).or_default();
        change(known);
        if known.slices.is_empty() && known.service.is_none() {
            self.services.remove(key);
        }
    }

    /// Those of these slots whose slices list `ip`.
    fn listing(&self, slots: &[u32], ip: IpAddr) -> impl Iterator<Item = u32> {
        slots.iter().copied().filter(move |slot| self.listed.contains(ip.into(), *slot))
    }

    /// The ports of each of them.
    fn ports_among<'a>(
        &self,
        slots: &[u32],
        ip: IpAddr,
        records: &'a Records,
    ) -> impl Iterator<Item = &'a [EndpointPort]> {
        self.listing(slots, ip).filter_map(move |slot| Some(&*slice(records.get(slot))?.ports))
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
        let Changes { listed, ports } =
            self.endpoints.replace(slot, &record.group.namespace, slices, &self.records, now.into());
        for address in &listed {
            if let Some(entry) = self.addresses.get_mut(&Address::from(*address)) {
                entry.listed = now.into();
            }
        }
        self.announce(listed.into_iter().chain(ports));
    }

    /// The service in `slot` has a cluster address and these ports from now on, or has not any more.
    pub(super) fn serve(&mut self, slot: u32, serves: bool) {
        let record = self.records.get(slot);
        let key: Key = (record.group.namespace.clone(), record.name.clone());
        self.endpoints.note(&key, |known| {
            if serves {
                known.service = Some(slot);
            } else if known.service == Some(slot) {
                known.service = None;
            }
        });
        let slices = self.endpoints.services.get(&key).into_iter().flat_map(|known| &known.slices);
        let listing = slices.filter_map(|slot| slice(self.records.get(*slot)));
        let listed: Vec<IpAddr> = listing.flat_map(|slice| &*slice.endpoints).map(|endpoint| endpoint.ip).collect();
        self.announce(listed);
    }

    /// Answers say something else of these addresses from now on.
    fn announce(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        for address in addresses.into_iter().map(Address::from) {
            if let Some(entry) = self.addresses.get_mut(&address) {
                self.revision += 1;
                entry.revision = self.revision;
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

    /// The slices that list `address`.
    pub(super) fn slices_of(&self, address: Address) -> impl Iterator<Item = (&Record, &Slice)> {
        self.endpoints.listed.slots(address).filter_map(|slot| {
            let record = self.records.get(slot);
            Some((record, slice(record)?))
        })
    }

    /// The service of this name, if it has a cluster address.
    pub(super) fn serving(&self, ns: &str, name: &str) -> Option<&Record> {
        let known = self.endpoints.services.get(&(ns.into(), name.into()))?;
        known.service.map(|slot| self.records.get(slot))
    }

    /// The services that list `address`, at most [`MAX_SERVICES`].
    pub(super) fn services_of(&self, address: Address) -> Vec<ServiceName<&str, &str>> {
        let slices = self.slices_of(address);
        let mut services: Vec<_> =
            slices.map(|(record, slice)| ServiceName { ns: &*record.group.namespace, name: &*slice.service }).collect();
        services.sort_unstable();
        services.dedup();
        services.truncate(MAX_SERVICES);
        services
    }

    /// A service with its endpoints, by address; `None` when no slice speaks of it.
    pub fn service(&self, ns: &str, name: &str) -> Option<Service> {
        let slots = &self.endpoints.services.get(&(ns.into(), name.into()))?.slices;
        if slots.is_empty() {
            return None;
        }
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
        let listed = services.filter(|(_, known)| !known.slices.is_empty());
        listed.take(most).map(|(key, known)| self.count(key, &known.slices)).collect()
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
