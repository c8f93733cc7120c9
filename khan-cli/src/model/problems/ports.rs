//! One destination of translated connections, and who holds the ports that lead there.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use khan_api::{Kind, Protocol};

use super::pairs::some;
use super::scene::Scene;
use crate::model::group_by::{GroupBy, RowKey};
use crate::model::group_end::{Grain, GroupEnd};
use crate::model::groups::{Keyer, select};
use crate::model::query::Query;
use crate::model::view::{RowRef, View};

/// Every translated address has its ports once for each of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Towards {
    pub(super) ip: IpAddr,
    pub(super) port: u16,
    pub(super) protocol: Protocol,
}

/// Who holds them.
#[derive(Debug)]
pub(super) struct Holders {
    /// The destination's name, where it has one.
    pub(super) name: Arc<str>,
    /// Apps, most connections first.
    pub(super) apps: Vec<(GroupEnd, u64)>,
    /// Whose tables show them.
    pub(super) nodes: Vec<String>,
}

impl Towards {
    /// Where a row's connections go; `None` where its source does not tell.
    pub(super) fn of(view: &View, row: &RowRef<'_>) -> Option<Self> {
        let ip = view.endpoints[row.backend as usize].ip?;
        // Prometheus knows the port that was dialled, which is the same where nothing in between translates.
        let port = [row.row.backend_port, row.row.port].into_iter().find(|port| *port > 0)?;
        Some(Self { ip, port, protocol: row.row.protocol? })
    }

    /// The flags that select it.
    pub(super) fn flags(&self) -> String {
        format!("--to ip/{} --port {}", self.ip, self.port)
    }

    /// Who holds connections there: on one node, or of the whole cluster's clients. `None` when none of them is among those that are asked for.
    pub(super) fn holders(self, scene: &Scene<'_>, node: Option<u32>) -> Option<Holders> {
        let inside = |row: &RowRef<'_>| scene.view.endpoints[row.src as usize].owner.kind != Kind::External;
        let takes = |row: &RowRef<'_>| {
            node.map_or_else(|| inside(row), |node| row.node == node)
                && Self::of(scene.view, row).is_some_and(|to| to == self)
        };
        let everything = Query { limit: 0, ..Query::default() };
        let keyer = Keyer::new(scene.view, GroupBy { src: Some(Grain::App), ..GroupBy::NONE });
        let (mut name, mut nodes) = (None, BTreeSet::new());
        let mut held: HashMap<RowKey, (GroupEnd, u64)> = HashMap::new();
        select(scene.view, &everything, |row, _, sum| {
            if !takes(row) {
                return;
            }
            nodes.insert(row.node);
            name.get_or_insert_with(|| Arc::clone(&scene.view.endpoints[row.backend as usize].owner.name));
            if let Some(end) = keyer.source(row) {
                held.entry(keyer.key(row, None)).or_insert_with(|| (end.clone(), 0)).1 += sum.connections;
            }
        });
        let query = scene.query;
        let mut concerned = query.namespaces.is_empty() && query.filter.is_empty() && query.labels.is_none();
        if !concerned {
            select(scene.view, query, |row, _, _| concerned |= takes(row));
        }
        let mut apps: Vec<_> = held.into_values().filter(|(_, n)| *n > 0).collect();
        apps.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.text.cmp(&b.0.text)));
        let nodes = nodes.into_iter().filter_map(|node| Some(scene.view.nodes.get(node as usize)?.node.clone()));
        concerned.then(|| Holders { name: name.unwrap_or_default(), apps, nodes: nodes.collect() })
    }
}

/// `203.0.113.9:443`, `[2001:db8::1]:53/udp`
impl fmt::Display for Towards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", SocketAddr::new(self.ip, self.port))?;
        if self.protocol == Protocol::Tcp { Ok(()) } else { write!(f, "/{}", self.protocol.as_str()) }
    }
}

impl Holders {
    /// The destination in words.
    pub(super) fn to(&self, towards: Towards) -> String {
        if self.name.is_empty() { towards.to_string() } else { format!("{towards} ({})", self.name) }
    }

    /// The end of a sentence: `, shop/crawler holds 9 of them`; empty where no app is known to hold any.
    pub(super) fn most(&self) -> String {
        self.apps.first().map_or_else(String::new, |(app, held)| format!(", {} holds {held} of them", app.text))
    }

    /// The app with the most, if there is one.
    pub(super) fn owners(&self) -> Vec<String> {
        self.apps.first().map(|(app, _)| app.text.to_string()).into_iter().collect()
    }

    /// What each app holds, as evidence.
    pub(super) fn evidence(&self) -> Option<String> {
        let each: Vec<_> = self.apps.iter().map(|(app, n)| format!("{} ({n})", app.text)).collect();
        (!each.is_empty()).then(|| format!("held by {}, those that ended a moment ago included", some(&each)))
    }
}
