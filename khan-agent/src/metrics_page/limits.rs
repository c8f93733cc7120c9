//! How many connections destinations with a limit have: in, a snapshot; out, `khan_connection_limit_used`.
//!
//! The controller exports the limits themselves, `khan_connection_limit`: one series each, however many nodes there are.
//! Summed by the labels that are printed, so that the two addresses of a pod are one series.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use khan_api::snapshot::Side;
use khan_api::{Kind, Lifecycle, Owner};

use khan_serve::exposition::label;

use crate::snapshot::Snapshot;

const USED: &str = "khan_connection_limit_used";
const USED_HELP: &str = "Open connections to a destination with a limit (khan_connection_limit of the controller): those that a pod or \
                         an address outside answers, or that dial a service. Summed over nodes with side=\"client\", each counts \
                         once. Of each node the 1000 destinations with the most.";
/// The most destinations.
const MOST: usize = 1_000;

/// What is printed of a destination.
type Labels<'a> = (Kind, &'a str, &'a str, &'a str);

/// Open connections by side.
type Used = [u64; Side::ALL.len()];

/// Appends the metric. `node` is that label, written out.
pub(super) fn write(text: &mut String, node: &str, snapshot: &Snapshot) {
    let mut all: Vec<_> = used(snapshot).into_iter().collect();
    all.sort_by_key(|(labels, used)| (Reverse(used.iter().sum::<u64>()), *labels));
    all.truncate(MOST);
    let _ = writeln!(text, "# HELP {USED} {USED_HELP}\n# TYPE {USED} gauge");
    for (labels, used) in &all {
        for (side, used) in Side::ALL.into_iter().zip(used) {
            // A sum over nodes needs this one, at zero too.
            if *used > 0 || side == Side::Client {
                destination(text, node, *labels);
                text.push(',');
                label(text, "side", side.as_str());
                let _ = writeln!(text, "}} {used}");
            }
        }
    }
}

fn used(snapshot: &Snapshot) -> BTreeMap<Labels<'_>, Used> {
    let limited: HashSet<u32> = snapshot.limits.iter().map(|limit| limit.endpoint).collect();
    let mut all: BTreeMap<_, Used> =
        limited.iter().map(|endpoint| (labels_of(snapshot, *endpoint), Used::default())).collect();
    if all.is_empty() {
        return all;
    }
    for row in snapshot.rows.iter().filter(|row| row.class.state().lifecycle() == Lifecycle::Open) {
        let kind = |end: u32| snapshot.endpoints[end as usize].owner.kind;
        let dialled = Some(row.dst).filter(|end| kind(*end) == Kind::Service);
        let answers = Some(row.backend).filter(|end| kind(*end) != Kind::Service);
        for end in dialled.into_iter().chain(answers).filter(|end| limited.contains(end)) {
            if let Some(used) = all.get_mut(&labels_of(snapshot, end)) {
                used[snapshot.side(row.src) as usize] += u64::from(row.count);
            }
        }
    }
    all
}

fn labels_of(snapshot: &Snapshot, endpoint: u32) -> Labels<'_> {
    let Owner { kind, ns, app, name, .. } = &*snapshot.endpoints[endpoint as usize].owner;
    (*kind, ns, app, name)
}

/// The metric's name and labels, without the brace that ends them.
fn destination(text: &mut String, node: &str, (kind, ns, app, object): Labels<'_>) {
    let _ = write!(text, "{USED}{{{node}");
    for (name, value) in [("dst_type", kind.as_str()), ("dst_ns", ns), ("dst_app", app), ("dst_name", object)] {
        text.push(',');
        label(text, name, value);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Arc;

    use khan_api::snapshot::Limit;
    use khan_api::{Protocol, TcpState};

    use super::*;
    use crate::flows::{Flow, Tcp};
    use crate::identities::Endpoint;
    use crate::snapshot::Row;
    use crate::table::Class;

    fn endpoint(kind: Kind, app: &str, name: &str, node: &str) -> Endpoint {
        let owner = Owner {
            kind,
            ns: if kind == Kind::External { "" } else { "data" }.into(),
            app: app.into(),
            name: name.into(),
            node: node.into(),
            ..Owner::default()
        };
        Endpoint { ip: Some([10, 0, 0, 1].into()), owner: Arc::new(owner), previous: false, dead: None }
    }

    fn class(state: TcpState) -> Class {
        let flow = Flow { protocol: 6, tcp: Some(Tcp { state, ..Tcp::default() }), ..Flow::default() };
        Class::of(&flow, Protocol::Tcp, None, 600, [false; 3])
    }

    #[test]
    fn open_connections_are_summed_by_what_is_printed() {
        let snapshot = Snapshot {
            origin: crate::snapshot::Origin { node: "n1".into(), ..Default::default() },
            endpoints: vec![
                endpoint(Kind::Pod, "shop", "shop-0", "n1"),
                endpoint(Kind::Service, "postgres", "postgres", ""),
                endpoint(Kind::Pod, "postgres", "postgres-0", "n2"),
                endpoint(Kind::Pod, "postgres", "postgres-0", "n2"),
                endpoint(Kind::External, "", "warehouse", ""),
                endpoint(Kind::Pod, "cart", "cart-0", "n2"),
            ],
            limits: [(1, 500), (2, 100), (3, 100), (4, 9)]
                .map(|(endpoint, n)| Limit { endpoint, connections: NonZeroU32::new(n).unwrap() })
                .to_vec(),
            rows: [
                (0, 1, 2, TcpState::Established, 40),
                (0, 1, 2, TcpState::TimeWait, 99),
                (0, 3, 3, TcpState::CloseWait, 3),
                (5, 1, 2, TcpState::Established, 7),
                (0, 4, 4, TcpState::Established, 2),
            ]
            .map(|(src, dst, backend, state, count)| Row {
                src,
                dst,
                backend,
                port: 5432,
                backend_port: 5432,
                zone: 0,
                class: class(state),
                count,
            })
            .to_vec(),
            ..Snapshot::default()
        };
        let mut text = String::new();
        write(&mut text, r#"node="n1""#, &snapshot);
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let postgres = r#"node="n1",dst_type="pod",dst_ns="data",dst_app="postgres",dst_name="postgres-0""#;
        let service = r#"node="n1",dst_type="service",dst_ns="data",dst_app="postgres",dst_name="postgres""#;
        let warehouse = r#"node="n1",dst_type="external",dst_ns="",dst_app="",dst_name="warehouse""#;
        assert_eq!(
            lines,
            [
                format!("{USED}{{{postgres},side=\"client\"}} 43"),
                format!("{USED}{{{postgres},side=\"server\"}} 7"),
                format!("{USED}{{{service},side=\"client\"}} 40"),
                format!("{USED}{{{service},side=\"server\"}} 7"),
                format!("{USED}{{{warehouse},side=\"client\"}} 2"),
            ]
        );
    }
}
