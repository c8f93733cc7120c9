//! "Whose are these addresses?": what an agent asks the controller after each scan, and what it gets.
//!
//! The answer holds only what changed since the cursor among the addresses asked, and all that is known of the new ones.
//! Everything asked is answered when the cursor is null, from another epoch, or older than the controller remembers. So
//! the request carries the whole state, and any replica of the controller can answer it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::bounded;
use crate::identity::Identity;
use crate::node_port::{MAX_NODE_PORTS, NodePort, ServicePort};
use crate::time::Timestamp;

/// Most addresses in one request, `ips` and `new` together; more are refused with 413. Ask in several requests with the
/// same cursor then, and keep the smallest cursor of their answers.
pub const MAX_ADDRESSES: usize = 100_000;

/// Body of `POST /v1/resolve`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolveRequest {
    /// The cursor of the last answer that was applied; null for "tell me everything".
    #[serde(default)]
    pub cursor: Option<Cursor>,
    /// The addresses that the agent asked for before, with this cursor or an earlier one: answered where they changed
    /// since the cursor, all of them when the cursor is null.
    pub ips: Vec<IpAddr>,
    /// The addresses that it did not ask for before: always answered. Without this list an address that has had its owner
    /// for longer than the cursor would never be named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new: Vec<IpAddr>,
    /// Ports that were dialled at nodes' addresses. Those that services have are always answered, whatever the cursor.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list::<_, _, MAX_NODE_PORTS>"
    )]
    pub node_ports: Vec<NodePort>,
}

/// Answer to a [`ResolveRequest`]. Apply `gone` first, then `identities`: an address without an owner is in both when
/// something is still known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolveAnswer {
    /// Send this with the next request.
    pub cursor: Cursor,
    /// New or changed owners. Also, as [`Kind::Unknown`](crate::Kind::Unknown), addresses that nobody has now but of which
    /// the node (by its pod range) or previous owners are known, and, as [`Kind::External`](crate::Kind::External),
    /// addresses that the operator named.
    pub identities: BTreeMap<IpAddr, Identity>,
    /// Addresses among `ips` that had an owner at the cursor and have none now. When everything is answered although a
    /// cursor was sent, all that have no owner.
    #[serde(default)]
    pub gone: Vec<IpAddr>,
    /// CIDRs that together cover every address that the controller knows something of: what lies outside is external and
    /// need not be asked.
    #[serde(default)]
    pub ranges: Vec<String>,
    /// Those of the request's node ports that a service has. One that is missing here is nobody's.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list::<_, _, MAX_NODE_PORTS>"
    )]
    pub node_ports: Vec<ServicePort>,
    /// Since when the controller knows the endpoints of services, so that an identity without
    /// [`services`](Identity::services) is an endpoint of none; absent while it does not, and from controllers older than 0.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Timestamp>,
}

/// A point in one controller process's history of address changes, `EPOCH-REVISION` on the wire.
///
/// ```
/// use khan_api::Cursor;
/// let cursor: Cursor = "1795341600123-42".parse().unwrap();
/// assert_eq!((cursor.epoch, cursor.revision), (1_795_341_600_123, 42));
/// assert_eq!(cursor.to_string(), "1795341600123-42");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Which process start; a number that no two starts share.
    pub epoch: u64,
    /// How many address changes that process had seen.
    pub revision: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.revision)
    }
}

/// The text is not `EPOCH-REVISION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseCursorError;

impl fmt::Display for ParseCursorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a cursor of the form EPOCH-REVISION")
    }
}

impl std::error::Error for ParseCursorError {}

impl FromStr for Cursor {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (epoch, revision) = text.split_once('-').ok_or(ParseCursorError)?;
        let number = |part: &str| part.parse().map_err(|_| ParseCursorError);
        Ok(Self { epoch: number(epoch)?, revision: number(revision)? })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_a_cursor_asks_for_everything() {
        let request: ResolveRequest = serde_json::from_str(r#"{"cursor":null,"ips":["10.0.0.1","fd00::1"]}"#).unwrap();
        assert_eq!(request.cursor, None);
        assert_eq!((request.ips.len(), request.new.len()), (2, 0));
    }

    #[test]
    fn an_answer_survives_the_wire() {
        let answer = ResolveAnswer {
            cursor: Cursor { epoch: 7, revision: 9 },
            identities: BTreeMap::from([("10.0.0.1".parse().unwrap(), Identity::default())]),
            gone: vec!["fd00::2".parse().unwrap()],
            ranges: vec!["10.0.0.0/16".into()],
            node_ports: vec![ServicePort {
                port: 30080,
                protocol: crate::Protocol::Tcp,
                ns: "shop".into(),
                name: "web".into(),
            }],
            endpoints: Some(Timestamp::from_seconds(1_795_341_600)),
        };
        let text = serde_json::to_string(&answer).unwrap();
        assert!(text.contains(r#""cursor":"7-9""#), "{text}");
        assert_eq!(serde_json::from_str::<ResolveAnswer>(&text).unwrap(), answer);
    }

    #[test]
    fn a_bad_cursor_is_an_error_not_a_default() {
        for text in ["", "7", "7-", "-9", "x-y", "7-9-1"] {
            assert_eq!(text.parse::<Cursor>(), Err(ParseCursorError), "{text}");
        }
    }
}
