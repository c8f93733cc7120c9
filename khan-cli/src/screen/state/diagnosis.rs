//! What is wrong, in one sentence: the first line under the views.

use crate::model::{Problems, Severity};

/// The worst problem, and how many more there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// How bad it is.
    pub severity: Severity,
    /// `shop/cart gets no answer from data/redis:6379: 14 tries wait; and 2 more`.
    pub sentence: String,
}

impl Diagnosis {
    /// `None` where nothing is wrong; what is only watched is not.
    pub(super) fn of(problems: &Problems) -> Option<Self> {
        let worst = problems.list.first().filter(|worst| worst.severity < Severity::Watch)?;
        let sentence = match problems.alarming() - 1 {
            0 => worst.sentence.clone(),
            more => format!("{}; and {more} more", worst.sentence),
        };
        Some(Self { severity: worst.severity, sentence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Problem, ProblemKind};

    #[test]
    fn the_worst_is_said_and_what_is_watched_is_not() {
        let problem = |kind, severity, sentence: &str| Problem {
            kind,
            severity,
            sentence: sentence.into(),
            evidence: Vec::new(),
            since: None,
            owners: Vec::new(),
            nodes: Vec::new(),
            next: Vec::new(),
            key: 0,
            size: 1,
        };
        let of = |list| Diagnosis::of(&Problems { list, unknown: Vec::new() }).map(|diagnosis| diagnosis.sentence);
        let watched = || problem(ProblemKind::Leak, Severity::Watch, "a keeps growing");
        assert_eq!(of(vec![watched()]), None);
        let unanswered = || problem(ProblemKind::Unanswered, Severity::Critical, "a gets no answer from b");
        assert_eq!(of(vec![unanswered(), watched()]).as_deref(), Some("a gets no answer from b"));
        let churn = problem(ProblemKind::Churn, Severity::Warning, "a opens and closes");
        assert_eq!(of(vec![unanswered(), churn, watched()]).as_deref(), Some("a gets no answer from b; and 1 more"));
    }
}
