//! A problem as text.

use jiff::tz::TimeZone;
use khan_api::Timestamp;

use super::Text;
use crate::model::Problem;
use crate::screen::format;

/// Everything known about a problem, `now` being the wall clock.
pub(crate) fn problem(problem: &Problem, now: Timestamp, zone: &TimeZone) -> Text {
    let mut lines = vec![problem.sentence.clone(), String::new()];
    let ago = |since| format!("{}, for {}", format::clock(since, zone), format::age(now.since(since)));
    let facts = [
        ("severity", problem.severity.as_str().to_owned()),
        ("kind", problem.kind.to_string()),
        ("since", problem.since.map_or_else(String::new, ago)),
        ("owners", problem.owners.join(", ")),
        ("nodes", problem.nodes.join(", ")),
    ];
    lines.extend(facts.iter().filter(|(_, fact)| !fact.is_empty()).map(|(name, fact)| format!("{name:<9} {fact}")));
    for (head, part) in [("evidence", &problem.evidence), ("next", &problem.next)] {
        if !part.is_empty() {
            lines.extend([String::new(), head.to_owned()]);
            lines.extend(part.iter().map(|line| format!("  {line}")));
        }
    }
    Text::Problem(format!("Problem · {}", problem.kind), lines, problem.next.clone())
}
