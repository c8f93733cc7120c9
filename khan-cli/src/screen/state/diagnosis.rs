//! What is wrong, in one sentence: the first line under the views.

use khan_api::Kind;

use crate::model::leak::{Leak, LeakReport};
use crate::model::{LeakRule, Verdict};
use crate::screen::format;

use super::drill::title;

/// The likely leak that has added most, and how many more there are.
pub(super) fn of_leaks(report: &LeakReport, rule: &LeakRule) -> Option<String> {
    let mut likely = report.leaks.iter().filter(|leak| leak.verdict == Verdict::Likely);
    let sentence = leak(likely.next()?, report, rule);
    Some(match likely.count() {
        0 => sentence,
        more => format!("{sentence}; and {more} more"),
    })
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
