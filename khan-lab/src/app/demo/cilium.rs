//! Stands in for Cilium on one node: in, what that node's pods are connected to, read in their own namespaces; out, the same
//! connections in maps like Cilium's. The kernel's table of the node has none of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use khan_api::Protocol;
use khan_lab::cluster::{Addresses, gateway, node_addresses};
use khan_lab::ebpf::cilium::Clock;
use khan_lab::ebpf::{Connection, DataPlane, Here, Maps, Stage};
use khan_lab::seed::Closer;
use khan_lab::{Cluster, Entry, Host, Result, Tuple};

/// The node that has it: the leaker's.
pub(super) const NODE: u8 = 2;

/// As many as Cilium's maps have by default on a small node.
const LIMIT: u32 = 65_536;
const EVERY: Duration = Duration::from_secs(1);
/// How long the kernel of a pod remembers an established connection that is idle, in seconds.
const ESTABLISHED: &str = "net.netfilter.nf_conntrack_tcp_timeout_established";

/// Maps that follow the pods' connections, until it is dropped.
pub(super) struct Cilium {
    root: PathBuf,
    following: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Cilium {
    /// Begins to follow. What is connected by then has to be of a cluster whose node bypasses the kernel's tracking.
    pub(super) fn start(cluster: &Cluster) -> Result<Self> {
        let maps = Maps::new(DataPlane::Cilium(Clock::Seconds), LIMIT)?;
        let root = maps.root();
        let own = [node_addresses(NODE), gateway(NODE)].into_iter().flat_map(Addresses::both).collect();
        let mut node = Node { pods: Vec::new(), addresses: BTreeSet::new(), own, established: 0 };
        for (pod, host) in cluster.pods_of(NODE) {
            node.addresses.extend(cluster.plan().pod_addresses(&pod.name)?.both());
            node.established = host.read_sysctl(ESTABLISHED)?.parse().unwrap_or_default();
            node.pods.push(host.clone());
        }
        let (stop, stopped) = channel();
        let thread = thread::spawn(move || {
            let mut present = BTreeMap::new();
            while matches!(stopped.recv_timeout(EVERY), Err(RecvTimeoutError::Timeout)) {
                // A namespace that cannot be read now can be read in a second, and nothing is forgotten meanwhile.
                if let Ok(now) = node.connections() {
                    let _ = follow(&maps, &mut present, now);
                }
            }
        });
        Ok(Self { root, following: Some((stop, thread)) })
    }

    /// The BPF file system, for the agent.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }
}

impl Drop for Cilium {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.following.take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

/// Brings the maps up to date.
fn follow(maps: &Maps, present: &mut BTreeMap<Tuple, Connection>, now: BTreeMap<Tuple, Connection>) -> Result {
    for (_, gone) in present.iter().filter(|(tuple, _)| !now.contains_key(tuple)) {
        maps.remove(gone)?;
    }
    now.values().try_for_each(|connection| maps.put(connection))?;
    *present = now;
    Ok(())
}

struct Node {
    pods: Vec<Host>,
    /// Of the pods.
    addresses: BTreeSet<IpAddr>,
    /// Of the node itself: what comes from there is in the kernel's table.
    own: BTreeSet<IpAddr>,
    established: u32,
}

impl Node {
    /// Every connection of these pods, by original tuple and protocol.
    fn connections(&self) -> Result<BTreeMap<Tuple, Connection>> {
        let mut connections = BTreeMap::new();
        for pod in &self.pods {
            for entry in pod.witness()? {
                if let Some(connection) = self.connection(&entry) {
                    connections.insert(entry.orig, connection);
                }
            }
        }
        Ok(connections)
    }

    fn connection(&self, entry: &Entry) -> Option<Connection> {
        let Tuple { src, src_port, dst, dst_port } = entry.orig;
        let backend = SocketAddr::new(entry.reply.src, entry.reply.src_port);
        let here = match [src, backend.ip()].map(|end| self.addresses.contains(&end)) {
            [true, true] => Here::Both,
            [true, false] => Here::Client,
            [false, true] => Here::Backend,
            [false, false] => return None,
        };
        if self.own.contains(&src) {
            return None;
        }
        let protocol = Protocol::from_number(entry.protocol)?;
        let idle = match (entry.state.as_deref(), entry.timeout) {
            (Some("ESTABLISHED"), Some(left)) => self.established.saturating_sub(left),
            _ => 0,
        };
        let connection = Connection::new(protocol, (src, src_port), (dst, dst_port)).backend(backend);
        Some(connection.here(here).stage(stage(entry)).idle(idle))
    }
}

fn stage(entry: &Entry) -> Stage {
    match entry.state.as_deref() {
        None if entry.unreplied => Stage::Opening,
        Some("SYN_SENT" | "SYN_SENT2") => Stage::Opening,
        Some("SYN_RECV") => Stage::Answered,
        Some("FIN_WAIT" | "CLOSE_WAIT") => Stage::HalfClosed(Closer::Client),
        Some("LAST_ACK" | "TIME_WAIT") => Stage::Closed,
        Some("CLOSE") => Stage::Reset,
        _ => Stage::Open,
    }
}
