//! The error log as text, latest first.

use super::{Line, Matter, Tone, times};
use crate::screen::{format, text};

pub(super) fn lines(matter: Matter<'_>, width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for entry in matter.errors.latest_first() {
        let clock = format::clock(entry.at, matter.zone);
        let node = if entry.node.is_empty() { String::new() } else { format!("{}: ", entry.node) };
        let (state, tone) = match entry.over {
            Some(over) => (format!("over after {}", format::age(over.since(entry.at))), Tone::Dim),
            None => (format!("ongoing, seen {}", times(entry.times)), Tone::Bad),
        };
        lines.push(Line(vec![(format!("{clock}  "), Tone::Dim), (state, tone)]));
        let message = format!("  {node}{}", entry.message);
        lines.extend(text::wrap(&message, width).into_iter().map(Line::plain));
    }
    if lines.is_empty() {
        lines.push(Line::plain("Nothing went wrong so far."));
    }
    lines
}
