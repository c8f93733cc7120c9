//! Which service has a node port.

use std::collections::HashMap;

use khan_api::{NodePort, ServicePort};

use super::Index;
use super::record::Records;

/// The services (by slot) that have each port; more than one only while a service replaces another.
#[derive(Debug, Default)]
pub(super) struct NodePorts(HashMap<NodePort, Vec<u32>>);

impl NodePorts {
    pub(super) fn add(&mut self, port: NodePort, slot: u32) {
        self.0.entry(port).or_default().push(slot);
    }

    pub(super) fn remove(&mut self, port: NodePort, slot: u32) {
        if let Some(slots) = self.0.get_mut(&port) {
            slots.retain(|service| *service != slot);
            if slots.is_empty() {
                self.0.remove(&port);
            }
        }
    }

    /// The oldest of the services that have it, as among the claims to an address.
    fn owner(&self, port: NodePort, records: &Records) -> Option<u32> {
        let slots = self.0.get(&port)?;
        slots.iter().copied().min_by_key(|slot| {
            let record = records.get(*slot);
            (record.started, record.uid)
        })
    }
}

impl Index {
    /// The service that connections to this port of any node belong to.
    pub fn service_port(&self, port: NodePort) -> Option<ServicePort> {
        let record = self.records.get(self.node_ports.owner(port, &self.records)?);
        let NodePort { port, protocol } = port;
        Some(ServicePort { port, protocol, ns: (&*record.group.namespace).into(), name: (&*record.name).into() })
    }
}
