//! `metadata`, which all resources have.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::LazyLock;

use khan_api::Timestamp;
use serde::Deserialize;

use super::error::ObjectError;
use super::field::{Field, Labels, object_shape};
use super::value::{elements, time};

/// As it arrives.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) name: Field<String>,
    pub(super) namespace: Field<String>,
    pub(super) uid: Field<String>,
    pub(super) resource_version: Field<String>,
    creation_timestamp: Field<String>,
    labels: Field<Labels>,
    annotations: Field<Annotations>,
    pub(super) owner_references: Field<Vec<Field<OwnerReference>>>,
}

/// Of `metadata.annotations`, which may be as large as the object itself, what is read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Annotations {
    #[serde(rename = "khan/max-connections")]
    max_connections: Field<NonZeroU32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OwnerReference {
    pub(super) kind: Field<String>,
    pub(super) name: Field<String>,
    pub(super) controller: Field<bool>,
}

object_shape!(Metadata, Annotations, OwnerReference);

impl Metadata {
    /// The identity that a valid object of `kind` with this metadata has; `None` without a name.
    pub(super) fn uid(&self, kind: &str) -> Option<Uid> {
        let text = |field: &Field<String>| field.present().cloned().unwrap_or_default();
        let name = self.name.present()?;
        Some(Uid::new(&text(&self.uid), &[kind, &text(&self.namespace), name]))
    }

    /// `namespace/name`, `name`, or what can be said instead, for messages.
    pub(super) fn title(&self) -> String {
        match (self.namespace.present(), self.name.present()) {
            (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
            (None, Some(name)) => name.clone(),
            (_, None) => "without a name".into(),
        }
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

/// Validated metadata.
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
    /// The annotation `khan/max-connections`: how many connections it can take. An odd value spoils nothing else.
    pub limit: Field<NonZeroU32>,
}

impl Meta {
    /// Of an object of `kind`.
    pub(super) fn read(metadata: Metadata, kind: &str) -> Result<Self, ObjectError> {
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
        let limit = match metadata.annotations {
            Field::Present(annotations) => annotations.max_connections,
            Field::Absent | Field::WrongType => Field::Absent,
        };
        let uid = Uid::new(&uid, &[kind, &namespace, &name]);
        Ok(Self { uid, namespace, name, created, labels, limit })
    }

    /// The value of a label; empty when it is not set.
    pub fn label(&self, key: &str) -> &str {
        self.labels.iter().find(|(label, _)| label == key).map_or("", |(_, value)| value)
    }
}

/// The elements of `metadata.ownerReferences`.
pub(super) fn owners(references: Field<Vec<Field<OwnerReference>>>) -> Result<Vec<OwnerReference>, ObjectError> {
    elements(references, "metadata.ownerReferences")
}
