//! One end of a group of connections: what a row's SOURCE or DESTINATION names, at the grain that was asked for.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use khan_api::Kind;

use super::endpoint::{Endpoint, Owner};
use super::hash;

/// How finely an end of a connection is distinguished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grain {
    /// pod, service, node, ...
    Kind,
    /// Namespace.
    Namespace,
    /// `NAMESPACE/APP`; nodes and named externals by name, unnamed externals together, unknown addresses singly.
    App,
    /// The workload behind a pod, else as [`Grain::App`].
    Workload,
    /// `NAMESPACE/NAME` of the pod or service; addresses without an owner singly.
    Name,
    /// The node that the address lives on.
    Node,
    /// The address.
    Address,
}

impl Grain {
    const NAMES: [(Self, &'static str); 7] = [
        (Self::Kind, "type"),
        (Self::Namespace, "ns"),
        (Self::App, "app"),
        (Self::Workload, "workload"),
        (Self::Name, "pod"),
        (Self::Node, "node"),
        (Self::Address, "ip"),
    ];

    /// As in `src-pod`.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(grain, _)| *grain == self).map_or("", |(_, name)| name)
    }
}

impl FromStr for Grain {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "namespace" => Ok(Self::Namespace),
            "name" => Ok(Self::Name),
            "address" => Ok(Self::Address),
            "kind" => Ok(Self::Kind),
            _ => Self::NAMES.iter().find(|(_, name)| *name == text).map(|(grain, _)| *grain).ok_or(()),
        }
    }
}

/// One end of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupEnd {
    /// What the addresses behind it have in common at the grain of the query; the kind is that of the first when they differ.
    /// At [`Grain::Workload`] the workload stands in `app`.
    pub owner: Owner,
    /// The address, if the grain distinguishes single addresses here.
    pub ip: Option<IpAddr>,
    /// The text for a column: `shop/checkout`, `?10.40.7.19`, `external`, `node/n1`.
    pub text: Arc<str>,
    /// Number of addresses behind it in this view.
    pub addresses: u32,
}

impl GroupEnd {
    /// The end that `endpoint` belongs to at `grain`, with the hash that names it in every view.
    pub fn of(endpoint: &Endpoint, grain: Grain) -> (u128, Self) {
        let owner = Owner { kind: endpoint.owner.kind, ..Owner::default() };
        let mut end = Self { owner, ip: None, text: Arc::default(), addresses: 1 };
        let class = end.fill(endpoint, grain);
        let text = end.compose(class);
        let key = hash::name(&[class.name(), &text]);
        end.text = text.into();
        (key, end)
    }

    /// Copies from the endpoint what distinguishes ends at this grain.
    fn fill(&mut self, endpoint: &Endpoint, grain: Grain) -> Class {
        let Owner { kind, ns, app, workload, name, node } = &endpoint.owner;
        match grain {
            Grain::Kind => return Class::Kind,
            Grain::Namespace if !ns.is_empty() => {
                self.owner.ns = Arc::clone(ns);
                return Class::Namespace;
            }
            Grain::Namespace if *kind != Kind::Unknown => return Class::Kind,
            Grain::Node => {
                self.owner.node = Arc::clone(node);
                return if self.owner.node.is_empty() { Class::Kind } else { Class::Node };
            }
            Grain::Address if endpoint.ip.is_some() => {
                self.ip = endpoint.ip;
                self.owner = endpoint.owner.clone();
                return Class::Address;
            }
            _ => {}
        }
        match kind {
            Kind::Pod | Kind::Service => {
                if grain == Grain::Name && !name.is_empty() {
                    self.ip = endpoint.ip;
                    self.owner = endpoint.owner.clone();
                    return Class::Named;
                }
                let choice = if grain == Grain::Workload { [workload, app, name] } else { [app, workload, name] };
                self.owner.app = choice.into_iter().find(|text| !text.is_empty()).cloned().unwrap_or_default();
                self.owner.ns = Arc::clone(ns);
                Class::App
            }
            // A process of this host, which only its sockets tell.
            Kind::Node if !app.is_empty() => {
                (self.owner.app, self.owner.node) = (Arc::clone(app), Arc::clone(node));
                if grain == Grain::Name {
                    self.owner.name = Arc::clone(name);
                }
                Class::Process
            }
            Kind::Node | Kind::Network | Kind::Gateway => {
                self.owner.name = Arc::clone(if name.is_empty() { node } else { name });
                self.owner.node = Arc::clone(node);
                Class::Infrastructure
            }
            Kind::External => {
                self.owner.name = Arc::clone(name);
                if grain == Grain::Name {
                    self.ip = endpoint.ip;
                }
                Class::External
            }
            Kind::Unknown => {
                (self.ip, self.owner.node) = (endpoint.ip, Arc::clone(node));
                Class::Unknown
            }
        }
    }

    fn compose(&self, class: Class) -> String {
        let Owner { kind, ns, app, name, node, .. } = &self.owner;
        let address = self.ip.map(|ip| ip.to_string()).unwrap_or_default();
        match class {
            Class::Kind => kind.as_str().to_owned(),
            Class::Namespace => ns.to_string(),
            Class::Node => node.to_string(),
            Class::Address if *kind == Kind::Unknown => format!("?{address}"),
            Class::Address => address,
            Class::Named => format!("{ns}/{name}"),
            // A source that was not asked for names.
            Class::App if ns.is_empty() && app.is_empty() => kind.as_str().to_owned(),
            Class::App => format!("{ns}/{app}"),
            Class::Infrastructure => format!("{kind}/{name}"),
            Class::Process if name.is_empty() => app.to_string(),
            Class::Process => name.to_string(),
            Class::External => match (name.is_empty(), self.ip) {
                (true, None) => "external".to_owned(),
                (true, Some(_)) => address,
                (false, None) => format!("external/{name}"),
                (false, Some(_)) => format!("{name} {address}"),
            },
            Class::Unknown if self.ip.is_none() => OTHER.to_owned(),
            Class::Unknown => format!("?{address}"),
        }
    }

    /// The same end where a row has this address alone behind it: `external/203.0.113.9` instead of `external`.
    #[must_use]
    pub(crate) fn of_one(self, ip: Option<IpAddr>) -> Self {
        let anonymous = self.owner.kind == Kind::External && self.owner.name.is_empty() && self.ip.is_none();
        match ip.filter(|_| anonymous) {
            Some(ip) => Self { text: format!("{}/{ip}", Kind::External).into(), ip: Some(ip), addresses: 1, ..self },
            None => Self { addresses: 1, ..self },
        }
    }

    /// The same end with its name by reverse DNS: `external/203.0.113.9~www.example`. Anybody who has the address may have chosen
    /// that, so it stands behind the address and in no filter.
    #[must_use]
    pub(crate) fn named(self, name: &str) -> Self {
        Self { text: format!("{}~{name}", self.text).into(), ..self }
    }

    /// Whether the address has no known owner.
    pub fn is_unknown(&self) -> bool {
        self.owner.kind == Kind::Unknown && self.ip.is_some()
    }
}

/// The text of the sum of what is not listed.
pub(crate) const OTHER: &str = "(other)";

impl fmt::Display for GroupEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// What an end's text consists of; keeps a namespace `a` and a node `a` apart.
#[derive(Clone, Copy)]
enum Class {
    Kind,
    Namespace,
    Node,
    Address,
    Named,
    App,
    Infrastructure,
    Process,
    External,
    Unknown,
}

impl Class {
    /// Part of every row key, so it never changes.
    const fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Namespace => "namespace",
            Self::Node => "node",
            Self::Address => "address",
            Self::Named => "named",
            Self::App => "app",
            Self::Infrastructure => "infrastructure",
            Self::Process => "process",
            Self::External => "external",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Pool;

    fn text(json: serde_json::Value, grain: Grain) -> String {
        let wire = serde_json::from_value(json).unwrap();
        GroupEnd::of(&Pool::default().endpoint(&wire), grain).1.text.to_string()
    }

    #[test]
    fn every_kind_has_a_name_at_every_grain() {
        let pod = serde_json::json!({"ip":"10.1.0.4","type":"pod","ns":"shop","app":"web","workload":"web-v2","name":"web-v2-x","node":"n1"});
        let expected = ["pod", "shop", "shop/web", "shop/web-v2", "shop/web-v2-x", "n1", "10.1.0.4"];
        for ((grain, _), expected) in Grain::NAMES.into_iter().zip(expected) {
            assert_eq!(text(pod.clone(), grain), expected);
        }
        let bare = serde_json::json!({"ip":"10.1.0.9","type":"pod","ns":"shop","name":"debug"});
        assert_eq!(text(bare, Grain::App), "shop/debug");
        let node = serde_json::json!({"ip":"192.168.0.1","type":"node","name":"n1","node":"n1"});
        assert_eq!(text(node.clone(), Grain::App), "node/n1");
        assert_eq!(text(node, Grain::Namespace), "node");
        let process = serde_json::json!({"ip":"192.168.0.1","type":"node","app":"curl","name":"curl[7]","node":"n1"});
        assert_eq!(text(process.clone(), Grain::App), "curl");
        assert_eq!(text(process.clone(), Grain::Name), "curl[7]");
        assert_eq!(text(process, Grain::Node), "n1");
        let world = serde_json::json!({"ip":"1.1.1.1","type":"external"});
        assert_eq!(text(world.clone(), Grain::App), "external");
        assert_eq!(text(world, Grain::Name), "1.1.1.1");
        let named = serde_json::json!({"ip":"1.1.1.1","type":"external","name":"partner"});
        assert_eq!(text(named, Grain::App), "external/partner");
        let nobody = serde_json::json!({"ip":"10.1.0.200","type":"unknown"});
        assert_eq!(text(nobody, Grain::App), "?10.1.0.200");
        assert_eq!(text(serde_json::json!({"ip":null,"type":"unknown"}), Grain::App), OTHER);
    }

    #[test]
    fn a_namespace_and_a_node_of_one_name_are_two_ends() {
        let wire =
            serde_json::from_value(serde_json::json!({"ip":"10.1.0.4","type":"pod","ns":"a","name":"x","node":"a"}));
        let endpoint = Pool::default().endpoint(&wire.unwrap());
        let (namespace, node) = (GroupEnd::of(&endpoint, Grain::Namespace), GroupEnd::of(&endpoint, Grain::Node));
        assert_eq!(namespace.1.text, node.1.text);
        assert_ne!(namespace.0, node.0);
    }
}
