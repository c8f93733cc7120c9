//! Agents that are away, and agents that cannot see or name everything: what is not seen is no sign of health.

use std::collections::BTreeMap;

use super::kind::{ProblemKind, Severity};
use super::pairs::some;
use super::problem::Problem;
use super::scene::Scene;
use crate::model::hash;
use crate::model::node::{NodeState, NodeStatus};

/// One problem per reason, however many agents have it.
pub(super) fn find(scene: &Scene<'_>) -> Vec<Problem> {
    let mut reasons: BTreeMap<(What, String), Vec<String>> = BTreeMap::new();
    for node in &scene.view.nodes {
        for reason in reasons_of(node) {
            reasons.entry(reason).or_default().push(node.node.clone());
        }
    }
    reasons.into_iter().map(|((what, reason), nodes)| problem(what, &reason, nodes)).collect()
}

/// What an agent lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Answer,
    Sight,
    Names,
}

fn reasons_of(node: &NodeStatus) -> Vec<(What, String)> {
    match node.state {
        NodeState::Waiting => return Vec::new(),
        NodeState::Failed | NodeState::Stale => {
            let reason = node.trouble().map_or("its snapshot is old", |(reason, _)| reason);
            return vec![(What::Answer, reason.to_owned())];
        }
        NodeState::Ok => {}
    }
    let mut reasons: Vec<_> = node.warnings.iter().map(|warning| (What::Sight, warning.clone())).collect();
    if !node.names.error.is_empty() {
        reasons.push((What::Names, node.names.error.to_string()));
    }
    reasons
}

fn problem(what: What, reason: &str, nodes: Vec<String>) -> Problem {
    let agents = if nodes.len() == 1 { "agent".to_owned() } else { format!("{} agents", nodes.len()) };
    let (of, one) = (some(&nodes), nodes.len() == 1);
    let sentence = match what {
        What::Answer => format!("the {agents} on {of} {} not answer: {reason}", if one { "does" } else { "do" }),
        What::Sight => format!("the {agents} on {of} {} not see everything: {reason}", if one { "does" } else { "do" }),
        What::Names => format!("names on {of} are old or missing: {reason}"),
    };
    Problem {
        kind: ProblemKind::Blind,
        severity: Severity::Warning,
        sentence,
        evidence: Vec::new(),
        since: None,
        owners: Vec::new(),
        key: hash::name(&["blind", ["answer", "sight", "names"][what as usize], reason]),
        size: nodes.len() as u64,
        nodes,
        next: vec!["khan agents -o wide".to_owned(), "khan doctor".to_owned()],
    }
}
