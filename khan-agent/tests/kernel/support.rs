//! Scans inside a namespace, and what the witness says of the same table.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use khan_agent::flows::DumpError;
use khan_agent::identities::{ExternalNames, Identities};
use khan_agent::metrics_page::fold::Folder;
use khan_agent::metrics_page::{self, Page};
use khan_agent::scan::Scanner;
use khan_agent::snapshot::{Origin, Snapshot, build};
use khan_agent::table;
use khan_api::{Cursor, Identity, Kind, Owner, ResolveAnswer, Timestamp};
use khan_lab::{Entry, Host, Lab, host};
use khan_serve::exposition::Exposition;

use crate::page::{Labels, lines};

/// How the agent of a test works.
pub(crate) struct Agent {
    pub(crate) node: &'static str,
    pub(crate) table: table::Settings,
    pub(crate) page_settings: metrics_page::Settings,
    pub(crate) identities: Mutex<Identities>,
}

impl Default for Agent {
    fn default() -> Self {
        Self::on("n1")
    }
}

impl Agent {
    pub(crate) fn on(node: &'static str) -> Self {
        Self {
            node,
            table: table::Settings::default(),
            page_settings: metrics_page::Settings::default(),
            identities: Mutex::new(Identities::new(node, "", ExternalNames::default())),
        }
    }

    /// Knows these addresses, as from a controller.
    pub(crate) fn knowing(self, known: impl IntoIterator<Item = (IpAddr, Identity)>) -> Self {
        self.knowing_endpoints(known, None)
    }

    /// The same of a controller that has known the endpoints of services since then.
    pub(crate) fn knowing_endpoints(
        mut self,
        known: impl IntoIterator<Item = (IpAddr, Identity)>,
        endpoints: Option<Timestamp>,
    ) -> Self {
        let identities: BTreeMap<_, _> = known.into_iter().collect();
        let ranges = vec!["10.0.0.0/8".to_owned(), "fd00::/8".to_owned()];
        let known = self.identities.get_mut().expect("no test fails while it holds it");
        known.apply(&[], &[], ResolveAnswer { identities, ranges, endpoints, ..ResolveAnswer::default() });
        known.succeeded(Cursor::default(), Timestamp::now());
        self
    }

    /// One scan of the host's table, named.
    pub(crate) fn scan(&self, host: &Host) -> Snapshot {
        self.try_scan(host).expect("the table of a namespace of ours can be read")
    }

    pub(crate) fn try_scan(&self, host: &Host) -> Result<Snapshot, DumpError> {
        self.scan_with(host, &mut Scanner::new(self.table.clone()))
    }

    fn scan_with(&self, host: &Host, scanner: &mut Scanner) -> Result<Snapshot, DumpError> {
        host.enter(|| {
            let mut identities = self.identities.lock().expect("no test fails while it holds it");
            identities.read_local_routes();
            let scan = scanner.scan(identities.ownership_ages(Timestamp::now()))?;
            let origin = Origin::here(self.node);
            Ok(build::build(&origin, 1, Duration::from_secs(30), &scan, scanner.table(), &identities))
        })
    }

    /// Scans that are compared with each other.
    pub(crate) fn scans(self) -> Scans {
        Scans { scanner: Scanner::new(self.table.clone()), agent: self }
    }

    /// The page of one scan.
    pub(crate) fn page(&self, host: &Host) -> String {
        self.page_of(&self.scan(host))
    }

    pub(crate) fn page_of(&self, snapshot: &Snapshot) -> String {
        text(&Page::new(snapshot, &self.page_settings, &mut Folder::default()))
    }
}

/// One agent's scans, one after the other.
pub(crate) struct Scans {
    agent: Agent,
    scanner: Scanner,
}

impl Scans {
    pub(crate) fn agent(&self) -> &Agent {
        &self.agent
    }

    /// The next scan of the host's table.
    pub(crate) fn next(&mut self, host: &Host) -> Snapshot {
        let snapshot = self.agent.scan_with(host, &mut self.scanner);
        self.scanner.keep();
        snapshot.expect("the table of a namespace of ours can be read")
    }
}

/// The whole page as text.
pub(crate) fn text(page: &Page) -> String {
    let (mut writer, mut text, mut chunk) = (page.writer(Exposition::Text), Vec::new(), Vec::new());
    while writer.fill(page, &mut chunk) {
        text.append(&mut chunk);
    }
    String::from_utf8(text).expect("the page is UTF-8")
}

/// `khan_connection` by these labels, summed.
pub(crate) fn sum_by<const N: usize>(page: &str, names: [&str; N]) -> BTreeMap<[String; N], u64> {
    let mut sums = BTreeMap::new();
    for (labels, value) in lines(page, "khan_connection") {
        *sums.entry(names.map(|name| label(&labels, name))).or_default() += value;
    }
    sums
}

fn label(labels: &Labels, name: &str) -> String {
    labels.get(name).unwrap_or_else(|| panic!("no label {name}")).clone()
}

/// Whether Khan counts the entry's protocol.
pub(crate) fn counted(entry: &Entry) -> bool {
    [6, 17, 132].contains(&entry.protocol)
}

/// What the witness says of the counted entries, by whatever `key` takes from each.
pub(crate) fn witnessed<K: Ord>(entries: &[Entry], key: impl Fn(&Entry) -> K) -> BTreeMap<K, u64> {
    let mut counts = BTreeMap::new();
    for entry in entries.iter().filter(|entry| counted(entry)) {
        *counts.entry(key(entry)).or_default() += 1;
    }
    counts
}

/// An owner since who knows when, and the first.
pub(crate) fn owned(owner: Owner) -> Identity {
    Identity { owner, ..Identity::default() }
}

/// A pod of the app `app` in the namespace `shop`.
pub(crate) fn pod(app: &str, node: &str) -> Identity {
    owned(Owner {
        kind: Kind::Pod,
        ns: "shop".into(),
        app: app.into(),
        workload: app.into(),
        name: format!("{app}-6d4cf56db6-abcde").into(),
        node: node.into(),
    })
}

/// Something else than a pod, with a name.
pub(crate) fn named(kind: Kind, name: &str, node: &str) -> Identity {
    owned(Owner { kind, name: name.into(), node: node.into(), ..Owner::default() })
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A node, 10.9.0.1, and a host outside the cluster, 10.9.0.2.
pub(crate) fn node_and_outside(lab: &Lab) -> khan_lab::Result<(Host, Host)> {
    let (node, outside) = (lab.host("node")?, lab.host("outside")?);
    host::link(
        host::Link { host: &node, name: "eth0", addresses: &["10.9.0.1/24"] },
        host::Link { host: &outside, name: "eth0", addresses: &["10.9.0.2/24"] },
    )?;
    Ok((node, outside))
}

/// A node that forwards between a pod, 10.1.0.2, and a client outside the cluster, 10.9.0.2; its own addresses end in 1.
pub(crate) fn node_pod_and_outside(lab: &Lab) -> khan_lab::Result<(Host, Host, Host)> {
    let (node, outside) = node_and_outside(lab)?;
    let pod = lab.host("pod")?;
    host::link(
        host::Link { host: &node, name: "pod0", addresses: &["10.1.0.1/24"] },
        host::Link { host: &pod, name: "eth0", addresses: &["10.1.0.2/24"] },
    )?;
    pod.route(["default", "via", "10.1.0.1"])?;
    node.forward()?;
    Ok((node, pod, outside))
}
