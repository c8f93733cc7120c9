//! What must hold of the controller's answer, whatever its body is. Shared with the fuzz target.

use std::collections::HashSet;
use std::net::IpAddr;

use khan_agent::flows::Address;
use khan_agent::identities::{ExternalNames, Identities, answer};
use khan_api::text::is_printable;
use khan_api::{NodePort, Protocol, ResolveAnswer, ResolveRequest};

/// It is refused, or only what was asked for is kept of it: the same as serde reads, printable and bounded.
pub(crate) fn check(bytes: &[u8]) {
    let asked: HashSet<IpAddr> =
        ["10.0.0.1", "10.0.0.2", "::1", "fd00::1", "::"].map(|ip| ip.parse().expect("an address")).into();
    let node_ports =
        [(30_080, Protocol::Tcp), (30_053, Protocol::Udp)].map(|(port, protocol)| NodePort { port, protocol });
    let new = asked.iter().copied().collect();
    let request = ResolveRequest { new, node_ports: node_ports.to_vec(), ..ResolveRequest::default() };
    let request = answer::Asked::of(&request);
    let Ok(read) = answer::read(bytes, &request) else { return };
    assert!(read.node_ports.iter().all(|port| node_ports.contains(&port.node_port())));
    assert!(read.identities.keys().chain(&read.gone).all(|ip| asked.contains(ip)));
    // serde takes the last of two equal fields as an error and has no bounds; where it reads, it reads the same.
    if let Ok(mut expected) = serde_json::from_slice::<ResolveAnswer>(bytes) {
        expected.identities.retain(|ip, _| asked.contains(ip));
        expected.node_ports.retain(|port| node_ports.contains(&port.node_port()));
        assert_eq!(read.node_ports, expected.node_ports);
        assert_eq!((&read.cursor, &read.identities), (&expected.cursor, &expected.identities));
        assert_eq!(read.ranges, expected.ranges);
        let gone: HashSet<_> = expected.gone.into_iter().filter(|ip| asked.contains(ip)).collect();
        assert_eq!(read.gone.iter().copied().collect::<HashSet<_>>(), gone);
    }
    let owners = serde_json::to_string(&read.identities).expect("owners can be written");
    // A backslash in a name is written as two.
    let escapes = owners.replace(r"\\", "");
    assert!(owners.chars().all(is_printable) && !escapes.contains(r"\u00"), "{owners:?}");
    let written = serde_json::to_vec(&read).expect("an answer can be written");
    assert_eq!(answer::read(&written, &request).expect("what was written").identities, read.identities);

    let mut identities = Identities::new("node-1", "", ExternalNames::default());
    let addresses: Vec<Address> = asked.iter().map(|ip| (*ip).into()).collect();
    let named: Vec<Address> = read.identities.keys().map(|ip| (*ip).into()).collect();
    identities.apply(&addresses, &[], read);
    assert!(named.into_iter().all(|address| identities.is_owned(address)));
}
