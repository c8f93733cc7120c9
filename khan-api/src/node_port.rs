//! Node ports: a service of type `NodePort` or `LoadBalancer` can be dialled at any node's address on a port of its own.

use serde::{Deserialize, Serialize};

use crate::state::Protocol;
use crate::text::{Label, Name};

/// Maximum number of node ports in one request, answer or snapshot: more than the 2,768 that Kubernetes' default range holds.
pub const MAX_NODE_PORTS: usize = 4096;

/// A port that was dialled at a node's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodePort {
    /// The port dialled, from 1 to 65535.
    pub port: u16,
    /// Transport.
    pub protocol: Protocol,
}

/// A node port and the service that has it. Connections dialled at a node's address on this port belong to that service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePort {
    /// As in [`NodePort`].
    pub port: u16,
    /// As in [`NodePort`].
    pub protocol: Protocol,
    /// The service's namespace.
    pub ns: Label,
    /// The service's name.
    pub name: Name,
}

impl ServicePort {
    /// The node port alone.
    pub const fn node_port(&self) -> NodePort {
        NodePort { port: self.port, protocol: self.protocol }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_the_documented_one() {
        let text = r#"{"port":30080,"protocol":"tcp","ns":"shop","name":"web"}"#;
        let port: ServicePort = serde_json::from_str(text).unwrap();
        assert_eq!(port.node_port(), NodePort { port: 30080, protocol: Protocol::Tcp });
        assert_eq!(serde_json::to_string(&port).unwrap(), text);
        assert_eq!(serde_json::to_string(&port.node_port()).unwrap(), r#"{"port":30080,"protocol":"tcp"}"#);
    }

    #[test]
    fn lists_of_node_ports_are_bounded() {
        let list = |n: usize, item: &str| vec![item; n].join(",");
        let (asked, named) =
            (r#"{"port":30080,"protocol":"udp"}"#, r#"{"port":30080,"protocol":"udp","ns":"shop","name":"web"}"#);
        let request = |n| format!(r#"{{"ips":[],"node_ports":[{}]}}"#, list(n, asked));
        let answer = |n| format!(r#"{{"cursor":"1-2","identities":{{}},"node_ports":[{}]}}"#, list(n, named));
        let snapshot = |n| format!(r#"{{"node_ports":[{}]}}"#, list(n, named));
        assert!(serde_json::from_str::<crate::ResolveRequest>(&request(MAX_NODE_PORTS)).is_ok());
        assert!(serde_json::from_str::<crate::ResolveRequest>(&request(MAX_NODE_PORTS + 1)).is_err());
        assert!(serde_json::from_str::<crate::ResolveAnswer>(&answer(MAX_NODE_PORTS)).is_ok());
        assert!(serde_json::from_str::<crate::ResolveAnswer>(&answer(MAX_NODE_PORTS + 1)).is_err());
        assert!(serde_json::from_str::<crate::Snapshot>(&snapshot(MAX_NODE_PORTS)).is_ok());
        assert!(serde_json::from_str::<crate::Snapshot>(&snapshot(MAX_NODE_PORTS + 1)).is_err());
    }

    #[test]
    fn lists_without_node_ports_are_left_out() {
        for text in [
            serde_json::to_string(&crate::ResolveRequest::default()).unwrap(),
            serde_json::to_string(&crate::ResolveAnswer::default()).unwrap(),
            serde_json::to_string(&<crate::Snapshot>::default()).unwrap(),
        ] {
            assert!(!text.contains("node_ports"), "{text}");
        }
    }
}
