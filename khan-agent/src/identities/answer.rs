//! In: the bytes of a controller's answer. Out: of all that it says, what was asked for.
//!
//! The controller is a peer like any other: what nobody asked for costs no memory, however often it is said.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::net::IpAddr;

use khan_api::node_port::MAX_NODE_PORTS;
use khan_api::{Identity, NodePort, ResolveAnswer, ResolveRequest, ServicePort, bounded};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// More prefixes than any cluster has: one covering set of pod, service and node ranges.
const MOST_RANGES: usize = 8192;
/// The longest prefix in text is an IPv6 one, 43 bytes.
const LONGEST_RANGE: usize = 64;

/// What a request asks about.
#[derive(Debug, Default)]
pub struct Asked {
    ips: HashSet<IpAddr>,
    node_ports: HashSet<NodePort>,
}

impl Asked {
    /// All that the request names.
    pub fn of(request: &ResolveRequest) -> Self {
        let ips = request.ips.iter().chain(&request.new).copied().collect();
        Self { ips, node_ports: request.node_ports.iter().copied().collect() }
    }

    /// How many things are asked about.
    pub(super) fn len(&self) -> usize {
        self.ips.len() + self.node_ports.len()
    }
}

/// Largest honest answer about so many things: each an address with eight previous owners of names of usual length, and the
/// ranges.
pub(super) const fn most_bytes(asked: usize) -> usize {
    (1 << 20) + asked * (4 << 10)
}

/// Reads the answer to a request; what it says of anything else is left out.
pub fn read(body: &[u8], asked: &Asked) -> serde_json::Result<ResolveAnswer> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let answer = deserializer.deserialize_map(Answer(asked))?;
    deserializer.end()?;
    Ok(answer)
}

struct Answer<'a>(&'a Asked);

impl<'de> Visitor<'de> for Answer<'_> {
    type Value = ResolveAnswer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer to a resolve request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ResolveAnswer, A::Error> {
        let (mut answer, mut cursor, mut identities) = (ResolveAnswer::default(), None, false);
        while let Some(field) = map.next_key::<Field>()? {
            match field {
                Field::Cursor => cursor = Some(map.next_value()?),
                Field::Identities => {
                    answer.identities = map.next_value_seed(By(Identities(&self.0.ips)))?;
                    identities = true;
                }
                Field::Gone => answer.gone = map.next_value_seed(By(Gone(&self.0.ips)))?,
                Field::Ranges => {
                    answer.ranges = map.next_value::<Ranges>()?.0.into_iter().map(|range| range.0).collect();
                }
                Field::NodePorts => {
                    let asked = |port: &ServicePort| self.0.node_ports.contains(&port.node_port());
                    answer.node_ports = map.next_value::<NodePorts>()?.0.into_iter().filter(asked).collect();
                }
                Field::Endpoints => answer.endpoints = map.next_value()?,
                Field::Other => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        answer.cursor = cursor.ok_or_else(|| A::Error::missing_field("cursor"))?;
        if !identities {
            return Err(A::Error::missing_field("identities"));
        }
        Ok(answer)
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Field {
    Cursor,
    Identities,
    Gone,
    Ranges,
    #[serde(rename = "node_ports")]
    NodePorts,
    Endpoints,
    #[serde(other)]
    Other,
}

#[derive(serde::Deserialize)]
struct Ranges(#[serde(deserialize_with = "bounded::list::<_, _, MOST_RANGES>")] Vec<Range>);

#[derive(serde::Deserialize)]
#[serde(try_from = "String")]
struct Range(String);

impl TryFrom<String> for Range {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.len() > LONGEST_RANGE { Err("a range longer than any prefix") } else { Ok(Self(text)) }
    }
}

#[derive(serde::Deserialize)]
struct NodePorts(#[serde(deserialize_with = "bounded::list::<_, _, MAX_NODE_PORTS>")] Vec<ServicePort>);

/// Reads a value by a visitor that knows what was asked for.
struct By<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for By<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_any(self.0)
    }
}

struct Identities<'a>(&'a HashSet<IpAddr>);

impl<'de> Visitor<'de> for Identities<'_> {
    type Value = BTreeMap<IpAddr, Identity>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("owners by address")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut identities = BTreeMap::new();
        while let Some(ip) = map.next_key::<IpAddr>()? {
            if self.0.contains(&ip) {
                identities.insert(ip, map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(identities)
    }
}

struct Gone<'a>(&'a HashSet<IpAddr>);

impl<'de> Visitor<'de> for Gone<'_> {
    type Value = Vec<IpAddr>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("addresses")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut gone = HashSet::new();
        while let Some(ip) = seq.next_element::<IpAddr>()? {
            if self.0.contains(&ip) {
                gone.insert(ip);
            }
        }
        Ok(gone.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use khan_api::Protocol;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn asked<const N: usize>(ips: [&str; N]) -> Asked {
        Asked { ips: ips.map(ip).into(), ..Asked::default() }
    }

    #[test]
    fn keeps_what_was_asked_for_and_nothing_else() {
        let body = br#"{"cursor":"7-9","news":[{"x":1}],"identities":{"10.0.0.1":{"type":"pod","name":"web"},
            "10.0.0.2":{"type":"pod","name":"spam"}},"gone":["10.0.0.3","10.0.0.3","10.0.0.4"],"ranges":["10.0.0.0/8"]}"#;
        let answer = read(body, &asked(["10.0.0.1", "10.0.0.3"])).unwrap();
        assert_eq!(answer.cursor.to_string(), "7-9");
        assert_eq!(answer.identities.keys().copied().collect::<Vec<_>>(), [ip("10.0.0.1")]);
        assert_eq!(answer.identities[&ip("10.0.0.1")].owner.name, "web");
        assert_eq!(answer.gone, [ip("10.0.0.3")]);
        assert_eq!(answer.ranges, ["10.0.0.0/8"]);
    }

    #[test]
    fn keeps_the_node_ports_that_were_asked_for() {
        let port = |port, name| format!(r#"{{"port":{port},"protocol":"tcp","ns":"shop","name":"{name}"}}"#);
        let ports = [port(30080, "web"), port(30081, "spam")].join(",");
        let body = |ports: &str| format!(r#"{{"cursor":"7-9","identities":{{}},"node_ports":[{ports}]}}"#);
        let asked =
            Asked { node_ports: [NodePort { port: 30080, protocol: Protocol::Tcp }].into(), ..Asked::default() };
        let answer = read(body(&ports).as_bytes(), &asked).unwrap();
        assert_eq!(answer.node_ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>(), ["web"]);
        let many = vec![port(30080, "web"); MAX_NODE_PORTS + 1].join(",");
        assert!(read(body(&many).as_bytes(), &asked).is_err());
    }

    #[test]
    fn reads_what_an_honest_controller_writes() {
        let port = ServicePort { port: 30080, protocol: Protocol::Tcp, ns: "shop".into(), name: "web".into() };
        let answer = ResolveAnswer {
            cursor: khan_api::Cursor { epoch: 7, revision: 9 },
            identities: BTreeMap::from([(ip("fd00::1"), Identity::default())]),
            gone: vec![ip("10.0.0.1")],
            ranges: vec!["10.0.0.0/16".into()],
            node_ports: vec![port.clone()],
            endpoints: Some(khan_api::Timestamp::from_seconds(1_795_341_600)),
        };
        let body = serde_json::to_vec(&answer).unwrap();
        assert_eq!(
            read(&body, &Asked { node_ports: [port.node_port()].into(), ..asked(["fd00::1", "10.0.0.1"]) }).unwrap(),
            answer
        );
    }

    #[test]
    fn refuses_what_is_no_answer() {
        let many = format!(
            r#"{{"cursor":"1-1","identities":{{}},"ranges":[{}"10.0.0.0/8"]}}"#,
            r#""1.0.0.0/8","#.repeat(9000)
        );
        let long = format!(r#"{{"cursor":"1-1","identities":{{}},"ranges":["{}"]}}"#, "1".repeat(65));
        for body in [
            "{}",
            r#"{"cursor":"1-1"}"#,
            r#"{"cursor":"x","identities":{}}"#,
            r#"{"identities":{}}"#,
            r#"{"cursor":"1-1","identities":{"here":{}}}"#,
            r#"{"cursor":"1-1","identities":{}} and more"#,
            "[]",
            &many,
            &long,
        ] {
            assert!(read(body.as_bytes(), &Asked::default()).is_err(), "{body:.80}");
        }
    }
}
