//! Pods that a label selector names. Tables know apps and names, not labels, so the cluster has to be asked for them.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use khan_api::Kind;

use super::endpoint::{Endpoint, Owner};

/// A label selector and the pods that it has named so far. Clones share the pods, and the task that asks the cluster adds to them:
/// a pod that was deleted still holds connections for a while, and its history remains.
#[derive(Clone, Debug)]
pub struct LabelSelection {
    selector: Arc<str>,
    names: Arc<RwLock<Names>>,
}

/// Names by namespace.
type Names = HashMap<String, HashSet<String>>;

impl LabelSelection {
    /// No pods yet.
    pub fn new(selector: &str) -> Self {
        Self { selector: selector.into(), names: Arc::default() }
    }

    /// As it was written: `app=web,tier!=cache`.
    pub fn selector(&self) -> &str {
        &self.selector
    }

    /// Adds pods, each with its namespace before its name.
    pub fn add(&self, pods: impl IntoIterator<Item = (String, String)>) {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        for (namespace, name) in pods {
            names.entry(namespace).or_default().insert(name);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.read().unwrap_or_else(PoisonError::into_inner).values().map(HashSet::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether any other clone is in use.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.names) > 1
    }

    /// Which of these endpoints are such pods.
    pub fn among(&self, endpoints: &[Arc<Endpoint>]) -> Vec<bool> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let is_one = |owner: &Owner| names.get(&*owner.ns).is_some_and(|names| names.contains(&*owner.name));
        endpoints.iter().map(|endpoint| endpoint.owner.kind == Kind::Pod && is_one(&endpoint.owner)).collect()
    }
}

/// The selector decides; the pods follow from it.
impl PartialEq for LabelSelection {
    fn eq(&self, other: &Self) -> bool {
        self.selector == other.selector
    }
}

impl Eq for LabelSelection {}

impl Hash for LabelSelection {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.selector.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::{Agent, view};
    use crate::model::{History, Query, project};

    #[test]
    fn only_connections_of_named_pods_are_in_scope() {
        let view = view(&[Agent::new("n1", 0)
            .row("shop/web-0:web@n1", "data/db-0:db@n1", 5432, 3)
            .row("shop/web-1:web@n1", "data/db-0:db@n1", 5432, 4)
            .row("pay/web-0:web@n1", "svc:data/db", 5432, 5)]);
        let pods = LabelSelection::new("canary=true");
        let query = Query { labels: Some(pods.clone()), ..Query::default() };
        let counted = || project(&view, &query, &History::default()).total.connections;
        assert_eq!((counted(), pods.is_empty()), (0, true));
        pods.add([("shop".into(), "web-1".into())]);
        assert_eq!((counted(), pods.len()), (4, 1));
        // Either end, and pods that came later.
        pods.add([("data".into(), "db-0".into()), ("shop".into(), "web-1".into())]);
        assert_eq!((counted(), pods.len()), (7, 2));
        assert_ne!(query.shape(), Query::default().shape());
        assert_eq!(
            query.shape(),
            Query { labels: Some(LabelSelection::new("canary=true")), ..Query::default() }.shape()
        );
    }
}
