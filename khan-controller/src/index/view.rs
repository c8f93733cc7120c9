//! What the index says of one address, in the types of the contract, borrowed from it.

use std::net::IpAddr;
use std::sync::Arc;

use khan_api::{Identity, Kind, OwnerRef, PreviousOwner};

use super::Index;
use super::address::Address;
use super::claim::Claim;
use super::entry::Entry;
use super::record::Group;
use crate::kubernetes::{Resource, Role};

/// What is known of one address.
pub type IdentityRef<'a> = Identity<&'a str, &'a str>;

impl Index {
    /// What is known of `ip`: its owner; or that nobody has it, with the node of its pod range and previous owners; or the
    /// operator's name for it. `None` when nothing is. Without [what was dialled](Index::dialled).
    pub fn identity(&self, ip: IpAddr) -> Option<IdentityRef<'_>> {
        let entry = self.addresses.get(&Address::from(ip));
        let previous = entry.map(previous).unwrap_or_default();
        let services = self.services_of(ip.into());
        let services_changed = entry.and_then(|entry| entry.listed.timestamp());
        if let Some(claim) = entry.and_then(|entry| entry.owner) {
            let limit = match claim.role {
                Role::Pod | Role::Service => self.records.get(claim.slot).limit,
                Role::Node | Role::Gateway | Role::Network => None,
            };
            let (owner, since) = (self.claimant(claim), claim.since.timestamp());
            return Some(Identity { owner, since, previous, services, services_changed, limit, dialled: Vec::new() });
        }
        // While a node replaces another in its range, the younger has it.
        let node = self.ranges.nodes(ip).iter().map(|slot| self.records.get(*slot)).max_by_key(|n| (n.started, n.uid));
        let (owner, limit) = if let Some(node) = node {
            (OwnerRef { node: &node.node, ..OwnerRef::default() }, None)
        } else if let Some(external) = self.external.get(ip) {
            (OwnerRef { kind: Kind::External, name: &external.name, ..OwnerRef::default() }, external.limit)
        } else {
            (entry.map(|_| OwnerRef::default())?, None)
        };
        Some(Identity { owner, since: None, previous, services, services_changed, limit, dialled: Vec::new() })
    }

    /// Every object that claims `ip`: the owner first, then the others from the best to the worst.
    pub fn claimants(&self, ip: IpAddr) -> Vec<OwnerRef<'_>> {
        let Some(entry) = self.addresses.get(&Address::from(ip)) else { return Vec::new() };
        let mut losers = entry.losers().to_vec();
        losers.sort_by_key(|claim| claim.rank(&self.records));
        entry.owner.into_iter().chain(losers).map(|claim| self.claimant(claim)).collect()
    }

    /// The addresses that the objects in these places own, `None` past the last place. Objects keep their places, so whoever
    /// walks through all of them sees each object that was there from the beginning to the end.
    pub fn owned_between(&self, from: usize, to: usize) -> Option<impl Iterator<Item = (IpAddr, OwnerRef<'_>)>> {
        let records = self.records.between(from, to)?;
        Some(records.flat_map(move |(slot, record)| {
            record.claims.iter().filter_map(move |(address, _)| {
                let claim = self.addresses.get(address)?.owner.filter(|claim| claim.slot == slot)?;
                Some(((*address).into(), self.claimant(claim)))
            })
        }))
    }

    /// Name and first address of every node.
    pub fn node_addresses(&self) -> impl Iterator<Item = (Arc<str>, IpAddr)> {
        self.records.iter().filter(|record| record.resource == Resource::Nodes).filter_map(|record| {
            let (address, _) = record.claims.iter().find(|(_, role)| *role == Role::Node)?;
            Some((Arc::clone(&record.node), (*address).into()))
        })
    }

    fn claimant(&self, claim: Claim) -> OwnerRef<'_> {
        let record = self.records.get(claim.slot);
        owner(claim.role, &record.group, &record.name, &record.node)
    }
}

/// Previous owners of an address, latest first.
fn previous(entry: &Entry) -> Vec<PreviousOwner<&str, &str>> {
    let previous = entry.previous().map(|previous| PreviousOwner {
        owner: owner(previous.role, &previous.group, &previous.name, &previous.node),
        since: previous.since.timestamp(),
        until: previous.until.timestamp(),
    });
    previous.collect()
}

fn owner<'a>(role: Role, group: &'a Group, name: &'a str, node: &'a str) -> OwnerRef<'a> {
    let Group { namespace, app, workload } = group;
    OwnerRef { kind: role.kind(), ns: namespace, app, workload, name, node }
}
