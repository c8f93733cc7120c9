//! `ServiceCIDR`s: the ranges that the API server takes services' cluster addresses from (Kubernetes 1.31 and later).

use ipnet::IpNet;

use super::manifest::Manifest;
use super::{Meta, ObjectError, parsed, texts_of};

/// A `ServiceCIDR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceCidr {
    /// Name, labels, identity.
    pub meta: Meta,
    /// `spec.cidrs`: one range, or one of either family.
    pub ranges: Vec<IpNet>,
}

impl TryFrom<Manifest> for ServiceCidr {
    type Error = ObjectError;

    fn try_from(manifest: Manifest) -> Result<Self, ObjectError> {
        let (meta, _) = Meta::read(manifest.metadata.optional("metadata")?.unwrap_or_default(), "ServiceCIDR")?;
        let spec = manifest.spec.optional("spec")?.unwrap_or_default();
        let mut ranges = Vec::new();
        for text in texts_of(spec.cidrs, "spec.cidrs")? {
            let range = parsed::<IpNet>(&text, "spec.cidrs", "a CIDR")?.trunc();
            if !ranges.contains(&range) {
                ranges.push(range);
            }
        }
        Ok(Self { meta, ranges })
    }
}
