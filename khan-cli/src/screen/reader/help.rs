//! Help: the keys of a context with their effective bindings, and what the words and signs of the screen mean.

use super::{Line, Matter, Tone};
use crate::model::view::COUNTING_RULE;
use crate::screen::keys::{Binding, Context, Group};
use crate::screen::text;

/// Width from which help stands in two columns.
const TWO_COLUMNS: usize = 76;

pub(super) fn lines(context: Context, matter: Matter<'_>, width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let looks_back = matches!(context, Context::Table | Context::Problems | Context::Leaks | Context::Drill);
    for group in Group::ALL {
        let entries: Vec<_> = matter
            .keymap
            .listed(context)
            .chain(matter.keymap.listed(Context::Past).filter(|(binding, _)| looks_back && is_past_only(binding)))
            .filter(|(binding, _)| binding.group == group)
            .map(|(binding, keys)| {
                let keys = keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
                (if keys.is_empty() { format!(":{}", binding.name) } else { keys }, binding.help)
            })
            .collect();
        if entries.is_empty() {
            continue;
        }
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.push(Line::strong(group.title()));
        let columns = if width >= TWO_COLUMNS { 2 } else { 1 };
        let cells = width / columns;
        let rows = entries.len().div_ceil(columns);
        for row in 0..rows {
            let mut line = Line::default();
            for (keys, help) in (0..columns).filter_map(|column| entries.get(row + column * rows)) {
                let help = text::fit(help, cells.saturating_sub(17), "..");
                let padding = " ".repeat(cells.saturating_sub(17 + text::width(&help)));
                line.0.push((format!("  {keys:<13} "), Tone::Accent));
                line.0.push((format!("{help}{padding} "), Tone::Plain));
            }
            lines.push(line);
        }
    }
    if looks_back {
        for (head, terms) in WORDS {
            lines.push(Line::default());
            lines.push(Line::strong(*head));
            lines.extend(terms.iter().flat_map(|(term, meaning)| explained(term, meaning, width)));
        }
        lines.push(Line::default());
        lines.push(Line::strong("Leak rule"));
        let rule = matter.rule.explain();
        lines.extend(rule.iter().flat_map(|part| text::wrap(&format!("  {part}"), width)).map(Line::plain));
        lines.push(Line::default());
        lines.push(Line::strong("Counting"));
        lines.extend(text::wrap(&format!("  {COUNTING_RULE}"), width).into_iter().map(Line::plain));
    }
    lines
}

/// Whether it works only while the screen looks back.
fn is_past_only(binding: &Binding) -> bool {
    binding.contexts == [Context::Past]
}

/// A term and its meaning, side by side.
pub(super) fn explained(term: &str, meaning: &str, width: usize) -> Vec<Line> {
    let meaning = text::wrap(meaning, width.saturating_sub(16).max(8));
    let line = |(i, part): (usize, String)| {
        let term = if i == 0 { term } else { "" };
        Line(vec![(format!("  {term:<13} "), Tone::Accent), (part, Tone::Plain)])
    };
    meaning.into_iter().enumerate().map(line).collect()
}

/// The words of the screen: headings with terms and what they mean.
const WORDS: &[(&str, &[(&str, &str)])] = &[
    (
        "Filter",
        &[
            ("src: dst:", "an end by name, * for any part: src:shop/* dst:postgres"),
            ("any word", "either end; also ns/shop, node/n1, 10.0.0.0/8"),
            ("port: proto:", "port:5432 port:8000-8999 proto:udp"),
            ("state: node:", "state:time_wait,close_wait node:n1"),
            ("numbers", "conns>100 delta>50 rate>1 est<50 idle>0 halfclosed>0"),
            ("is:", "is:new is:rising is:unknown is:stale is:previous"),
            ("a b", "both; a or b: one of them, which binds less; (a or b) c"),
            ("a,b", "within one term: either value"),
            ("- ! not", "before a term or a bracket: turned round"),
            ("src~ dst~", "a regular expression: src~^check app~(web|api)$ ns!~^kube-"),
        ],
    ),
    (
        "Problems",
        &[
            ("CRITICAL", "somebody loses something now"),
            ("WARNING", "somebody will, or may without anybody seeing it"),
            ("WATCH", "it may come to nothing; not counted beside the name of the view"),
            ("not known", "kinds that this source does not tell, with the reason; they are not absent"),
            ("thresholds", "those of khan problems --help"),
        ],
    ),
    (
        "Flags",
        &[
            ("RISING   R", "keeps growing: see the leak rule below"),
            ("NEW      N", "first seen less than 5 minutes ago, or since the baseline"),
            ("UNK      U", "an address without a known owner"),
            ("STALE    S", "from old data"),
            ("PREVIOUS P", "outlived the owner of its address"),
        ],
    ),
    (
        "Signs",
        &[
            ("> *", "the cursor; a pinned row, which stays on top"),
            ("+ -", "stands for many, Right expands it; expanded, Left collapses it"),
            ("* (9 pods)", "many destinations of one source on one port; f tells them apart"),
            ("?10.0.0.9", "an address without a known owner"),
            ("D", "change since the window's start, or since the baseline"),
            ("~", "computed from old data"),
            ("-", "not known, or nothing to compare with yet"),
            (
                "= as",
                "of a single connection: the backend that answers for the address dialled; the address it leaves with after SNAT",
            ),
            ("trend", "a dot is a missing sample, blank is before the row was first seen"),
        ],
    ),
];
