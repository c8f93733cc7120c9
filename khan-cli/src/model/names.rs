//! What is there to filter by: the names, addresses and ports of a view, busiest first.

use std::collections::HashMap;

use khan_api::{Kind, OwnerRef};

use super::endpoint::Endpoint;
use super::filter::Subject;
use super::group_end::{Grain, GroupEnd};
use super::view::View;

/// Names that are returned at most.
const MOST: usize = 5_000;

/// Names of a kind in `view`, as filters take them, each with its connections; those with most come first.
pub fn names(view: &View, subject: Subject) -> Vec<(String, u64)> {
    let mut connections = HashMap::new();
    if subject == Subject::Node {
        for row in view.rows() {
            let node = &view.nodes[row.node as usize].node;
            *connections.entry(node.clone()).or_default() += u64::from(row.row.connections);
        }
    } else {
        for (endpoint, n) in view.endpoints.iter().zip(ends(view, subject)).filter(|(_, n)| *n > 0) {
            if let Some(name) = name(endpoint, subject) {
                *connections.entry(name).or_default() += n;
            }
        }
    }
    busiest(connections)
}

/// Ports that are dialled in `view`, likewise.
pub fn ports(view: &View) -> Vec<(String, u64)> {
    let mut connections: HashMap<u16, u64> = HashMap::new();
    for row in view.rows().filter(|row| row.row.port > 0) {
        *connections.entry(row.row.port).or_default() += u64::from(row.row.connections);
    }
    busiest(connections.into_iter().map(|(port, n)| (port.to_string(), n)).collect())
}

/// Connections of every endpoint of the view.
fn ends(view: &View, subject: Subject) -> Vec<u64> {
    let mut ends = vec![0; view.endpoints.len()];
    for row in view.rows() {
        let n = u64::from(row.row.connections);
        if subject != Subject::Dst {
            ends[row.src as usize] += n;
        }
        if subject != Subject::Src {
            ends[row.dst as usize] += n;
            let behind = [Some(row.backend).filter(|backend| *backend != row.dst), row.service];
            behind.into_iter().flatten().for_each(|end| ends[end as usize] += n);
        }
    }
    ends
}

fn name(endpoint: &Endpoint, subject: Subject) -> Option<String> {
    let OwnerRef { kind, ns, app, workload, name, .. } = endpoint.owner.as_deref();
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    match subject {
        Subject::Src | Subject::Dst | Subject::Any if kind == Kind::External && !name.is_empty() => some(name),
        Subject::Src | Subject::Dst | Subject::Any => {
            let text = GroupEnd::of(endpoint, Grain::App).1.text;
            some(text.strip_prefix('?').unwrap_or(&text))
        }
        Subject::Namespace => some(ns),
        Subject::App => some(app),
        Subject::Pod => some(name).filter(|_| kind == Kind::Pod),
        Subject::Service => some(name).filter(|_| kind == Kind::Service),
        Subject::Workload => some(workload),
        Subject::Address | Subject::Node => endpoint.ip.map(|ip| ip.to_string()),
    }
}

fn busiest(connections: HashMap<String, u64>) -> Vec<(String, u64)> {
    let mut names: Vec<_> = connections.into_iter().collect();
    names.sort_unstable_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
    names.truncate(MOST);
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::{Agent, view};

    #[test]
    fn the_busiest_names_come_first() {
        let agent = Agent::new("n1", 0)
            .row("shop/web@n1", "svc:data/redis", 6379, 5)
            .row("shop/cart@n1", "svc:data/redis", 6379, 30)
            .row("?10.40.7.19", "pay/ledger@n1", 8443, 7);
        let view = view(&[agent]);
        let list = |subject| names(&view, subject).iter().map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>();
        assert_eq!(list(Subject::Src), ["shop/cart 30", "10.40.7.19 7", "shop/web 5"]);
        assert_eq!(list(Subject::Dst), ["data/redis 35", "pay/ledger 7"]);
        assert_eq!(list(Subject::Namespace), ["data 35", "shop 35", "pay 7"]);
        assert_eq!(list(Subject::Node), ["n1 42"]);
        assert_eq!(ports(&view), [("6379".to_owned(), 35), ("8443".to_owned(), 7)]);
    }
}
