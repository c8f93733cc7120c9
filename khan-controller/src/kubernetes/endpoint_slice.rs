//! `EndpointSlice`s: which addresses answer for a service. Every Kubernetes since 1.21 has them.

use khan_api::Protocol;
use khan_api::service::{Conditions, EndpointPort};
use serde::Deserialize;

use super::error::ObjectError;
use super::field::{Field, object_shape};
use super::object::{Endpoint, Slice};
use super::value::{address, elements, protocol};
use super::{Definition, Manifest, Object, Opened, Resource};

pub(super) const DEFINITION: Definition = Definition {
    kind: "EndpointSlice",
    plural: "endpointslices",
    group: "discovery.k8s.io",
    versions: &["v1"],
    selector: "",
    optional: true,
    read,
};

/// The label that names the service.
const SERVICE: &str = "kubernetes.io/service-name";

/// An element of `endpoints`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SliceEndpoint {
    addresses: Field<Vec<Field<String>>>,
    conditions: Field<SliceConditions>,
}

/// Those that are absent read as kube-proxy reads them: ready, serving when ready, not terminating.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SliceConditions {
    ready: Field<bool>,
    serving: Field<bool>,
    terminating: Field<bool>,
}

object_shape!(SliceEndpoint, SliceConditions);

/// A slice claims no address: its endpoints belong to pods, to nodes, or to nobody. Slices of no service, and those of host names,
/// hold nothing.
fn read(manifest: Manifest) -> Result<Object, ObjectError> {
    let Opened { meta, slice, .. } = manifest.open(&DEFINITION)?;
    let mut object = Object::new(Resource::EndpointSlices, meta);
    let service = object.meta.label(SERVICE).to_owned();
    // They name no app.
    object.meta.labels.clear();
    let r#type = slice.address_type.optional("addressType")?.unwrap_or_default();
    if service.is_empty() || r#type == "FQDN" {
        return Ok(object);
    }
    let mut ports = Vec::new();
    for port in elements(slice.ports, "ports")? {
        ports.push(EndpointPort {
            name: port.name.optional("ports[].name")?.unwrap_or_default().into(),
            port: port.port.optional("ports[].port")?,
            protocol: port
                .protocol
                .optional("ports[].protocol")?
                .map_or(Ok(Protocol::Tcp), |text| protocol(text, "ports[].protocol"))?,
        });
    }
    let mut endpoints = Vec::new();
    for endpoint in elements(slice.endpoints, "endpoints")? {
        let conditions = endpoint.conditions.optional("endpoints[].conditions")?.unwrap_or_default();
        let ready = conditions.ready.optional("endpoints[].conditions.ready")?.unwrap_or(true);
        let conditions = Conditions {
            ready,
            serving: conditions.serving.optional("endpoints[].conditions.serving")?.unwrap_or(ready),
            terminating: conditions.terminating.optional("endpoints[].conditions.terminating")?.unwrap_or(false),
        };
        // Kubernetes writes exactly one, and kube-proxy reads the first.
        let Some(text) = elements(endpoint.addresses, "endpoints[].addresses")?.into_iter().next() else { continue };
        endpoints.push(Endpoint { ip: address(&text, "endpoints[].addresses")?, conditions });
    }
    // The server may list them in any order, and the same in another order is no news.
    endpoints.sort_unstable();
    endpoints.dedup_by_key(|endpoint| endpoint.ip);
    let slice = Slice { service: service.into(), ports: ports.into(), endpoints: endpoints.into() };
    object.holdings.slice = Some(Box::new(slice));
    Ok(object)
}
