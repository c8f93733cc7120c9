//! What clients dialled to get to a port of an address, for nodes whose tables do not show it: where a socket is connected to the
//! backend at once, no table ever has the service's address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use khan_api::Protocol;
use khan_api::identity::MAX_DIALLED;
use khan_api::service::Dialled;

use super::Index;
use super::address::Address;
use super::record::Record;

/// A service that lists a port: its namespace, its name, and what it calls the port.
type Listing<'a> = (&'a str, &'a str, &'a str);

impl Index {
    /// The ports of `ip` that exactly one service lists, where that has a cluster address; at most [`MAX_DIALLED`].
    pub fn dialled(&self, ip: IpAddr) -> Vec<Dialled> {
        let mut ports: BTreeMap<(u16, Protocol), Vec<Listing<'_>>> = BTreeMap::new();
        for (record, slice) in self.slices_of(Address::from(ip)) {
            for port in &slice.ports {
                let Some(number) = port.port else { continue };
                let listing = (&*record.group.namespace, &*slice.service, port.name.as_str());
                ports.entry((number, port.protocol)).or_default().push(listing);
            }
        }
        let found = ports.into_iter().filter_map(|((port, protocol), listings)| {
            let (ns, name, _) = *listings.first()?;
            let service =
                self.serving(ns, name).filter(|_| listings.iter().all(|other| (other.0, other.1) == (ns, name)))?;
            let dialled = service.holdings.iter().flat_map(|held| &held.ports).filter(|port| port.protocol == protocol);
            let leads_there = |name: &str| listings.iter().any(|listing| listing.2 == name);
            let service_port = dialled.filter(|port| leads_there(&port.name)).map(|port| port.number).min()?;
            Some(Dialled { port, protocol, service: cluster_address(service, ip)?, service_port })
        });
        found.take(MAX_DIALLED).collect()
    }
}

/// The service's cluster address of the family of `like`: it claims them before all others.
fn cluster_address(service: &Record, like: IpAddr) -> Option<IpAddr> {
    let mut claims = service.claims.iter().map(|(address, _)| IpAddr::from(*address));
    claims.find(|ip| ip.is_ipv4() == like.is_ipv4())
}
