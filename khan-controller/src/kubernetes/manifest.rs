//! The fields that names need, as Kubernetes spells them (`k8s.io/api/core/v1`, `k8s.io/api/networking/v1`). One shape for
//! all kinds: a field of another kind is absent.

use serde::Deserialize;

use super::field::{Field, Labels, object_shape};
use super::{Resource, Uid};

/// An object as it arrives.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// `kind`; absent from the items of a list that the API server answers.
    pub kind: Field<String>,
    pub(super) metadata: Field<Metadata>,
    pub(super) spec: Field<Spec>,
    pub(super) status: Field<Status>,
    /// `items` of a list; absent from everything else.
    pub items: Field<Vec<Field<Manifest>>>,
}

impl Manifest {
    /// `namespace/name`, `name`, or what can be said instead, for messages.
    pub fn title(&self) -> String {
        let metadata = self.metadata.present();
        let text = |field: fn(&Metadata) -> &Field<String>| metadata.and_then(|metadata| field(metadata).present());
        match (text(|metadata| &metadata.namespace), text(|metadata| &metadata.name)) {
            (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
            (None, Some(name)) => name.clone(),
            (_, None) => "without a name".into(),
        }
    }

    /// The identity that a valid object of `resource` with this metadata has; `None` without a name.
    pub fn uid(&self, resource: Resource) -> Option<Uid> {
        let metadata = self.metadata.present()?;
        let text = |field: &Field<String>| field.present().cloned().unwrap_or_default();
        let name = metadata.name.present()?;
        Some(Uid::new(&text(&metadata.uid), &[resource.kind(), &text(&metadata.namespace), name]))
    }

    /// Whether it has a `metadata` at all, of whatever type.
    pub fn has_metadata(&self) -> bool {
        !matches!(self.metadata, Field::Absent)
    }

    /// `metadata.resourceVersion`.
    pub fn resource_version(&self) -> Option<&str> {
        self.metadata.present()?.resource_version.present().map(String::as_str)
    }
}

/// Reads any JSON value; what is not an object has no field at all.
impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(default)]
        #[derive(Default)]
        struct Raw {
            kind: Field<String>,
            metadata: Field<Metadata>,
            spec: Field<Spec>,
            status: Field<Status>,
            items: Field<Vec<Field<Manifest>>>,
        }
        object_shape!(Raw);
        Ok(match Field::<Raw>::deserialize(deserializer)? {
            Field::Present(Raw { kind, metadata, spec, status, items }) => Self { kind, metadata, spec, status, items },
            Field::Absent => Self::default(),
            Field::WrongType => Self { metadata: Field::WrongType, ..Self::default() },
        })
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) name: Field<String>,
    pub(super) namespace: Field<String>,
    pub(super) uid: Field<String>,
    pub(super) resource_version: Field<String>,
    pub(super) creation_timestamp: Field<String>,
    pub(super) labels: Field<Labels>,
    pub(super) owner_references: Field<Vec<Field<OwnerReference>>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OwnerReference {
    pub(super) kind: Field<String>,
    pub(super) name: Field<String>,
    pub(super) controller: Field<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Spec {
    // Pod
    pub(super) node_name: Field<String>,
    pub(super) host_network: Field<bool>,
    // Service
    pub(super) r#type: Field<String>,
    #[serde(rename = "clusterIP")]
    pub(super) cluster_ip: Field<String>,
    #[serde(rename = "clusterIPs")]
    pub(super) cluster_ips: Field<Vec<Field<String>>>,
    #[serde(rename = "externalIPs")]
    pub(super) external_ips: Field<Vec<Field<String>>>,
    pub(super) ports: Field<Vec<Field<ServicePort>>>,
    // ServiceCIDR
    pub(super) cidrs: Field<Vec<Field<String>>>,
    // Node
    #[serde(rename = "podCIDR")]
    pub(super) pod_cidr: Field<String>,
    #[serde(rename = "podCIDRs")]
    pub(super) pod_cidrs: Field<Vec<Field<String>>>,
}

/// An element of a service's `ports`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ServicePort {
    pub(super) node_port: Field<u16>,
    pub(super) protocol: Field<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Status {
    // Pod
    pub(super) phase: Field<String>,
    pub(super) start_time: Field<String>,
    #[serde(rename = "podIP")]
    pub(super) pod_ip: Field<String>,
    #[serde(rename = "podIPs")]
    pub(super) pod_ips: Field<Vec<Field<IpEntry>>>,
    // Service
    pub(super) load_balancer: Field<LoadBalancer>,
    // Node
    pub(super) addresses: Field<Vec<Field<NodeAddress>>>,
}

/// An element of `podIPs` or of a load balancer's `ingress`, which may have a host name instead.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct IpEntry {
    pub(super) ip: Field<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LoadBalancer {
    pub(super) ingress: Field<Vec<Field<IpEntry>>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeAddress {
    pub(super) r#type: Field<String>,
    pub(super) address: Field<String>,
}

object_shape!(Manifest, Metadata, OwnerReference, Spec, ServicePort, Status, IpEntry, LoadBalancer, NodeAddress);
