//! Kubernetes JSON or YAML in, validated [`Object`]s out.
//!
//! [`Manifest`] reads an object of any resource, keeping only the fields that names need; reading it never fails on a field
//! of the wrong type, so that one odd object cannot spoil the page it came in. [`Object::read`] refuses the odd object, with
//! the name of the field.
//!
//! Each resource has a file here: how the API server has it, what is read of it, what it claims. This file lists them.

mod error;
mod field;
mod value;
mod role;
mod metadata;
mod object;
mod workload;

mod pod;
mod service;
mod node;
mod service_cidr;
mod endpoint_slice;

use std::fmt;

use serde::Deserialize;

pub use error::ObjectError;
pub use field::Field;
pub use metadata::{Meta, Uid};
pub use object::{Endpoint, Holdings, Object, Slice};
pub use role::Role;

use field::object_shape;
use metadata::{Metadata, OwnerReference};

/// The resources that the controller watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// `v1/pods`
    Pods,
    /// `v1/services`
    Services,
    /// `v1/nodes`
    Nodes,
    /// `networking.k8s.io/v1/servicecidrs`
    ServiceCidrs,
    /// `discovery.k8s.io/v1/endpointslices`
    EndpointSlices,
}

/// How the API server has a resource.
#[derive(Debug)]
pub struct Definition {
    /// The `kind` of one object.
    pub kind: &'static str,
    /// As in a path of the API server.
    pub plural: &'static str,
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The versions in which servers may have it, the best one first.
    pub versions: &'static [&'static str],
    /// Field selector of lists and watches; empty for all objects.
    pub selector: &'static str,
    /// Many clusters do not have it, and names are complete without it.
    pub optional: bool,
    /// Validates an object of it.
    read: fn(Manifest) -> Result<Object, ObjectError>,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pods, Self::Services, Self::Nodes, Self::ServiceCidrs, Self::EndpointSlices];

    /// How the API server has it.
    pub const fn definition(self) -> &'static Definition {
        match self {
            Self::Pods => &pod::DEFINITION,
            Self::Services => &service::DEFINITION,
            Self::Nodes => &node::DEFINITION,
            Self::ServiceCidrs => &service_cidr::DEFINITION,
            Self::EndpointSlices => &endpoint_slice::DEFINITION,
        }
    }

    /// The resource whose objects are of `kind`.
    pub fn of_kind(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.definition().kind == kind)
    }
}

/// The plural.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.definition().plural)
    }
}

impl Object {
    /// Validates `manifest` as an object of `resource`.
    pub fn read(resource: Resource, manifest: Manifest) -> Result<Self, ObjectError> {
        (resource.definition().read)(manifest)
    }
}

/// An object as it arrives.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// `kind`; absent from the items of a list that the API server answers.
    pub kind: Field<String>,
    metadata: Field<Metadata>,
    spec: Field<Spec>,
    status: Field<Status>,
    // An EndpointSlice has neither, and keeps its content beside them.
    slice: SliceContent,
    /// `items` of a list; absent from everything else.
    pub items: Field<Vec<Field<Manifest>>>,
}

/// What is read of `spec`, as Kubernetes spells it (`k8s.io/api/core/v1`, `k8s.io/api/networking/v1`). One shape for all
/// resources: a field of another one is absent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    // Pod
    node_name: Field<String>,
    host_network: Field<bool>,
    // Service
    r#type: Field<String>,
    #[serde(rename = "clusterIP")]
    cluster_ip: Field<String>,
    #[serde(rename = "clusterIPs")]
    cluster_ips: Field<Vec<Field<String>>>,
    #[serde(rename = "externalIPs")]
    external_ips: Field<Vec<Field<String>>>,
    ports: Field<Vec<Field<service::ServicePort>>>,
    // Node
    #[serde(rename = "podCIDR")]
    pod_cidr: Field<String>,
    #[serde(rename = "podCIDRs")]
    pod_cidrs: Field<Vec<Field<String>>>,
    // ServiceCIDR
    cidrs: Field<Vec<Field<String>>>,
}

/// What is read of `status`, likewise.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    // Pod
    phase: Field<String>,
    start_time: Field<String>,
    #[serde(rename = "podIP")]
    pod_ip: Field<String>,
    #[serde(rename = "podIPs")]
    pod_ips: Field<Vec<Field<pod::PodIp>>>,
    // Service
    load_balancer: Field<service::LoadBalancer>,
    // Node
    addresses: Field<Vec<Field<node::NodeAddress>>>,
}

/// What is read of an `EndpointSlice` (`k8s.io/api/discovery/v1`).
#[derive(Clone, Debug, Default)]
struct SliceContent {
    address_type: Field<String>,
    endpoints: Field<Vec<Field<endpoint_slice::SliceEndpoint>>>,
    ports: Field<Vec<Field<service::ServicePort>>>,
}

object_shape!(Manifest, Spec, Status);

impl Manifest {
    /// `namespace/name`, `name`, or what can be said instead, for messages.
    pub fn title(&self) -> String {
        self.metadata.present().map_or_else(|| Metadata::default().title(), Metadata::title)
    }

    /// The identity that a valid object of `resource` with this metadata has; `None` without a name.
    pub fn uid(&self, resource: Resource) -> Option<Uid> {
        self.metadata.present()?.uid(resource.definition().kind)
    }

    /// Whether it has a `metadata` at all, of whatever type.
    pub fn has_metadata(&self) -> bool {
        !matches!(self.metadata, Field::Absent)
    }

    /// `metadata.resourceVersion`.
    pub fn resource_version(&self) -> Option<&str> {
        self.metadata.present()?.resource_version.present().map(String::as_str)
    }

    fn open(self, definition: &Definition) -> Result<Opened, ObjectError> {
        let mut metadata = self.metadata.optional("metadata")?.unwrap_or_default();
        let owners = std::mem::take(&mut metadata.owner_references);
        let meta = Meta::read(metadata, definition.kind)?;
        let spec = self.spec.optional("spec")?.unwrap_or_default();
        let status = self.status.optional("status")?.unwrap_or_default();
        Ok(Opened { meta, owners, spec, status, slice: self.slice })
    }
}

/// A manifest with its metadata validated, and parts that are yet to be.
struct Opened {
    meta: Meta,
    owners: Field<Vec<Field<OwnerReference>>>,
    spec: Spec,
    status: Status,
    slice: SliceContent,
}

/// Reads any JSON value; what is not an object has no field at all.
impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        #[derive(Default)]
        struct Raw {
            kind: Field<String>,
            metadata: Field<Metadata>,
            spec: Field<Spec>,
            status: Field<Status>,
            address_type: Field<String>,
            endpoints: Field<Vec<Field<endpoint_slice::SliceEndpoint>>>,
            ports: Field<Vec<Field<service::ServicePort>>>,
            items: Field<Vec<Field<Manifest>>>,
        }
        object_shape!(Raw);
        Ok(match Field::<Raw>::deserialize(deserializer)? {
            Field::Present(Raw { kind, metadata, spec, status, address_type, endpoints, ports, items }) => {
                let slice = SliceContent { address_type, endpoints, ports };
                Self { kind, metadata, spec, status, slice, items }
            }
            Field::Absent => Self::default(),
            Field::WrongType => Self { metadata: Field::WrongType, ..Self::default() },
        })
    }
}
