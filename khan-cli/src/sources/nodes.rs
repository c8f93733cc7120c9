//! `--node`: which nodes are looked at.

use std::sync::Arc;

use crate::model::NodeStatus;

/// The nodes that are looked at; all of them when none is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeChoice(Arc<[String]>);

impl NodeChoice {
    /// These nodes; all of them when the list is empty.
    pub fn new(names: &[String]) -> Self {
        Self(names.into())
    }

    /// Whether every node is looked at.
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this node is looked at.
    pub fn contains(&self, node: &str) -> bool {
        self.is_all() || self.0.iter().any(|name| name == node)
    }

    /// The named nodes, in the order in which they were named; none for all of them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// One sentence for each named node that is not among `nodes`: `lack`, such as "no agent speaks for", and the node.
    pub(crate) fn missing(&self, nodes: &[NodeStatus], lack: &str) -> impl Iterator<Item = String> {
        let absent = self.names().filter(|name| nodes.iter().all(|node| node.node != *name));
        absent.map(move |name| format!("{lack} node {name} (--node)"))
    }
}
