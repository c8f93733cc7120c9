//! Services and who answers for them: what `GET /v1/services/{ns}/{name}` answers.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::state::Protocol;
use crate::text::{Label, Name};
use crate::time::Timestamp;

/// Most endpoints of one service that a reader takes.
pub const MAX_ENDPOINTS: usize = 50_000;

/// What a service is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceName<L = Label, N = Name> {
    /// Its namespace.
    pub ns: L,
    /// Its name.
    pub name: N,
}

/// A service with its endpoints, as its `EndpointSlice`s list them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its namespace.
    pub ns: Label,
    /// Its name.
    pub name: Name,
    /// By address.
    #[serde(default, deserialize_with = "bounded::list::<_, _, MAX_ENDPOINTS>")]
    pub endpoints: Vec<ServiceEndpoint>,
}

/// An address that answers for a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceEndpoint {
    /// The address.
    pub ip: IpAddr,
    /// The first of its ports, and usually the only one; absent where all ports answer.
    #[serde(default)]
    pub port: Option<u16>,
    /// All its ports.
    #[serde(default, deserialize_with = "bounded::first::<_, _, 100>")]
    pub ports: Vec<EndpointPort>,
    /// Whether connections should go to it.
    pub conditions: Conditions,
    /// The pod that has the address; empty for a pod on the host network, whose address is its node's, and for what is no pod.
    #[serde(default)]
    pub pod: Name,
    /// The node on which it lives; empty for what lives on none.
    #[serde(default)]
    pub node: Name,
    /// Since when the conditions are what they are, at the latest: the controller may have begun to watch later.
    #[serde(default)]
    pub since: Option<Timestamp>,
}

/// A port of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointPort {
    /// As the service names it; empty where it has only one.
    #[serde(default)]
    pub name: Label,
    /// The port that answers; absent where all do.
    #[serde(default)]
    pub port: Option<u16>,
    /// Transport.
    pub protocol: Protocol,
}

/// A port of an endpoint, and what clients dial to get there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialled {
    /// The endpoint's port.
    pub port: u16,
    /// Transport.
    pub protocol: Protocol,
    /// The service's cluster address, of the endpoint's family.
    pub service: IpAddr,
    /// The service's port; the lowest where several lead there.
    pub service_port: u16,
}

/// The conditions of an endpoint, as in `discovery.k8s.io/v1`; what an `EndpointSlice` leaves open reads as it does for kube-proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// New connections go to it.
    pub ready: bool,
    /// It answers; also while it terminates.
    pub serving: bool,
    /// Its pod is about to end.
    pub terminating: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_the_documented_one() {
        let text = r#"{"ns":"shop","name":"web","endpoints":[{"ip":"10.1.0.1","port":8080,"ports":[{"name":"http","port":8080,"protocol":"tcp"}],"conditions":{"ready":true,"serving":true,"terminating":false},"pod":"web-0","node":"n1","since":"2026-11-22T10:00:00Z"}]}"#;
        let service: Service = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&service).unwrap(), text);
        let bare = r#"{"ns":"shop","name":"web","endpoints":[{"ip":"fd00::1","conditions":{"ready":true},"shiny":1}]}"#;
        let service: Service = serde_json::from_str(bare).unwrap();
        assert_eq!(service.endpoints[0].conditions, Conditions { ready: true, serving: false, terminating: false });
    }

    #[test]
    fn what_is_dialled_is_flat() {
        let text = r#"{"port":8080,"protocol":"tcp","service":"10.96.0.9","service_port":80}"#;
        let dialled: Dialled = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&dialled).unwrap(), text);
    }

    #[test]
    fn endpoints_are_bounded() {
        let text = |n: usize| {
            let endpoints = vec![r#"{"ip":"10.0.0.1","conditions":{}}"#; n].join(",");
            format!(r#"{{"ns":"shop","name":"web","endpoints":[{endpoints}]}}"#)
        };
        assert!(serde_json::from_str::<Service>(&text(MAX_ENDPOINTS)).is_ok());
        assert!(serde_json::from_str::<Service>(&text(MAX_ENDPOINTS + 1)).is_err());
    }
}
