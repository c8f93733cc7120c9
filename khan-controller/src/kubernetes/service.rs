//! Services.

use std::net::IpAddr;

use khan_api::{NodePort, Protocol};

use super::manifest::{Manifest, ServicePort};
use super::{Meta, ObjectError, address, texts_of};

/// A service, as far as its addresses and its name matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Name, labels, identity.
    pub meta: Meta,
    /// Cluster, external and load-balancer addresses. None for headless services and for `ExternalName`: no node treats
    /// an address as theirs.
    pub addresses: Vec<IpAddr>,
    /// How many of them, the first ones, are cluster addresses.
    pub cluster: usize,
    /// Ports on which every node takes connections for it: those of `spec.ports` that have a `nodePort`.
    pub node_ports: Vec<NodePort>,
}

impl Service {
    /// The cluster addresses among its addresses.
    pub fn cluster_addresses(&self) -> &[IpAddr] {
        &self.addresses[..self.cluster]
    }
}

impl TryFrom<Manifest> for Service {
    type Error = ObjectError;

    fn try_from(manifest: Manifest) -> Result<Self, ObjectError> {
        let (meta, _) = Meta::read(manifest.metadata.optional("metadata")?.unwrap_or_default(), "Service")?;
        let spec = manifest.spec.optional("spec")?.unwrap_or_default();
        let status = manifest.status.optional("status")?.unwrap_or_default();
        let mut cluster = Vec::from_iter(spec.cluster_ip.optional("spec.clusterIP")?);
        cluster.extend(texts_of(spec.cluster_ips, "spec.clusterIPs")?);
        cluster.retain(|text| !matches!(text.as_str(), "" | "None"));
        let r#type = spec.r#type.optional("spec.type")?.unwrap_or_default();
        if cluster.is_empty() || r#type == "ExternalName" {
            return Ok(Self { meta, addresses: Vec::new(), cluster: 0, node_ports: Vec::new() });
        }
        let external = texts_of(spec.external_ips, "spec.externalIPs")?;
        let balancer = status.load_balancer.optional("status.loadBalancer")?.unwrap_or_default();
        let mut ingress = Vec::new();
        for entry in texts_of(balancer.ingress, "status.loadBalancer.ingress")? {
            ingress.extend(entry.ip.optional("status.loadBalancer.ingress[].ip")?.filter(|text| !text.is_empty()));
        }
        let (mut addresses, mut in_cluster) = (Vec::new(), 0);
        for (texts, field) in [
            (cluster, "spec.clusterIPs"),
            (external, "spec.externalIPs"),
            (ingress, "status.loadBalancer.ingress[].ip"),
        ] {
            for text in texts {
                let ip = address(&text, field)?;
                if !addresses.contains(&ip) {
                    addresses.push(ip);
                    in_cluster += usize::from(field == "spec.clusterIPs");
                }
            }
        }
        let node_ports = node_ports(texts_of(spec.ports, "spec.ports")?)?;
        Ok(Self { meta, addresses, cluster: in_cluster, node_ports })
    }
}

fn node_ports(ports: Vec<ServicePort>) -> Result<Vec<NodePort>, ObjectError> {
    let mut node_ports = Vec::new();
    for port in ports {
        let text = port.protocol.optional("spec.ports[].protocol")?.unwrap_or_else(|| "TCP".into());
        let number = port.node_port.optional("spec.ports[].nodePort")?.unwrap_or_default();
        if number == 0 {
            continue;
        }
        let known = |protocol: &Protocol| protocol.as_str().eq_ignore_ascii_case(&text);
        let Some(protocol) = Protocol::ALL.into_iter().find(known) else {
            return Err(ObjectError::Malformed { field: "spec.ports[].protocol", text, expected: "TCP, UDP or SCTP" });
        };
        let port = NodePort { port: number, protocol };
        if !node_ports.contains(&port) {
            node_ports.push(port);
        }
    }
    Ok(node_ports)
}
