//! `ServiceCIDR`s: the ranges that the API server takes services' cluster addresses from. Kubernetes 1.31 and 1.32 may have
//! them as `v1beta1`, older ones have none.

use super::error::ObjectError;
use super::value::{elements, range};
use super::{Definition, Manifest, Object, Opened, Resource};

pub(super) const DEFINITION: Definition = Definition {
    kind: "ServiceCIDR",
    plural: "servicecidrs",
    group: "networking.k8s.io",
    versions: &["v1", "v1beta1"],
    selector: "",
    optional: true,
    read,
};

/// It claims no address, and holds `spec.cidrs`: one range, or one of either family.
fn read(manifest: Manifest) -> Result<Object, ObjectError> {
    let Opened { meta, spec, .. } = manifest.open(&DEFINITION)?;
    let mut cidr = Object::new(Resource::ServiceCidrs, meta);
    for text in elements(spec.cidrs, "spec.cidrs")? {
        let range = range(&text, "spec.cidrs")?;
        if !cidr.holdings.services.contains(&range) {
            cidr.holdings.services.push(range);
        }
    }
    Ok(cidr)
}
