//! Pods.

use serde::Deserialize;

use super::error::ObjectError;
use super::field::{Field, object_shape};
use super::metadata::{self, OwnerReference};
use super::value::{address, elements, time};
use super::{Definition, Manifest, Object, Opened, Resource, Role, workload};

pub(super) const DEFINITION: Definition = Definition {
    kind: "Pod",
    plural: "pods",
    group: "",
    versions: &["v1"],
    // Finished pods own nothing. The server reports a pod that finishes as deleted.
    selector: "status.phase!=Succeeded,status.phase!=Failed",
    optional: false,
    read,
};

/// An element of `podIPs`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodIp {
    ip: Field<String>,
}

object_shape!(PodIp);

/// A pod claims its own addresses: none on the host network, where they are the node's, and none once it has finished, when
/// they are free for others though its status still lists them.
fn read(manifest: Manifest) -> Result<Object, ObjectError> {
    let Opened { meta, owners, spec, status, .. } = manifest.open(&DEFINITION)?;
    let mut pod = Object::new(Resource::Pods, meta);
    pod.node = spec.node_name.optional("spec.nodeName")?.unwrap_or_default();
    let host_network = spec.host_network.optional("spec.hostNetwork")?.unwrap_or(false);
    let phase = status.phase.optional("status.phase")?.unwrap_or_default();
    // When the kubelet took it on, which is just before it gets its addresses; else when it was made. The node's clock says
    // one, the API server's the other: an earlier start is a clock that is behind.
    pod.started = time(status.start_time, "status.startTime")?.max(pod.meta.created);
    let first = status.pod_ip.optional("status.podIP")?;
    if !host_network && !matches!(phase.as_str(), "Succeeded" | "Failed") {
        let mut all: Vec<String> = first.into_iter().collect();
        for entry in elements(status.pod_ips, "status.podIPs")? {
            all.extend(entry.ip.optional("status.podIPs[].ip")?);
        }
        for text in all.iter().filter(|text| !text.is_empty()) {
            pod.claim(address(text, "status.podIPs[].ip")?, Role::Pod);
        }
    }
    pod.workload = match owner(metadata::owners(owners)?)? {
        Some((kind, name)) => workload::of(&pod.meta, &pod.node, &kind, &name).to_owned(),
        None => pod.meta.name.clone(),
    };
    Ok(pod)
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
