//! In: a folded table and identities. Out: an immutable snapshot, and its wire form.

mod dead;
mod snat;
pub mod build;
mod encoded;
mod largest;
pub mod wire;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use khan_api::snapshot::{Limit, Names, Rest, Side, Snat, Table};
use khan_api::{Kind, Label, Protocol, ServicePort, TableStats, Timestamp};

use crate::identities::Endpoint;
use crate::table::Class;

pub use encoded::Encoded;

pub use crate::identities::homes::OTHER;

/// What does not change while the process runs.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// `--node-name`
    pub node: String,
    /// The kernel's boot id.
    pub boot_id: String,
    /// When the process started.
    pub started: Timestamp,
    /// Drawn by chance, so that agents that start in one millisecond on one kernel differ.
    pub instance: u64,
}

impl Origin {
    /// Of this process, on this node.
    pub fn here(node: &str) -> Self {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let started = Timestamp::now();
        let instance = RandomState::new().hash_one(started.millis());
        Self { node: node.to_owned(), boot_id: boot_id.trim().to_owned(), started, instance }
    }
}

/// A node's connections at one moment, named.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Unique among all snapshots of all agents.
    pub id: String,
    /// The node and process it comes from.
    pub origin: Origin,
    /// When the dump began.
    pub taken: Timestamp,
    /// When that of the snapshot before began, with which this one was compared.
    pub since: Option<Timestamp>,
    /// Wall time of dump and fold.
    pub scan: Duration,
    /// Period of scans.
    pub interval: Duration,
    /// Where the names come from.
    pub names: Names,
    /// The kernel's table.
    pub table: Table,
    /// Each table that was read, the kernel's first.
    pub tables: Vec<TableStats>,
    /// Connections in all rows.
    pub connections: u64,
    /// Addresses, each with one owner.
    pub endpoints: Vec<Endpoint>,
    /// Rows by source, destination, backend, ports, protocol, zone and class.
    pub rows: Vec<Row>,
    /// The services behind the node ports that were dialled.
    pub node_ports: Vec<ServicePort>,
    /// Which endpoints can take no more than so many connections, by endpoint.
    pub limits: Vec<Limit>,
    /// Ports that connections with a translated source take.
    pub snat: Snat,
    /// The sum of the rows that were [left out](Snapshot::keep_largest).
    pub rest: Option<Rest>,
    /// What could not be seen or done.
    pub warnings: Vec<String>,
}

/// Connections that are alike in everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Index of the client's endpoint.
    pub src: u32,
    /// Index of the dialled endpoint.
    pub dst: u32,
    /// Index of the answering endpoint.
    pub backend: u32,
    /// Port dialled.
    pub port: u16,
    /// Port that answers.
    pub backend_port: u16,
    /// Zone, where zones are kept apart; else 0.
    pub zone: u16,
    /// Protocol, state, and what is wrong or new.
    pub class: Class,
    /// Connections.
    pub count: u32,
}

impl Row {
    /// Everything but the class and the count.
    pub(crate) fn key(&self) -> (u32, u32, u32, u16, u16, Protocol, u16) {
        (self.src, self.dst, self.backend, self.port, self.backend_port, self.class.protocol(), self.zone)
    }
}

impl Snapshot {
    /// Bytes that rows and endpoints take; owners are shared with others.
    pub fn memory(&self) -> usize {
        self.rows.capacity() * size_of::<Row>() + self.endpoints.capacity() * size_of::<Endpoint>()
    }

    /// Which node counts the connections of a client when each is to be counted once: the client's own node, if that is another
    /// node of the cluster. All evidence of where a client lives has become its owner's node by now.
    ///
    /// What cannot be known without a controller: a client from outside dials node A's node port, and A forwards the connection,
    /// masqueraded, to a pod on node B. A's entry goes from the client to A's port, B's entry from A's address to the pod.
    /// B would have to know that this address is a node's and that A forwarded the connection; its kernel has the same entry
    /// when a process on A dials the pod itself. So both rows are of unknown side, and since their pairs differ, a sum over
    /// both nodes counts the connection twice. With a controller, B knows A's address and its row has side `server`.
    pub fn side(&self, src: u32) -> Side {
        match self.endpoints.get(src as usize).map(|client| &client.owner) {
            Some(owner) if owner.node.is_empty() && owner.kind == Kind::Unknown => Side::Unknown,
            Some(owner) if !owner.node.is_empty() && owner.node != self.origin.node => Side::Server,
            _ => Side::Client,
        }
    }
}

/// Names of transport protocols as `conntrack -L` prints them, else the number.
pub fn protocol_names(counts: &[u64; 256]) -> BTreeMap<Label, u64> {
    let present = (0..=u8::MAX).zip(counts).filter(|(_, count)| **count > 0);
    present.map(|(number, count)| (protocol_name(number).into(), *count)).collect()
}

fn protocol_name(number: u8) -> String {
    let name = match number {
        1 => "icmp",
        2 => "igmp",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "icmpv6",
        132 => "sctp",
        136 => "udplite",
        number => return number.to_string(),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_that_start_at_once_differ() {
        let [one, other] = [Origin::here("n1"), Origin::here("n1")];
        assert_ne!(one.instance, other.instance);
    }
}
