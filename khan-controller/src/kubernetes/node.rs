//! Nodes.

use std::net::IpAddr;

use ipnet::IpNet;

use super::manifest::Manifest;
use super::{Meta, ObjectError, parsed, texts_of};

/// A node, as far as its addresses, its pod ranges and its name matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Name, labels, identity.
    pub meta: Meta,
    /// Every entry of `status.addresses` that is an address; the others are host names.
    pub addresses: Vec<IpAddr>,
    /// `spec.podCIDRs`.
    pub ranges: Vec<PodRange>,
}

/// A range from which a node's pods get their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodRange(IpNet);

impl PodRange {
    /// The range, with the host bits cleared.
    pub fn new(range: IpNet) -> Self {
        Self(range.trunc())
    }

    /// As a prefix.
    pub const fn prefix(self) -> IpNet {
        self.0
    }

    /// The network address.
    pub fn network(self) -> IpAddr {
        self.0.network()
    }

    /// The first address after the network address; a range of one address (/32, /128) has none.
    pub fn gateway(self) -> Option<IpAddr> {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            return None;
        }
        Some(match self.0.network() {
            IpAddr::V4(ip) => IpAddr::V4((u32::from(ip) + 1).into()),
            IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) + 1).into()),
        })
    }
}

impl TryFrom<Manifest> for Node {
    type Error = ObjectError;

    fn try_from(manifest: Manifest) -> Result<Self, ObjectError> {
        let (meta, _) = Meta::read(manifest.metadata.optional("metadata")?.unwrap_or_default(), "Node")?;
        let spec = manifest.spec.optional("spec")?.unwrap_or_default();
        let status = manifest.status.optional("status")?.unwrap_or_default();
        let mut addresses: Vec<IpAddr> = Vec::new();
        for entry in texts_of(status.addresses, "status.addresses")? {
            let text = entry.address.optional("status.addresses[].address")?.unwrap_or_default();
            let r#type = entry.r#type.optional("status.addresses[].type")?.unwrap_or_default();
            let ip = match (text.parse::<IpAddr>(), r#type.as_str()) {
                (Ok(ip), _) => ip.to_canonical(),
                (Err(_), "InternalIP" | "ExternalIP") => {
                    let field = "status.addresses[].address";
                    return Err(ObjectError::Malformed { field, text, expected: "an IP address" });
                }
                (Err(_), _) => continue,
            };
            if !addresses.contains(&ip) {
                addresses.push(ip);
            }
        }
        let mut texts = Vec::from_iter(spec.pod_cidr.optional("spec.podCIDR")?);
        texts.extend(texts_of(spec.pod_cidrs, "spec.podCIDRs")?);
        let mut ranges = Vec::new();
        for text in texts.iter().filter(|text| !text.is_empty()) {
            let range = PodRange::new(parsed(text, "spec.podCIDRs", "a CIDR")?);
            if !ranges.contains(&range) {
                ranges.push(range);
            }
        }
        Ok(Self { meta, addresses, ranges })
    }
}
