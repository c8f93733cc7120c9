//! Who an address belongs to.

use std::fmt;
use std::str::FromStr;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::text::{Label, Name};
use crate::time::Timestamp;

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
    /// Inside the cluster's ranges, but nobody known has it now. Also what a newer, unheard-of type reads as.
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

/// The owner of an address. Strings are empty where nothing applies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// What the address is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Namespace of the pod or service.
    pub ns: Label,
    /// The first of the controller's `--app-labels` that the object sets.
    pub app: Label,
    /// The controller behind a pod: its Deployment, StatefulSet, DaemonSet, Job or CronJob; a bare pod's own name.
    pub workload: Name,
    /// The object's name; for `external` the operator's name of the longest matching CIDR.
    pub name: Name,
    /// The node the address lives on: a pod's, a node itself, the node of a pod range. Empty for services and externals.
    pub node: Name,
    /// When the present owner got the address, as far as the controller knows.
    #[serde(with = "empty_or_time")]
    pub since: Option<Timestamp>,
    /// Who had the address before, latest first.
    #[serde(deserialize_with = "latest_previous")]
    pub previous: Vec<PreviousOwner>,
}

/// Most previous owners of one address that a reader takes, twice as many as the controller remembers.
const MOST_PREVIOUS: usize = 16;

fn latest_previous<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PreviousOwner>, D::Error> {
    struct Latest;
    impl<'de> Visitor<'de> for Latest {
        type Value = Vec<PreviousOwner>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("previous owners")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut owners: A) -> Result<Self::Value, A::Error> {
            let mut latest = Vec::new();
            while latest.len() < MOST_PREVIOUS {
                let Some(owner) = owners.next_element()? else { return Ok(latest) };
                latest.push(owner);
            }
            while owners.next_element::<IgnoredAny>()?.is_some() {}
            Ok(latest)
        }
    }
    deserializer.deserialize_seq(Latest)
}

/// Who had an address before its present owner, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PreviousOwner {
    /// As in [`Identity`].
    #[serde(rename = "type")]
    pub kind: Kind,
    /// As in [`Identity`].
    pub ns: Label,
    /// As in [`Identity`].
    pub app: Label,
    /// As in [`Identity`].
    pub workload: Name,
    /// As in [`Identity`].
    pub name: Name,
    /// As in [`Identity`].
    pub node: Name,
    /// When this owner got the address.
    #[serde(with = "empty_or_time")]
    pub since: Option<Timestamp>,
    /// When it lost it.
    #[serde(with = "empty_or_time")]
    pub until: Option<Timestamp>,
}

/// A time that is an empty string when it is not known, so that the field is always a string.
mod empty_or_time {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use crate::time::Timestamp;

    #[expect(clippy::ref_option, reason = "serde hands fields by reference")]
    pub(super) fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => time.serialize(serializer),
            None => serializer.serialize_str(""),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        match Option::<Cow<'de, str>>::deserialize(deserializer)?.as_deref() {
            None | Some("") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = r#"{"type":"pod","ns":"shop","app":"web","workload":"web","name":"web-6d4cf56db6-abcde","node":"n1","since":"2026-11-22T10:00:00Z","previous":[]}"#;

    #[test]
    fn the_wire_form_is_the_documented_one() {
        let identity: Identity = serde_json::from_str(POD).unwrap();
        assert_eq!(identity.since, Some("2026-11-22T10:00:00Z".parse().unwrap()));
        assert_eq!(serde_json::to_string(&identity).unwrap(), POD);
    }

    #[test]
    fn missing_and_unknown_fields_do_not_stop_a_reader() {
        let identity: Identity = serde_json::from_str(r#"{"type":"quasar","colour":"blue","since":""}"#).unwrap();
        assert_eq!(identity, Identity::default());
        assert!(serde_json::to_string(&identity).unwrap().contains(r#""since":"""#));
    }

    #[test]
    fn a_reader_takes_no_more_previous_owners_than_it_could_show() {
        let many = format!(r#"{{"name":"web","previous":[{}{{}}]}}"#, r#"{"name":"old"},"#.repeat(100_000));
        let identity: Identity = serde_json::from_str(&many).unwrap();
        assert_eq!((identity.name.as_str(), identity.previous.len()), ("web", MOST_PREVIOUS));
    }

    #[test]
    fn every_kind_reads_its_own_name() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("Pod".parse::<Kind>(), Err(ParseKindError));
    }
}
