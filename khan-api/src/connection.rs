//! Single connections, read from a node's table on demand: what `GET /v1/connections` answers.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::snapshot::Endpoint;
use crate::state::{Protocol, State};
use crate::text::Name;
use crate::time::Timestamp;

/// A bounded sample of a node's connections.
///
/// The query's parameters: `src` and `dst` (an address or CIDR; repeatable; `dst` matches the service address or the
/// backend), `any` (either end), `port` (dialled or answering), `state`, `protocol`, `reply_dst` with `reply_port` (the
/// far side of a masquerade), `limit` (default 50, at most 1,000), `order` (`newest`, which is the default, or `oldest`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConnectionSample {
    /// Name of the node.
    pub node: Name,
    /// When the dump began, by the node's clock.
    pub taken: Timestamp,
    /// How many connections match, listed or not.
    pub matched: u64,
    /// The listed ones, youngest first where the kernel keeps timestamps, else the most recently active first; with
    /// `order=oldest` the other way round.
    #[serde(deserialize_with = "bounded::list::<_, _, 1000>")]
    pub connections: Vec<Connection>,
}

/// One conntrack entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Transport.
    pub protocol: Protocol,
    /// State.
    pub state: State,
    /// Original tuple: the client.
    pub src: IpAddr,
    /// The client's port.
    pub src_port: u16,
    /// Original tuple: what the client dialled. Where a table shows only who answers, as eBPF maps may, the service that leads
    /// there, if there is exactly one.
    pub dst: IpAddr,
    /// The port dialled.
    pub dst_port: u16,
    /// Reply tuple: who answers.
    pub reply_src: IpAddr,
    /// The port that answers.
    pub reply_src_port: u16,
    /// Reply tuple: where answers go; another address than `src` when the client is masqueraded.
    pub reply_dst: IpAddr,
    /// The port that answers go to.
    pub reply_dst_port: u16,
    /// Conntrack zone.
    #[serde(default)]
    pub zone: u16,
    /// Seconds until the kernel forgets the entry; absent for offloaded entries.
    pub timeout_seconds: Option<u32>,
    /// Seconds since the last packet, where the state's full timeout is known.
    pub idle_seconds: Option<u32>,
    /// Age in seconds, where `nf_conntrack_timestamp` was on when the entry was made.
    #[serde(default)]
    pub age_seconds: Option<u64>,
    /// Bytes from the client, where `nf_conntrack_acct` was on when the entry was made.
    #[serde(default)]
    pub bytes_sent: Option<u64>,
    /// Bytes to the client, likewise.
    #[serde(default)]
    pub bytes_received: Option<u64>,
    /// Its ends that belonged to a previous owner when the last packet passed, as that owner: the connection is not the
    /// present owner's.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::list::<_, _, 8>")]
    pub previous: Vec<Endpoint>,
}

#[cfg(test)]
mod tests {
    use super::ConnectionSample;

    #[test]
    fn a_connection_has_no_more_previous_owners_than_ends() {
        let text = |n: usize| {
            let previous = vec![r#"{"ip":"10.0.0.1"}"#; n].join(",");
            format!(
                r#"{{"connections":[{{"protocol":"tcp","state":"ESTABLISHED","src":"10.0.0.1","src_port":1,"dst":"10.0.0.2",
                "dst_port":2,"reply_src":"10.0.0.2","reply_src_port":2,"reply_dst":"10.0.0.1","reply_dst_port":1,
                "previous":[{previous}]}}]}}"#
            )
        };
        let sample: ConnectionSample = serde_json::from_str(&text(8)).unwrap();
        assert_eq!(sample.connections[0].previous.len(), 8);
        let error = serde_json::from_str::<ConnectionSample>(&text(9)).unwrap_err().to_string();
        assert!(error.starts_with("invalid length 9, expected a list of at most 8"), "{error}");
    }
}
