//! Who dials services: in, the rows of a view; out, the connections of each app by client and endpoint.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use khan_api::{Kind, Protocol, TcpState};

use crate::model::groups::select;
use crate::model::query::Query;
use crate::model::state::State;
use crate::model::view::{RowRef, View};

/// Connections to one service of clients of one app.
#[derive(Debug, Default)]
pub(super) struct Clients {
    pub(super) open: u64,
    pub(super) ended_rate: u64,
    /// By client and endpoint.
    pub(super) held: HashMap<(u32, u32), u64>,
    pub(super) nodes: BTreeSet<u32>,
}

/// Who dials each service of a view whose endpoints are known, app by app; services by their number in the view.
pub(super) fn clients(view: &View, query: &Query) -> BTreeMap<u32, Vec<Clients>> {
    let mut found: BTreeMap<u32, HashMap<(&str, &str, u32), Clients>> = BTreeMap::new();
    let mut numbers: HashMap<(&str, &str), u32> = HashMap::new();
    for (number, service) in (0..).zip(&view.services.list) {
        numbers.insert((&service.ns, &service.name), number);
    }
    select(view, query, |row, _, sum| {
        let Some((ns, name)) = service(view, row) else { return };
        let Some(&number) = numbers.get(&(ns, name)) else { return };
        let owner = &view.endpoints[row.src as usize].owner;
        // Without an app each address is a client of its own.
        let alone = if owner.app.is_empty() { row.src } else { u32::MAX };
        let clients = found.entry(number).or_default().entry((&*owner.ns, &*owner.app, alone)).or_default();
        let open = sum.states.get(State::Tcp(TcpState::Established));
        clients.open += open;
        clients.ended_rate += sum.ended_rate;
        if open > 0 {
            *clients.held.entry((row.src, row.backend)).or_default() += open;
            clients.nodes.insert(row.node);
        }
    });
    found.into_iter().map(|(number, apps)| (number, apps.into_values().collect())).collect()
}

/// Namespaces and names of the services that were dialled, those with the most established connections first.
pub(crate) fn dialled(view: &View, query: &Query) -> Vec<(Arc<str>, Arc<str>)> {
    let mut services: HashMap<u32, u64> = HashMap::new();
    select(view, query, |row, _, sum| {
        let open = sum.states.get(State::Tcp(TcpState::Established));
        if open > 0 && service(view, row).is_some() {
            *services.entry(row.service.unwrap_or(row.dst)).or_default() += open;
        }
    });
    // A service may have several addresses.
    let mut sums: HashMap<(&Arc<str>, &Arc<str>), u64> = HashMap::new();
    for (place, n) in services {
        let owner = &view.endpoints[place as usize].owner;
        *sums.entry((&owner.ns, &owner.name)).or_default() += n;
    }
    let mut list: Vec<_> = sums.into_iter().collect();
    list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    list.into_iter().map(|((ns, name), _)| (Arc::clone(ns), Arc::clone(name))).collect()
}

/// Namespace and name of the service that the connections of a row were dialled at, of TCP.
fn service<'view>(view: &'view View, row: &RowRef<'_>) -> Option<(&'view str, &'view str)> {
    let end = &view.endpoints[row.service.unwrap_or(row.dst) as usize].owner;
    let is_one = end.kind == Kind::Service && !end.name.is_empty() && row.row.protocol == Some(Protocol::Tcp);
    is_one.then_some((&*end.ns, &*end.name))
}
