//! Services.

use khan_api::{NodePort, Protocol};
use serde::Deserialize;

use super::error::ObjectError;
use super::field::{Field, object_shape};
use super::object::{Holdings, Port};
use super::value::{address, elements, protocol};
use super::{Definition, Manifest, Object, Opened, Resource, Role};

pub(super) const DEFINITION: Definition = Definition {
    kind: "Service",
    plural: "services",
    group: "",
    versions: &["v1"],
    selector: "",
    optional: false,
    read,
};

/// An element of `ports`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ServicePort {
    // Of an EndpointSlice as well, which has no node ports.
    pub(super) name: Field<String>,
    pub(super) port: Field<u16>,
    pub(super) protocol: Field<String>,
    node_port: Field<u16>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LoadBalancer {
    ingress: Field<Vec<Field<Ingress>>>,
}

/// An element of `ingress`, which may have a host name instead.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ingress {
    ip: Field<String>,
}

object_shape!(ServicePort, LoadBalancer, Ingress);

/// A service claims its cluster, external and load-balancer addresses; a headless one and an `ExternalName` claim none: no
/// node treats an address as theirs. It holds its ports.
fn read(manifest: Manifest) -> Result<Object, ObjectError> {
    let Opened { meta, spec, status, .. } = manifest.open(&DEFINITION)?;
    let mut service = Object::new(Resource::Services, meta);
    let mut cluster = Vec::from_iter(spec.cluster_ip.optional("spec.clusterIP")?);
    cluster.extend(elements(spec.cluster_ips, "spec.clusterIPs")?);
    cluster.retain(|text| !matches!(text.as_str(), "" | "None"));
    let r#type = spec.r#type.optional("spec.type")?.unwrap_or_default();
    if cluster.is_empty() || r#type == "ExternalName" {
        return Ok(service);
    }
    for text in cluster {
        let ip = address(&text, "spec.clusterIPs")?;
        if service.claim(ip, Role::Service) {
            service.cluster_addresses.push(ip);
        }
    }
    for text in elements(spec.external_ips, "spec.externalIPs")? {
        service.claim(address(&text, "spec.externalIPs")?, Role::Service);
    }
    let balancer = status.load_balancer.optional("status.loadBalancer")?.unwrap_or_default();
    for entry in elements(balancer.ingress, "status.loadBalancer.ingress")? {
        let field = "status.loadBalancer.ingress[].ip";
        if let Some(text) = entry.ip.optional(field)?.filter(|text| !text.is_empty()) {
            service.claim(address(&text, field)?, Role::Service);
        }
    }
    take_ports(&mut service.holdings, elements(spec.ports, "spec.ports")?)?;
    Ok(service)
}

/// Ports at its own addresses, and those on which every node takes connections for it: the `nodePort`s.
fn take_ports(holdings: &mut Holdings, listed: Vec<ServicePort>) -> Result<(), ObjectError> {
    let mut ports = Vec::with_capacity(listed.len());
    for port in listed {
        let protocol = port
            .protocol
            .optional("spec.ports[].protocol")?
            .map_or(Ok(Protocol::Tcp), |text| protocol(text, "spec.ports[].protocol"))?;
        let name = port.name.optional("spec.ports[].name")?.unwrap_or_default().into();
        if let Some(number) = port.port.optional("spec.ports[].port")? {
            ports.push(Port { name, number, protocol });
        }
        let node_port = port.node_port.optional("spec.ports[].nodePort")?.unwrap_or_default();
        let node_port = NodePort { port: node_port, protocol };
        if node_port.port != 0 && !holdings.node_ports.contains(&node_port) {
            holdings.node_ports.push(node_port);
        }
    }
    holdings.ports = ports.into();
    Ok(())
}
