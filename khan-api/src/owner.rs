//! Who has an address: one type for every part of Khan, whatever holds its texts.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::text::{Label, Name};

/// What an address is; the value of the labels `src_type` and `dst_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A pod's own address. Pods on the host network have none: theirs is the node's.
    Pod,
    /// A service's cluster, external or load-balancer address.
    Service,
    /// Any address of a node.
    Node,
    /// The network address of a node's pod range, which flannel gives to its overlay interface.
    Network,
    /// The first address of a node's pod range, which bridges give to themselves.
    Gateway,
    /// Outside every range that the cluster uses.
    External,
    /// Inside the cluster's ranges, but without a known owner. A kind that only newer versions know also reads as this.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Kind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 7] =
        [Self::Pod, Self::Service, Self::Node, Self::Network, Self::Gateway, Self::External, Self::Unknown];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Service => "service",
            Self::Node => "node",
            Self::Network => "network",
            Self::Gateway => "gateway",
            Self::External => "external",
            Self::Unknown => "unknown",
        }
    }

    /// Whether an object of the cluster has the address.
    pub const fn is_object(self) -> bool {
        !matches!(self, Self::External | Self::Unknown)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no [`Kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseKindError;

impl fmt::Display for ParseKindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not one of pod, service, node, network, gateway, external, unknown")
    }
}

impl std::error::Error for ParseKindError {}

impl FromStr for Kind {
    type Err = ParseKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(ParseKindError)
    }
}

/// Who has an address. Texts are empty where nothing applies.
///
/// `L` holds what Kubernetes bounds like a label, `N` what it bounds like a name. Programs choose what suits them: the
/// default when they decode a peer's JSON, `Arc<str>` to share texts, [`OwnerRef`] to look at an owner held by something else.
///
/// ```
/// use khan_api::{Kind, Owner};
/// let web: Owner = Owner { kind: Kind::Pod, ns: "shop".into(), name: "web-0".into(), ..Owner::default() };
/// let lengths = web.as_deref().map(str::len);
/// assert_eq!((lengths.ns, lengths.app, lengths.name), (4, 0, 5));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Owner<L = Label, N = Name> {
    /// What the address is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Namespace of the pod or service.
    pub ns: L,
    /// The first of the controller's `--app-labels` that the object sets.
    pub app: L,
    /// The controller behind a pod: its Deployment, StatefulSet, DaemonSet, Job or CronJob; a bare pod's own name.
    pub workload: N,
    /// The object's name; for `external` the operator's name of the longest matching CIDR.
    pub name: N,
    /// The node the address lives on: a pod's, a node itself, the node of a pod range. Empty for services and externals.
    pub node: N,
}

/// An owner whose texts stand elsewhere.
pub type OwnerRef<'a> = Owner<&'a str, &'a str>;

impl<L: Deref<Target = str>, N: Deref<Target = str>> Owner<L, N> {
    /// The same owner with borrowed texts.
    pub fn as_deref(&self) -> OwnerRef<'_> {
        Owner {
            kind: self.kind,
            ns: &self.ns,
            app: &self.app,
            workload: &self.workload,
            name: &self.name,
            node: &self.node,
        }
    }

    /// Namespace, app, workload, name and node.
    pub fn texts(&self) -> [&str; 5] {
        [&self.ns, &self.app, &self.workload, &self.name, &self.node]
    }
}

impl<T> Owner<T, T> {
    /// The same owner with other texts, made in the order of the fields.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Owner<U, U> {
        Owner {
            kind: self.kind,
            ns: f(self.ns),
            app: f(self.app),
            workload: f(self.workload),
            name: f(self.name),
            node: f(self.node),
        }
    }
}

impl From<OwnerRef<'_>> for Owner {
    fn from(owner: OwnerRef<'_>) -> Self {
        let Owner { kind, ns, app, workload, name, node } = owner;
        Self { kind, ns: ns.into(), app: app.into(), workload: workload.into(), name: name.into(), node: node.into() }
    }
}

/// Writes an owner without its empty texts: for lists that hold very many.
pub(crate) fn sparse<L, N, S>(owner: &Owner<L, N>, serializer: S) -> Result<S::Ok, S::Error>
where
    L: Deref<Target = str>,
    N: Deref<Target = str>,
    S: Serializer,
{
    let mut object = serializer.serialize_map(None)?;
    object.serialize_entry("type", &owner.kind)?;
    for (name, text) in ["ns", "app", "workload", "name", "node"].into_iter().zip(owner.texts()) {
        if !text.is_empty() {
            object.serialize_entry(name, text)?;
        }
    }
    object.end()
}

/// Implements `Deserialize` for a struct with a field `owner`, whose fields stand among the struct's own on the wire.
///
/// serde's `flatten` would hold a peer's whole object, names of any length included, before the first field becomes a bounded
/// text. Writing has no such cost, so the structs are serialised with `flatten`.
macro_rules! read_flat {
    ($name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* }) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(serde::Deserialize)]
                struct $name {
                    #[serde(rename = "type", default)]
                    kind: $crate::Kind,
                    #[serde(default)]
                    ns: $crate::Label,
                    #[serde(default)]
                    app: $crate::Label,
                    #[serde(default)]
                    workload: $crate::Name,
                    #[serde(default)]
                    name: $crate::Name,
                    #[serde(default)]
                    node: $crate::Name,
                    $($(#[$attribute])* $field: $type,)*
                }
                let $name { kind, ns, app, workload, name, node, $($field),* } = $name::deserialize(deserializer)?;
                Ok(Self { owner: $crate::Owner { kind, ns, app, workload, name, node }, $($field),* })
            }
        }
    };
}

pub(crate) use read_flat;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn every_kind_reads_its_own_name() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("Pod".parse::<Kind>(), Err(ParseKindError));
    }

    #[test]
    fn every_text_stays_in_its_field() {
        let owner = Owner { kind: Kind::Pod, ns: "shop", app: "web", workload: "web-v2", name: "web-v2-x", node: "n1" };
        assert_eq!(owner.texts(), ["shop", "web", "web-v2", "web-v2-x", "n1"]);
        let shared = owner.map(Arc::<str>::from);
        let decoded: Owner = shared.as_deref().into();
        assert_eq!((shared.as_deref(), decoded.as_deref()), (owner, owner));
    }

    #[test]
    fn an_owner_is_an_object_of_texts() {
        let owner = OwnerRef { kind: Kind::Node, name: "n1", ..OwnerRef::default() };
        let json = r#"{"type":"node","ns":"","app":"","workload":"","name":"n1","node":""}"#;
        assert_eq!(serde_json::to_string(&owner).unwrap(), json);
    }
}
