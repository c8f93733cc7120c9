//! The few fields of a pod that lead to an agent.

use std::collections::BTreeMap;

use khan_api::routes::AGENT_PORT;
use khan_api::{Label, Name};
use serde::Deserialize;

use crate::sources::agents::url::AgentUrl;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AgentPod {
    pub(super) metadata: Meta,
    pub(super) spec: Spec,
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Meta {
    pub(super) name: Name,
    pub(super) namespace: Label,
    pub(super) uid: Label,
    annotations: BTreeMap<String, String>,
    deletion_timestamp: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) node_name: Name,
    containers: Vec<Container>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    ports: Vec<Port>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Port {
    name: Label,
    container_port: u16,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    phase: Label,
    #[serde(rename = "podIP")]
    pod_ip: Option<std::net::IpAddr>,
}

impl AgentPod {
    /// Whether an agent can be expected to answer there, now or soon.
    pub(super) fn is_live(&self) -> bool {
        let placed = !self.spec.node_name.is_empty();
        placed && self.metadata.deletion_timestamp.is_none() && !matches!(&*self.status.phase, "Succeeded" | "Failed")
    }

    /// The port named `http` or `https`, else the agent's usual one.
    pub(super) fn port(&self) -> u16 {
        let mut ports = self.spec.containers.iter().flat_map(|container| &container.ports);
        ports.find(|port| matches!(&*port.name, "http" | "https")).map_or(AGENT_PORT, |port| port.container_port)
    }

    /// Whether HTTPS is spoken there, as Prometheus's customary annotation says.
    pub(super) fn https(&self) -> bool {
        self.metadata.annotations.get("prometheus.io/scheme").is_some_and(|scheme| scheme == "https")
    }

    /// Where it is without the API server; `None` while it has no address.
    pub(super) fn url(&self, port: u16) -> Option<AgentUrl> {
        let address = std::net::SocketAddr::new(self.status.pod_ip?, port);
        format!("{}://{address}", if self.https() { "https" } else { "http" }).parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_tells_where_its_agent_is() {
        let mut pod = json!({
            "metadata": {"name": "khan-agent-x", "namespace": "khan", "uid": "u1"},
            "spec": {"nodeName": "n1", "containers": [
                {"name": "agent", "ports": [{"name": "debug", "containerPort": 1}, {"name": "http", "containerPort": 2}]}]},
            "status": {"phase": "Running", "podIP": "fd00::1", "hostIP": "fd00::1"}
        });
        let read = |pod: &serde_json::Value| serde_json::from_value::<AgentPod>(pod.clone()).unwrap();
        assert!(read(&pod).is_live());
        assert_eq!(read(&pod).port(), 2);
        assert_eq!(read(&pod).url(2).unwrap().to_string(), "http://[fd00::1]:2");
        pod["metadata"]["annotations"] = json!({"prometheus.io/scheme": "https"});
        assert_eq!(read(&pod).url(2).unwrap().to_string(), "https://[fd00::1]:2");
        pod["status"]["phase"] = json!("Failed");
        assert!(!read(&pod).is_live());
        let bare = read(&json!({"spec": {"nodeName": "n1"}}));
        assert_eq!((bare.port(), bare.url(1)), (AGENT_PORT, None));
    }
}
