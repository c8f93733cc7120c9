//! What is wrong, in one sentence: the first line under the views.

use khan_api::Kind;

use crate::model::leak::{Leak, LeakReport};
use crate::model::{LeakRule, ProblemKind, Problems, Verdict};
use crate::screen::format;

use super::drill::title;

/// Connections that go nowhere.
pub(super) const STUCK: [ProblemKind; 2] = [ProblemKind::Unanswered, ProblemKind::Stalled];

/// The worst of the connections that go nowhere, which somebody feels now, and how many more such problems there are.
pub(super) fn of_stuck(problems: &Problems) -> Option<String> {
    let mut stuck = problems.list.iter().filter(|problem| STUCK.contains(&problem.kind));
    let sentence = stuck.next()?.sentence.clone();
    Some(and_more(sentence, stuck.count()))
}

fn and_more(sentence: String, more: usize) -> String {
    if more == 0 { sentence } else { format!("{sentence}; and {more} more") }
}

/// The likely leak that has added most, and how many more there are.
pub(super) fn of_leaks(report: &LeakReport, rule: &LeakRule) -> Option<String> {
    let mut likely = report.leaks.iter().filter(|leak| leak.verdict == Verdict::Likely);
    let sentence = leak(likely.next()?, report, rule);
    Some(and_more(sentence, likely.count()))
}

/// `shop/checkout leaks to data/postgres: +60/min for 14 min, 1 of 2 pods`.
fn leak(leak: &Leak, report: &LeakReport, rule: &LeakRule) -> String {
    let row = &leak.row;
    let ends = match (row.source(), row.destination()) {
        ("", _) | (_, "") => format!("{} leaks", title(row)),
        (source, destination) => format!("{source} leaks to {destination}"),
    };
    let mut facts = Vec::new();
    if let Some(change) = row.change.filter(|change| !change.over.is_zero()) {
        facts.push(format!("{}/min", format::rate(change.per_minute(), 9)));
    }
    let minutes = report.span.as_secs() / 60;
    if minutes > 0 {
        facts.push(format!("for {minutes} min"));
    }
    let mut sentence = if facts.is_empty() { ends } else { format!("{ends}: {}", facts.join(" ")) };
    if let [(first, held), _, ..] = &leak.pods[..]
        && *held as f64 >= row.sum.connections as f64 * rule.concentration
    {
        let what = if first.owner.kind == Kind::Pod { "pods" } else { "addresses" };
        sentence = format!("{sentence}, 1 of {} {what}", leak.pods.len());
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Problem, Severity};

    #[test]
    fn what_goes_nowhere_is_said_first() {
        let problem = |kind, sentence: &str| Problem {
            kind,
            severity: Severity::Critical,
            sentence: sentence.into(),
            evidence: Vec::new(),
            since: None,
            owners: Vec::new(),
            nodes: Vec::new(),
            next: Vec::new(),
            key: 0,
            size: 1,
        };
        let of = |list| of_stuck(&Problems { list, unknown: Vec::new() });
        let churn = || problem(ProblemKind::Churn, "a opens and closes");
        assert_eq!(of(vec![churn()]), None);
        let unanswered = || problem(ProblemKind::Unanswered, "a gets no answer from b");
        assert_eq!(of(vec![unanswered(), churn()]).as_deref(), Some("a gets no answer from b"));
        let both = of(vec![unanswered(), problem(ProblemKind::Stalled, "c is stalled"), churn()]);
        assert_eq!(both.as_deref(), Some("a gets no answer from b; and 1 more"));
    }
}
