//! An agent as text.

use std::time::Duration;

use jiff::tz::TimeZone;
use khan_api::Timestamp;

use super::{Text, times};
use crate::model::NodeStatus;
use crate::screen::format;

/// Everything known about an agent, `now` being the wall clock.
pub(crate) fn agent(node: &NodeStatus, now: Timestamp, zone: &TimeZone) -> Text {
    let mut lines = vec![
        format!("node          {}", if node.node.is_empty() { "not known yet" } else { &node.node }),
        format!("agent         {}", node.agent),
        format!("state         {}", node.state.as_str()),
    ];
    if let Some(failure) = &node.failure {
        lines.push(format!("failure       {}", failure.reason));
        lines.push(format!("  since       {}, tried {}", format::clock(failure.since, zone), times(failure.attempts)));
        if let Some(next) = failure.next {
            lines.push(format!("  next try    {}", format::clock(next, zone)));
        }
    }
    let clock = |time: Option<Timestamp>| time.map_or("never".to_owned(), |t| format::clock(t, zone));
    lines.push(format!("last answer   {}", clock(node.answered)));
    lines
        .push(format!("snapshot      {}", node.age(now).map_or("-".into(), |age| format!("{} old", format::age(age)))));
    if node.clock_skew_millis.abs() >= 2_000 {
        lines.push(format!("clock         {:+.1} s from ours", node.clock_skew_millis as f64 / 1000.0));
    }
    lines.push(format!("version       {}", if node.version.is_empty() { "-" } else { &node.version }));
    lines.push(format!("scan          {} ms, every {}", node.scan.as_millis(), format::age(node.interval)));
    let names = &node.names;
    lines.push(format!(
        "names         {}",
        if names.controller.is_empty() { "bare addresses" } else { &names.controller }
    ));
    if let Some(updated) = names.updated {
        lines.push(format!("  updated     {}", format::clock(updated, zone)));
    }
    if names.unresolved > 0 {
        lines.push(format!("  unresolved  {} addresses", format::count(names.unresolved)));
    }
    if !names.error.is_empty() {
        lines.push(format!("  error       {}", names.error));
    }
    if let Some(table) = &node.table {
        lines.push(String::new());
        lines.push(format!("table         {} of {} entries", format::count(table.entries), format::count(table.limit)));
        for (protocol, n) in &table.protocols {
            lines.push(format!("  {protocol:<11} {}", format::count(*n)));
        }
        for (stat, n) in table.stat.iter().filter(|(_, n)| **n > 0) {
            lines.push(format!("  {stat:<11} {} since boot", format::count(*n)));
        }
    }
    if node.has_maps() {
        let wide = node.tables.iter().map(|table| table.name.len()).max().unwrap_or(0);
        lines.push(String::new());
        lines.push("tables, fullest first".to_owned());
        lines.extend(node.tables_by_fill().into_iter().map(|table| {
            let fill = table.fill_percent().map_or_else(|| "-".to_owned(), |percent| format!("{percent}%"));
            let took = Duration::from_micros(table.scan_micros);
            format!(
                "  {:<wide$} {fill:>4}  {} of {} entries, read in {took:.1?}",
                table.name,
                format::count(table.entries),
                format::count(table.limit),
            )
        }));
    }
    lines.extend(node.warnings.iter().map(|warning| format!("warning       {warning}")));
    Text::Lines(format!("Agent · {}", if node.node.is_empty() { &node.agent } else { &node.node }), lines)
}
