//! `TYPE/NAME` as on kubectl's command line, and the shorter forms that filters take.

use std::fmt;
use std::str::FromStr;

use khan_api::{Cidr, Kind, OwnerRef};

use super::endpoint::Endpoint;

/// Which addresses are meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// `app/NAME`, `NAMESPACE/APP`: pods and services by app, workload or name.
    App(Option<Glob>, Glob),
    /// `pod/NAME`, `pod/NAMESPACE/NAME`: pods whose name begins so.
    Pod(Option<Glob>, Glob),
    /// `svc/NAME`, `svc/NAMESPACE/NAME`.
    Service(Option<Glob>, Glob),
    /// `workload/NAME`, `workload/NAMESPACE/NAME`.
    Workload(Option<Glob>, Glob),
    /// `ns/NAME`.
    Namespace(Glob),
    /// `node/NAME`: a node and everything on it.
    Node(Glob),
    /// `ip/ADDRESS`, `ip/CIDR`, or either alone.
    Address(Cidr),
    /// `type/external` and so on, or `external` alone.
    Kind(Kind),
    /// Anything else: part of a namespace, app, workload, name, node or address.
    Word(Glob),
}

/// Text with `*` for any run of characters and `?` for one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob(String);

impl Glob {
    /// Whether all of `text` fits.
    pub fn matches(&self, text: &str) -> bool {
        fits(self.0.as_bytes(), text.as_bytes())
    }

    /// The pattern.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_plain(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    fn begins(&self, text: &str) -> bool {
        if self.is_plain() { text.starts_with(&self.0) } else { self.matches(text) }
    }

    fn within(&self, text: &str) -> bool {
        if self.is_plain() {
            text.to_ascii_lowercase().contains(&self.0.to_ascii_lowercase())
        } else {
            self.matches(text)
        }
    }
}

impl From<&str> for Glob {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

// Greedy with one point of return: linear in practice, and never exponential.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

impl Selector {
    /// Whether the owner of an address, or the address, is meant.
    pub fn matches(&self, endpoint: &Endpoint) -> bool {
        let OwnerRef { kind, ns, app, workload, name, node } = endpoint.owner.as_deref();
        let within = |namespace: &Option<Glob>| namespace.as_ref().is_none_or(|namespace| namespace.matches(ns));
        match self {
            Self::App(namespace, glob) => {
                // Nodes have no app, but processes of this host have.
                let owner = matches!(kind, Kind::Pod | Kind::Service) || kind == Kind::Node && !app.is_empty();
                let eligible = owner && within(namespace);
                eligible && [app, workload, name].iter().any(|name| !name.is_empty() && glob.matches(name))
            }
            Self::Pod(namespace, glob) => kind == Kind::Pod && within(namespace) && glob.begins(name),
            Self::Service(namespace, glob) => kind == Kind::Service && within(namespace) && glob.matches(name),
            Self::Workload(namespace, glob) => kind == Kind::Pod && within(namespace) && glob.matches(workload),
            Self::Namespace(glob) => !ns.is_empty() && glob.matches(ns),
            Self::Node(glob) => !node.is_empty() && glob.matches(node),
            Self::Address(range) => endpoint.ip.is_some_and(|ip| range.contains(ip)),
            Self::Kind(meant) => kind == *meant && endpoint.ip.is_some(),
            Self::Word(word) => {
                endpoint.owner.texts().iter().any(|text| word.within(text))
                    || endpoint.ip.is_some_and(|ip| word.within(&ip.to_string()))
                    || word.within(kind.as_str())
            }
        }
    }
}

/// The text is no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// Nothing was written, or nothing after the slash.
    #[error("{0:?} lacks a name; write TYPE/NAME, for example app/checkout")]
    Nameless(String),
    /// Neither an address nor a CIDR.
    #[error("{0:?} is neither an IP address nor a CIDR")]
    Address(String),
    /// No such kind of address.
    #[error("{0:?} is no type of address; types are pod, service, node, network, gateway, external, unknown")]
    Kind(String),
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        if text.is_empty() || text.ends_with('/') || text.starts_with('/') {
            return Err(SelectorError::Nameless(text.to_owned()));
        }
        if let Some(range) = address(text) {
            return Ok(Self::Address(range));
        }
        let Some((first, rest)) = text.split_once('/') else {
            return Ok(text.parse().map_or_else(|_| Self::Word(text.into()), Self::Kind));
        };
        let scoped = || match rest.split_once('/') {
            Some((ns, name)) => (Some(Glob::from(ns)), Glob::from(name)),
            None => (None, Glob::from(rest)),
        };
        Ok(match first {
            "app" | "deploy" | "deployment" => {
                let (ns, name) = scoped();
                Self::App(ns, name)
            }
            "pod" | "po" | "pods" => {
                let (ns, name) = scoped();
                Self::Pod(ns, name)
            }
            "svc" | "service" | "services" => {
                let (ns, name) = scoped();
                Self::Service(ns, name)
            }
            "workload" => {
                let (ns, name) = scoped();
                Self::Workload(ns, name)
            }
            "ns" | "namespace" => Self::Namespace(rest.into()),
            "node" | "no" => Self::Node(rest.into()),
            "ip" => Self::Address(address(rest).ok_or_else(|| SelectorError::Address(rest.to_owned()))?),
            "type" => Self::Kind(rest.parse().map_err(|_| SelectorError::Kind(rest.to_owned()))?),
            ns => Self::App(Some(ns.into()), rest.into()),
        })
    }
}

fn address(text: &str) -> Option<Cidr> {
    let text = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
    text.parse().ok()
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scoped = |f: &mut fmt::Formatter<'_>, what: &str, ns: &Option<Glob>, name: &Glob| match ns {
            Some(ns) => write!(f, "{what}/{}/{}", ns.0, name.0),
            None => write!(f, "{what}/{}", name.0),
        };
        match self {
            Self::App(ns, name) => scoped(f, "app", ns, name),
            Self::Pod(ns, name) => scoped(f, "pod", ns, name),
            Self::Service(ns, name) => scoped(f, "svc", ns, name),
            Self::Workload(ns, name) => scoped(f, "workload", ns, name),
            Self::Namespace(ns) => write!(f, "ns/{}", ns.0),
            Self::Node(node) => write!(f, "node/{}", node.0),
            Self::Address(range) => match range.single() {
                Some(ip) => write!(f, "{ip}"),
                None => write!(f, "{range}"),
            },
            Self::Kind(kind) => write!(f, "type/{kind}"),
            Self::Word(word) => f.write_str(&word.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Pool;

    #[test]
    fn selects_what_its_text_says() {
        let pod = serde_json::json!({"ip":"10.1.0.4","type":"pod","ns":"shop","app":"web","workload":"web-v2","name":"web-v2-x","node":"n1"});
        let pod = Pool::default().endpoint(&serde_json::from_value(pod).unwrap());
        for yes in [
            "app/web",
            "app/shop/web",
            "shop/web",
            "shop/*",
            "*/w?b",
            "pod/web-v2",
            "workload/web-v2",
            "ns/shop",
            "node/n1",
            "10.1.0.4",
            "ip/10.1.0.0/16",
            "10.1.0.0/24",
            "type/pod",
            "pod",
            "WEB",
            "0.1.0",
        ] {
            assert!(yes.parse::<Selector>().unwrap().matches(&pod), "{yes}");
        }
        for no in
            ["app/we", "app/data/web", "data/web", "svc/web", "ns/sho", "node/n2", "10.1.0.5", "type/node", "external"]
        {
            assert!(!no.parse::<Selector>().unwrap().matches(&pod), "{no}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "app/web",
            "app/shop/*",
            "pod/web-v2",
            "svc/data/redis",
            "ns/shop",
            "node/n1",
            "10.1.0.4",
            "fd00::/64",
            "type/external",
            "web",
        ] {
            assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
        }
        assert_eq!("ip/hello".parse::<Selector>(), Err(SelectorError::Address("hello".into())));
        assert_eq!("app/".parse::<Selector>(), Err(SelectorError::Nameless("app/".into())));
    }

    #[test]
    fn stars_do_not_take_forever() {
        let pattern = Glob::from("*a*a*a*a*a*a*a*a*b");
        assert!(!pattern.matches(&"a".repeat(5_000)));
    }
}
