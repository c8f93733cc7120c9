//! Addresses with their owners, held once however many nodes speak of them.

use std::collections::HashSet;
use std::sync::Arc;

use khan_api::snapshot::{self, Endpoint as Wire};

/// Who has an address, in shared texts.
pub(crate) type Owner = khan_api::Owner<Arc<str>, Arc<str>>;

/// An address and who has it, in shared texts.
pub type Endpoint = snapshot::Endpoint<Arc<str>, Arc<str>>;

/// Shares equal endpoints and equal strings between the tables of all nodes.
#[derive(Debug, Default)]
pub struct Pool {
    endpoints: HashSet<Arc<Endpoint>>,
    strings: HashSet<Arc<str>>,
}

impl Pool {
    /// The shared form of `wire`.
    pub fn endpoint(&mut self, wire: &Wire) -> Arc<Endpoint> {
        let owner = wire.owner.as_deref().map(|text| self.string(text));
        let endpoint = Endpoint { ip: wire.ip, owner, previous: wire.previous, dead: wire.dead };
        if let Some(known) = self.endpoints.get(&endpoint) {
            return Arc::clone(known);
        }
        let endpoint = Arc::new(endpoint);
        self.endpoints.insert(Arc::clone(&endpoint));
        endpoint
    }

    /// The shared form of `text`.
    pub fn string(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.strings.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        self.strings.insert(Arc::clone(&text));
        text
    }

    /// Forgets what no table holds any more.
    pub fn prune(&mut self) {
        self.endpoints.retain(|endpoint| Arc::strong_count(endpoint) > 1);
        self.strings.retain(|text| Arc::strong_count(text) > 1);
    }

    /// How many endpoints are held.
    pub fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(ip: &str, app: &str) -> Wire {
        serde_json::from_value(serde_json::json!({ "ip": ip, "type": "pod", "ns": "shop", "app": app })).unwrap()
    }

    #[test]
    fn equal_endpoints_are_one_and_unused_ones_go() {
        let mut pool = Pool::default();
        let (a, b) = (pool.endpoint(&wire("10.0.0.1", "web")), pool.endpoint(&wire("10.0.0.1", "web")));
        let c = pool.endpoint(&wire("10.0.0.1", "api"));
        assert!(Arc::ptr_eq(&a, &b) && !Arc::ptr_eq(&a, &c));
        assert!(Arc::ptr_eq(&a.owner.ns, &c.owner.ns));
        drop(c);
        pool.prune();
        assert_eq!(pool.len(), 1);
    }
}
