//! Khan's own programs in a [`Cluster`]: a controller in its pod, an agent on each node.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use khan_api::Timestamp;
use khan_api::routes::{self, AGENT_PORT, CONTROLLER_PORT};
use khan_api::snapshot::{Side, Snapshot};

use crate::cluster::{Pod, node_addresses, node_name};
use crate::program::Running;
use crate::{Cluster, Lab, LabError, Program, Result, until};

/// Name of the manifest in the bench's folder.
const MANIFEST: &str = "cluster.json";

const PATIENCE: Duration = Duration::from_mins(1);

/// Running programs; dropping this kills them.
#[derive(Debug)]
pub struct Khan {
    /// The controller.
    pub controller: Running,
    /// One agent per node, the first node's first.
    pub agents: Vec<Running>,
}

impl Khan {
    /// Starts everything and waits until it is ready. The cluster's plan needs [`with_khan`](crate::cluster::Plan::with_khan).
    pub fn start(lab: &Lab, cluster: &Cluster, agent_arguments: &[&str]) -> Result<Self> {
        Self::start_with(lab, cluster, |_| agent_arguments.to_vec())
    }

    /// The same with arguments for each node's agent.
    pub fn start_with<'a>(lab: &Lab, cluster: &Cluster, arguments: impl Fn(u8) -> Vec<&'a str>) -> Result<Self> {
        let controller = Self::start_controller(lab, cluster)?;
        controller.get_when_ready(routes::READYZ)?;
        let nodes = 1..=cluster.plan().nodes;
        let agents =
            nodes.map(|node| Self::start_agent(cluster, node, &arguments(node))).collect::<Result<Vec<_>>>()?;
        agents.iter().try_for_each(|agent| agent.get_when_ready(routes::READYZ).map(drop))?;
        Ok(Self { controller, agents })
    }

    /// Starts a controller from the cluster's manifest, which it writes first.
    pub fn start_controller(lab: &Lab, cluster: &Cluster) -> Result<Running> {
        Self::controller(lab, cluster)?.start()
    }

    /// A controller that reads the cluster's manifest, not yet started.
    pub fn controller(lab: &Lab, cluster: &Cluster) -> Result<Program> {
        let manifest = Self::write_manifest(lab, cluster)?;
        let pod = controllers_pod(cluster)?;
        let controller = Program::workspace("khan-controller")?
            .args(["--listen", &format!("0.0.0.0:{CONTROLLER_PORT}"), "--from-file"])
            .args([&manifest]);
        Ok(controller.inside(cluster.pod(&pod.name)?))
    }

    /// Writes the cluster's manifest, again when a controller reads it already, which hears of it within seconds.
    pub fn write_manifest(lab: &Lab, cluster: &Cluster) -> Result<PathBuf> {
        lab.file(MANIFEST, format!("{:#}\n", cluster.manifest()))
    }

    /// Starts the agent of a node, which asks the controller through its service.
    pub fn start_agent(cluster: &Cluster, node: u8, arguments: &[&str]) -> Result<Running> {
        Self::agent(cluster, node, arguments)?.start()
    }

    /// The agent of a node, not yet started. Arguments may name another controller.
    pub fn agent(cluster: &Cluster, node: u8, arguments: &[&str]) -> Result<Program> {
        let controller = cluster.plan().service_addresses("khan", "khan-controller")?;
        let agent = Program::workspace("khan-agent")?
            .args(["--node-name", &node_name(node), "--listen", &format!("0.0.0.0:{AGENT_PORT}")])
            .env("KHAN_CONTROLLER_URL", format!("http://{}", controller.v4_port(CONTROLLER_PORT)));
        Ok(agent.args(arguments).inside(cluster.node(node)))
    }

    /// Where everyone, outside of the cluster too, reaches the controller.
    pub fn controller_url(cluster: &Cluster) -> Result<String> {
        let address = cluster.plan().pod_addresses(&controllers_pod(cluster)?.name)?;
        Ok(format!("http://{}", address.v4_port(CONTROLLER_PORT)))
    }

    /// Where everyone in the cluster reaches the agent of a node.
    pub fn agent_url(node: u8) -> String {
        format!("http://{}", node_addresses(node).v4_port(AGENT_PORT))
    }

    /// What an agent's scan says that begins after now. The one that is running may have read the table already, and is another
    /// than the last one, too.
    pub fn next_snapshot(agent: &Running) -> Result<Snapshot> {
        let now = Timestamp::now();
        until("the next scan", PATIENCE, || {
            agent.get(routes::SNAPSHOT).ok()?.json().ok().filter(|snapshot: &Snapshot| snapshot.taken > now)
        })
    }

    /// Connections by source and destination app, each counted once.
    pub fn edges(&self) -> Result<BTreeMap<(String, String), u64>> {
        let mut edges = BTreeMap::new();
        for agent in &self.agents {
            let snapshot: Snapshot = agent.get(routes::SNAPSHOT)?.json()?;
            let app =
                |index: u32| snapshot.endpoints.get(index as usize).map_or("", |endpoint| endpoint.owner.app.as_str());
            for row in snapshot.rows.iter().filter(|row| row.side == Side::Client) {
                *edges.entry((app(row.src).to_owned(), app(row.dst).to_owned())).or_default() += row.connections;
            }
        }
        Ok(edges)
    }
}

fn controllers_pod(cluster: &Cluster) -> Result<&Pod> {
    let pod = cluster.plan().pods_of("khan", "khan-controller").next();
    pod.ok_or_else(|| LabError::Malformed("the plan has no khan-controller".into()))
}
