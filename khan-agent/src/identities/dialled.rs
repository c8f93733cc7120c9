//! In: what the controller says leads to each address. Out: what clients dialled where the node's tables do not show it.
//!
//! Cilium and Calico can put a backend's address in the place of the service's when a socket is connected: no packet and no table
//! ever has the service's.

use std::collections::{BTreeSet, HashMap};

use khan_api::service::Dialled;
use khan_api::{Kind, NodePort, Protocol};

use super::Identities;
use crate::flows::{Address, Flow};

impl Identities {
    /// The service and its port that lead to this port of `backend`, if there is exactly one; `None` also where that was not asked.
    pub fn dialled(&self, backend: Address, port: NodePort) -> Option<(Address, u16)> {
        let known = self.known.get(&backend)?.as_ref().filter(|_| self.tells_dialled)?;
        let leads = known.dialled.iter().find(|leads| (leads.port, leads.protocol) == (port.port, port.protocol))?;
        self.service(leads)
    }

    /// Its address is a service's until that is deleted.
    fn service(&self, leads: &Dialled) -> Option<(Address, u16)> {
        let service = Address::from(leads.service);
        let known = self.known.get(&service)?.as_ref()?;
        (known.owner.kind == Kind::Service).then_some((service, leads.service_port))
    }

    /// All of them, for who may not wait for names.
    pub fn translations(&self) -> Translations {
        let known = self.known.iter().filter(|_| self.tells_dialled);
        let leads = known
            .flat_map(|(backend, known)| known.iter().flat_map(|known| &known.dialled).map(|leads| (*backend, leads)));
        Translations(
            leads
                .filter_map(|(backend, leads)| Some(((backend, leads.port, leads.protocol), self.service(leads)?)))
                .collect(),
        )
    }

    /// The addresses of all services that lead to what is known.
    pub(super) fn services_dialled(&self) -> BTreeSet<Address> {
        let leads = self.known.values().flatten().flat_map(|known| &known.dialled);
        leads.map(|leads| leads.service.into()).collect()
    }

    /// Decides whether the next answers tell what was dialled. When that changes, everything has to be asked again: answers tell
    /// what changed.
    pub(super) fn tell_dialled(&mut self, tell: bool) {
        if std::mem::replace(&mut self.tells_dialled, tell) != tell {
            self.names.cursor = None;
        }
    }
}

/// Services by the backend, its port and protocol to which they lead.
#[derive(Clone, Debug, Default)]
pub struct Translations(HashMap<(Address, u16, Protocol), (Address, u16)>);

impl Translations {
    /// The flow as its client dialled it.
    pub fn undone(&self, flow: &Flow) -> Flow {
        let (dialled, answers) = (flow.original, flow.reply);
        let mut flow = *flow;
        if !self.0.is_empty()
            && (dialled.dst, dialled.dst_port) == (answers.src, answers.src_port)
            && let Some(protocol) = Protocol::from_number(flow.protocol)
            && let Some(service) = self.0.get(&(dialled.dst, dialled.dst_port, protocol))
        {
            (flow.original.dst, flow.original.dst_port) = *service;
        }
        flow
    }
}
