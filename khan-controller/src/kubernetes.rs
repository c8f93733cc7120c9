//! Kubernetes JSON or YAML in, validated [`Pod`]s, [`Service`]s, [`Node`]s and [`ServiceCidr`]s out.
//!
//! [`Manifest`] reads any object of these kinds, keeping only the fields that names need; reading it never fails on a
//! field of the wrong type, so that one odd object cannot spoil the page it came in. The odd object is refused by the
//! conversion into a typed one, with the name of the field.

mod field;
mod manifest;
mod node;
mod role;
mod service;
mod service_cidr;
mod workload;
mod pod;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use khan_api::Timestamp;

pub use field::Field;
pub use manifest::Manifest;
pub use node::{Node, PodRange};
pub use pod::Pod;
pub use role::Role;
pub use service::Service;
pub use service_cidr::ServiceCidr;

use manifest::{Metadata, OwnerReference};

/// The resources that the controller watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// `v1/pods`
    Pods,
    /// `v1/services`
    Services,
    /// `v1/nodes`
    Nodes,
    /// `networking.k8s.io/v1/servicecidrs`; Kubernetes 1.31 and 1.32 may have them as `v1beta1`, older ones have none.
    ServiceCidrs,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pods, Self::Services, Self::Nodes, Self::ServiceCidrs];

    /// The plural, as in a path of the API server.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::Services => "services",
            Self::Nodes => "nodes",
            Self::ServiceCidrs => "servicecidrs",
        }
    }

    /// The `kind` of one object.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Pods => "Pod",
            Self::Services => "Service",
            Self::Nodes => "Node",
            Self::ServiceCidrs => "ServiceCIDR",
        }
    }

    /// The API group; empty for the core group.
    pub const fn group(self) -> &'static str {
        match self {
            Self::Pods | Self::Services | Self::Nodes => "",
            Self::ServiceCidrs => "networking.k8s.io",
        }
    }

    /// The versions in which servers may have it, the best one first.
    pub const fn versions(self) -> &'static [&'static str] {
        match self {
            Self::Pods | Self::Services | Self::Nodes => &["v1"],
            Self::ServiceCidrs => &["v1", "v1beta1"],
        }
    }

    /// Whether many clusters do not have it, and names are complete without it.
    pub const fn is_optional(self) -> bool {
        matches!(self, Self::ServiceCidrs)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why an object is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// A field that every object has is absent or empty.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field holds another type of value than Kubernetes defines.
    #[error("{field} is not {expected}")]
    WrongType {
        /// Path of the field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A field that holds an address or a range holds something else.
    #[error("{field} is {text:?}, which is not {expected}")]
    Malformed {
        /// Path of the field.
        field: &'static str,
        /// What stands there.
        text: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// One validated object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A pod.
    Pod(Pod),
    /// A service.
    Service(Service),
    /// A node.
    Node(Node),
    /// A range of services.
    ServiceCidr(ServiceCidr),
}

impl Object {
    /// Validates `manifest` as an object of `resource`.
    pub fn read(resource: Resource, manifest: Manifest) -> Result<Self, ObjectError> {
        Ok(match resource {
            Resource::Pods => Self::Pod(manifest.try_into()?),
            Resource::Services => Self::Service(manifest.try_into()?),
            Resource::Nodes => Self::Node(manifest.try_into()?),
            Resource::ServiceCidrs => Self::ServiceCidr(manifest.try_into()?),
        })
    }
}

/// Identifies one life of an object: an object that is deleted and made again under its name has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid([u8; 16]);

impl Uid {
    /// `metadata.uid` where there is one, else `identity`, which is then the best there is.
    fn new(uid: &str, identity: &[&str]) -> Self {
        // Real ones are UUIDs. Others are hashed with keys that nobody outside this process can aim at.
        static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(|| [RandomState::new(), RandomState::new()]);
        parse_uuid(uid).map_or_else(
            || {
                let [a, b] = if uid.is_empty() {
                    KEYS.each_ref().map(|key| key.hash_one(identity))
                } else {
                    KEYS.each_ref().map(|key| key.hash_one(uid))
                };
                Self((u128::from(a) << 64 | u128::from(b)).to_be_bytes())
            },
            |number| Self(number.to_be_bytes()),
        )
    }
}

fn parse_uuid(text: &str) -> Option<u128> {
    let bytes: &[u8; 36] = text.as_bytes().try_into().ok()?;
    bytes.iter().enumerate().try_fold(0, |number, (position, byte)| match position {
        8 | 13 | 18 | 23 => (*byte == b'-').then_some(number),
        _ => char::from(*byte).to_digit(16).map(|digit| number << 4 | u128::from(digit)),
    })
}

/// What all kinds have: `metadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Identity of this life of the object.
    pub uid: Uid,
    /// Empty for what belongs to no namespace.
    pub namespace: String,
    /// Unique in its namespace and kind.
    pub name: String,
    /// `metadata.creationTimestamp`.
    pub created: Option<Timestamp>,
    /// `metadata.labels`, in the order of the manifest.
    pub labels: Vec<(String, String)>,
}

impl Meta {
    fn read(metadata: Metadata, kind: &'static str) -> Result<(Self, Vec<OwnerReference>), ObjectError> {
        let name = metadata.name.optional("metadata.name")?.unwrap_or_default();
        if name.is_empty() {
            return Err(ObjectError::Missing("metadata.name"));
        }
        let namespace = metadata.namespace.optional("metadata.namespace")?.unwrap_or_default();
        let uid = metadata.uid.optional("metadata.uid")?.unwrap_or_default();
        let created = time(metadata.creation_timestamp, "metadata.creationTimestamp")?;
        let mut labels = Vec::new();
        for (key, value) in metadata.labels.optional("metadata.labels")?.unwrap_or_default().0 {
            labels.push((key, value.optional("metadata.labels")?.unwrap_or_default()));
        }
        let owners = texts_of(metadata.owner_references, "metadata.ownerReferences")?;
        let uid = Uid::new(&uid, &[kind, &namespace, &name]);
        Ok((Self { uid, namespace, name, created, labels }, owners))
    }

    /// The value of a label; empty when it is not set.
    pub fn label(&self, key: &str) -> &str {
        self.labels.iter().find(|(label, _)| label == key).map_or("", |(_, value)| value)
    }
}

fn time(field: Field<String>, name: &'static str) -> Result<Option<Timestamp>, ObjectError> {
    let Some(text) = field.optional(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.parse() {
        Ok(time) => Ok(Some(time)),
        Err(_) => Err(ObjectError::Malformed { field: name, text, expected: "an RFC 3339 time" }),
    }
}

fn parsed<T: std::str::FromStr>(text: &str, field: &'static str, expected: &'static str) -> Result<T, ObjectError> {
    text.parse().map_err(|_| ObjectError::Malformed { field, text: text.into(), expected })
}

fn address(text: &str, field: &'static str) -> Result<std::net::IpAddr, ObjectError> {
    parsed::<std::net::IpAddr>(text, field, "an IP address").map(|ip| ip.to_canonical())
}

/// The elements of a list; absent is empty.
fn texts_of<T>(list: Field<Vec<Field<T>>>, name: &'static str) -> Result<Vec<T>, ObjectError>
where
    T: for<'de> field::Shape<'de>,
{
    let mut elements = Vec::new();
    for element in list.optional(name)?.unwrap_or_default() {
        elements.extend(element.optional(name)?);
    }
    Ok(elements)
}
