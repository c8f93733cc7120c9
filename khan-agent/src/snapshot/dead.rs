//! In: a row, its ends, and what the controller says of them. Out: whether its packets go to a backend that is none any more.
//!
//! That is told for whole rows: of all connections in a row the last packet is younger than [`Cell::oldest`], so when that is
//! younger than the backend's end, all of them were renewed since. Idle times of established connections are kept apart by the
//! minute and more, so one that is renewed shows within a minute.

use khan_api::{Kind, Lifecycle, NodePort, State, TcpState, Timestamp};

use crate::identities::backend::{Backend, service_id};
use crate::identities::{Endpoint, Identities};
use crate::table::{Cell, Class, Word};

/// Judges the rows of one snapshot.
pub(super) struct Dead<'a> {
    identities: &'a Identities,
    now: Timestamp,
    /// By the place of an endpoint, the number of its fact, plus one; 0 before it was looked at.
    places: Vec<u32>,
    facts: Vec<Fact<'a>>,
}

/// What matters of an endpoint.
#[derive(Clone, Copy)]
enum Fact<'a> {
    /// Nothing.
    None,
    /// It is a service.
    Service(u64),
    /// It may be a backend that is none any more; `place` is where its dead form stands in the list, plus one.
    Backend { backend: Backend<'a>, place: u32 },
}

impl<'a> Dead<'a> {
    /// Of a table that was dumped `now`, by our clock.
    pub(super) fn new(identities: &'a Identities, now: Timestamp) -> Self {
        Self { identities, now, places: Vec::new(), facts: vec![Fact::None] }
    }

    /// The place of the dead form of `backend`, where connections of `cell` go that dialled `dst`; `None` when it is alive.
    pub(super) fn place<A: Word>(
        &mut self,
        cell: &Cell<A>,
        dst: u32,
        backend: u32,
        endpoints: &mut Vec<Endpoint>,
    ) -> Option<u32> {
        if !self.identities.is_current() || !is_told(cell.class) {
            return None;
        }
        let number = self.fact(backend, endpoints);
        let Fact::Backend { backend: fact, place } = self.facts[number] else { return None };
        let ended = match fact {
            Backend::Gone(ended) => ended,
            Backend::Listed { by, otherwise } => {
                let translated = cell.service != cell.backend;
                let service = if translated { self.service(dst, cell, endpoints) } else { None };
                service.filter(|id| !by.contains(id)).map(|_| otherwise)?
            }
        };
        if cell.oldest >= ended.age {
            return None;
        }
        if let Some(place) = place.checked_sub(1) {
            return Some(place);
        }
        #[expect(clippy::cast_possible_truncation, reason = "fewer than four per row, and rows are counted in 24 bits")]
        let place = endpoints.len() as u32;
        endpoints.push(Endpoint { dead: ended.at(), ..endpoints[backend as usize].clone() });
        self.facts[number] = Fact::Backend { backend: fact, place: place + 1 };
        Some(place)
    }

    /// The service that was dialled.
    fn service<A>(&mut self, dst: u32, cell: &Cell<A>, endpoints: &[Endpoint]) -> Option<u64> {
        if endpoints[dst as usize].owner.kind == Kind::Node {
            let port = NodePort { port: cell.port, protocol: cell.class.protocol() };
            let known = self.identities.node_ports();
            let at = known.binary_search_by_key(&port, khan_api::ServicePort::node_port).ok()?;
            return Some(service_id(&known[at].ns, &known[at].name));
        }
        let number = self.fact(dst, endpoints);
        match self.facts[number] {
            Fact::Service(id) => Some(id),
            _ => None,
        }
    }

    /// The number of an endpoint's fact.
    fn fact(&mut self, place: u32, endpoints: &[Endpoint]) -> usize {
        let at = place as usize;
        if self.places.len() <= at {
            self.places.resize(endpoints.len(), 0);
        }
        if self.places[at] == 0 {
            let endpoint = &endpoints[at];
            let backend = |ip: std::net::IpAddr| self.identities.backend(ip.into(), self.now);
            let fact = match (endpoint.owner.kind, endpoint.ip) {
                (Kind::Service, _) => Fact::Service(service_id(&endpoint.owner.ns, &endpoint.owner.name)),
                (_, Some(ip)) => backend(ip).map_or(Fact::None, |backend| Fact::Backend { backend, place: 0 }),
                (_, None) => Fact::None,
            };
            #[expect(clippy::cast_possible_truncation, reason = "one per endpoint at most")]
            let number = if matches!(fact, Fact::None) {
                0
            } else {
                self.facts.push(fact);
                self.facts.len() as u32 - 1
            };
            self.places[at] = number + 1;
        }
        self.places[at] as usize - 1
    }
}

/// Whether it is known how long ago the last packet passed, and another may follow.
fn is_told(class: Class) -> bool {
    let measured = match class.state() {
        State::Offload => false,
        State::Tcp(TcpState::Established) => class.idle_bucket().is_some(),
        _ => true,
    };
    measured && !class.is_sum() && class.state().lifecycle() != Lifecycle::Closed
}
