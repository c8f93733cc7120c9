//! Pods.

use std::net::IpAddr;

use khan_api::Timestamp;

use super::manifest::{Manifest, OwnerReference};
use super::workload;
use super::{Meta, ObjectError, address, texts_of, time};

/// A pod, as far as its addresses and its name matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Name, labels, identity.
    pub meta: Meta,
    /// The controller behind it, or its own name.
    pub workload: String,
    /// `spec.nodeName`; empty before it is scheduled.
    pub node: String,
    /// When the kubelet took it on, which is just before it gets its addresses; else when it was made.
    pub started: Option<Timestamp>,
    /// The addresses it owns: none on the host network, where they are the node's, and none once it has finished, when
    /// they are free for others though its status still lists them.
    pub addresses: Vec<IpAddr>,
}

impl TryFrom<Manifest> for Pod {
    type Error = ObjectError;

    fn try_from(manifest: Manifest) -> Result<Self, ObjectError> {
        let (meta, owners) = Meta::read(manifest.metadata.optional("metadata")?.unwrap_or_default(), "Pod")?;
        let spec = manifest.spec.optional("spec")?.unwrap_or_default();
        let status = manifest.status.optional("status")?.unwrap_or_default();
        let node = spec.node_name.optional("spec.nodeName")?.unwrap_or_default();
        let host_network = spec.host_network.optional("spec.hostNetwork")?.unwrap_or(false);
        let phase = status.phase.optional("status.phase")?.unwrap_or_default();
        let started = time(status.start_time, "status.startTime")?;
        // The start is told by the node's clock, the creation by the API server's: an earlier start is a clock that is behind.
        let started = started.max(meta.created);
        let first = status.pod_ip.optional("status.podIP")?;
        let mut addresses = Vec::new();
        if !host_network && !matches!(phase.as_str(), "Succeeded" | "Failed") {
            let mut all: Vec<String> = first.into_iter().collect();
            for entry in texts_of(status.pod_ips, "status.podIPs")? {
                all.extend(entry.ip.optional("status.podIPs[].ip")?);
            }
            for text in all.iter().filter(|text| !text.is_empty()) {
                let ip = address(text, "status.podIPs[].ip")?;
                if !addresses.contains(&ip) {
                    addresses.push(ip);
                }
            }
        }
        let workload = owner(owners)?
            .map_or_else(|| meta.name.clone(), |(kind, name)| workload::of(&meta, &node, &kind, &name).to_owned());
        Ok(Self { meta, workload, node, started, addresses })
    }
}

/// Kind and name of the owner that manages the pod: the one marked as controller, else the first.
fn owner(owners: Vec<OwnerReference>) -> Result<Option<(String, String)>, ObjectError> {
    let mut chosen = None;
    for owner in owners {
        let kind = owner.kind.optional("metadata.ownerReferences[].kind")?.unwrap_or_default();
        let name = owner.name.optional("metadata.ownerReferences[].name")?.unwrap_or_default();
        let controller = owner.controller.optional("metadata.ownerReferences[].controller")?.unwrap_or(false);
        if controller {
            return Ok(Some((kind, name)));
        }
        chosen.get_or_insert((kind, name));
    }
    Ok(chosen)
}
