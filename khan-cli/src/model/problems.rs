//! What is wrong: in, views; out, problems, worst first, each a sentence with its evidence and what to do next.
//!
//! One file a kind. A kind is a pure function of a view, of what views before it said, and of its thresholds. A cause is
//! reported once, and what the source cannot tell is [listed](Problems::unknown) and never taken for absent.

mod kind;
mod rules;
mod problem;
mod room;
mod memory;
mod scene;
mod pairs;
mod ports;
mod table_name;

mod dead_backend;
mod unanswered;
mod stalled;
mod table;
mod limit;
mod blind;
mod leak;
mod snat;
mod gateway;
mod churn;
mod imbalance;
mod new_client;

pub use dead_backend::UNDATED;
pub use kind::{ProblemKind, Severity};
pub use memory::Memory;
pub use problem::Problem;
pub use rules::Rules;
pub use scene::Scene;

/// What is wrong, and what cannot be known.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    /// Worst first.
    pub list: Vec<Problem>,
    /// Kinds that this source does not tell, or not yet, each with the reason.
    pub unknown: Vec<(ProblemKind, String)>,
}

impl Problems {
    /// What is wrong in a scene, of these kinds. Each kind that looks at pairs looks at every row.
    pub fn of(scene: &Scene<'_>, kinds: &[ProblemKind]) -> Self {
        let mut problems = Self::default();
        for &kind in kinds {
            let found = match kind {
                ProblemKind::DeadBackend => dead_backend::find(scene),
                ProblemKind::Unanswered => unanswered::find(scene),
                ProblemKind::Stalled => stalled::find(scene),
                ProblemKind::Table => table::find(scene),
                ProblemKind::Limit => limit::find(scene),
                ProblemKind::Blind => Ok(blind::find(scene)),
                ProblemKind::Leak => leak::find(scene),
                ProblemKind::Snat => snat::find(scene),
                ProblemKind::Churn => churn::find(scene),
                ProblemKind::Imbalance => imbalance::find(scene),
                ProblemKind::NewClient => new_client::find(scene),
            };
            // From the rows alone, which every agent tells.
            let gateway = (kind == ProblemKind::Snat).then(|| gateway::find(scene));
            for found in std::iter::once(found).chain(gateway) {
                match found {
                    Ok(found) => problems.list.extend(found),
                    Err(reason) => problems.unknown.push((kind, reason)),
                }
            }
        }
        for problem in &mut problems.list {
            problem.since = problem.since.or_else(|| scene.memory.since(problem.key));
        }
        problems.list.sort_by(|a, b| {
            let rank = |problem: &Problem| (problem.severity, problem.kind, std::cmp::Reverse(problem.size));
            rank(a).cmp(&rank(b)).then_with(|| a.sentence.cmp(&b.sentence))
        });
        problems
    }

    /// How many are more than something to watch.
    pub fn alarming(&self) -> usize {
        self.list.iter().filter(|problem| problem.severity < Severity::Watch).count()
    }

    /// What is not known, a sentence for each reason: `not known from here: stalled, churn (the agents do not tell)`.
    pub fn not_known(&self) -> Vec<String> {
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for (kind, reason) in &self.unknown {
            match reasons.iter_mut().find(|(known, _)| known == reason) {
                Some((_, kinds)) => kinds.push(kind.as_str()),
                None => reasons.push((reason, vec![kind.as_str()])),
            }
        }
        let sentence =
            |(reason, kinds): (&str, Vec<&str>)| format!("not known from here: {} ({reason})", kinds.join(", "));
        reasons.into_iter().map(sentence).collect()
    }

    /// Leaves only these kinds; all of them when none is named.
    pub fn keep(&mut self, kinds: &[ProblemKind]) {
        if !kinds.is_empty() {
            self.list.retain(|problem| kinds.contains(&problem.kind));
            self.unknown.retain(|(kind, _)| kinds.contains(kind));
        }
    }
}

#[cfg(test)]
mod quiet;
#[cfg(test)]
mod tests;
