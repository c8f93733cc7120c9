//! Nodes.

use std::net::IpAddr;

use khan_api::Cidr;
use serde::Deserialize;

use super::error::ObjectError;
use super::field::{Field, object_shape};
use super::value::{elements, range};
use super::{Definition, Manifest, Object, Opened, Resource, Role};

pub(super) const DEFINITION: Definition =
    Definition { kind: "Node", plural: "nodes", group: "", versions: &["v1"], selector: "", optional: false, read };

/// An element of `status.addresses`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeAddress {
    r#type: Field<String>,
    address: Field<String>,
}

object_shape!(NodeAddress);

/// A node claims every entry of `status.addresses` that is an address (the others are host names), and the network and
/// gateway addresses of its pod ranges, which it holds.
fn read(manifest: Manifest) -> Result<Object, ObjectError> {
    let Opened { meta, spec, status, .. } = manifest.open(&DEFINITION)?;
    let mut node = Object::new(Resource::Nodes, meta);
    node.node.clone_from(&node.meta.name);
    // They name no app.
    node.meta.labels.clear();
    for entry in elements(status.addresses, "status.addresses")? {
        let text = entry.address.optional("status.addresses[].address")?.unwrap_or_default();
        let r#type = entry.r#type.optional("status.addresses[].type")?.unwrap_or_default();
        match (text.parse::<IpAddr>(), r#type.as_str()) {
            (Ok(ip), _) => {
                node.claim(ip.to_canonical(), Role::Node);
            }
            (Err(_), "InternalIP" | "ExternalIP") => {
                let field = "status.addresses[].address";
                return Err(ObjectError::Malformed { field, text, expected: "an IP address" });
            }
            (Err(_), _) => {}
        }
    }
    let mut texts = Vec::from_iter(spec.pod_cidr.optional("spec.podCIDR")?);
    texts.extend(elements(spec.pod_cidrs, "spec.podCIDRs")?);
    for text in texts.iter().filter(|text| !text.is_empty()) {
        let range = range(text, "spec.podCIDRs")?;
        if node.holdings.pods.contains(&range) {
            continue;
        }
        node.holdings.pods.push(range);
        node.claim(range.network(), Role::Network);
        if let Some(ip) = gateway(range) {
            node.claim(ip, Role::Gateway);
        }
    }
    Ok(node)
}

/// The first address after the network address; a range of one address (/32, /128) has none.
fn gateway(range: Cidr) -> Option<IpAddr> {
    if range.single().is_some() {
        return None;
    }
    Some(match range.network() {
        IpAddr::V4(ip) => IpAddr::V4((u32::from(ip) + 1).into()),
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) + 1).into()),
    })
}
