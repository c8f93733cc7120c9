//! The texts that can be read over a screen, line by line: help, the error log, something to copy.

use super::app::App;
use super::format;
use super::keys::{Context, Group};
use super::overlay::{Overlay, Text};
use super::text;
use crate::model::view::COUNTING_RULE;

/// How a piece of a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As ordinary text.
    Plain,
    /// A heading.
    Strong,
    /// A key, a name.
    Accent,
    /// What is over, or said beside.
    Dim,
    /// What is wrong.
    Bad,
}

/// A line in pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(pub Vec<(String, Tone)>);

impl Line {
    fn plain(text: impl Into<String>) -> Self {
        Self(vec![(text.into(), Tone::Plain)])
    }

    fn strong(text: impl Into<String>) -> Self {
        Self(vec![(text.into(), Tone::Strong)])
    }

    /// The line without its looks.
    pub fn text(&self) -> String {
        self.0.iter().map(|(piece, _)| piece.as_str()).collect()
    }
}

/// Width from which help stands in two columns.
const TWO_COLUMNS: usize = 76;

/// How many lines the text has, and how many the screen shows.
pub fn extent(app: &App) -> (usize, usize) {
    (lines(app).len(), usize::from(app.size.1).saturating_sub(4).max(1))
}

/// The title of the text.
pub fn title(app: &App) -> String {
    match &app.overlay {
        Some(Overlay::Reader(reader)) => match &reader.text {
            Text::Help(context) => match context {
                Context::Table | Context::Leaks => format!("Help · {} view", app.page.title()),
                context => format!("Help · {}", context.title()),
            },
            Text::Errors => format!("Errors · {} last", app.errors.lasting().count()),
            Text::Lines(title, _) => title.clone(),
        },
        _ => String::new(),
    }
}

/// The lines of the text that is open.
pub fn lines(app: &App) -> Vec<Line> {
    let width = usize::from(app.size.0).saturating_sub(4).max(8);
    match &app.overlay {
        Some(Overlay::Reader(reader)) => match &reader.text {
            Text::Help(context) => help(app, *context, width),
            Text::Errors => errors(app, width),
            Text::Lines(_, lines) => lines.iter().flat_map(|line| text::wrap(line, width)).map(Line::plain).collect(),
        },
        _ => Vec::new(),
    }
}

fn help(app: &App, context: Context, width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for group in Group::ALL {
        let entries: Vec<_> = app
            .setup
            .keymap
            .listed(context)
            .filter(|(action, _)| action.group == group)
            .map(|(action, keys)| {
                let keys = keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
                (if keys.is_empty() { format!(":{}", action.name) } else { keys }, action.help)
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
    if matches!(context, Context::Table | Context::Leaks | Context::Drill) {
        for (head, terms) in WORDS {
            lines.push(Line::default());
            lines.push(Line::strong(*head));
            lines.extend(terms.iter().flat_map(|(term, meaning)| explained(term, meaning, width)));
        }
        lines.push(Line::default());
        lines.push(Line::strong("Leak rule"));
        let rule = app.rule.explain();
        lines.extend(rule.iter().flat_map(|part| text::wrap(&format!("  {part}"), width)).map(Line::plain));
        lines.push(Line::default());
        lines.push(Line::strong("Counting"));
        lines.extend(text::wrap(&format!("  {COUNTING_RULE}"), width).into_iter().map(Line::plain));
    }
    lines
}

/// A term with its meaning beside it.
fn explained(term: &str, meaning: &str, width: usize) -> Vec<Line> {
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
            ("is:", "is:new is:rising is:unknown is:stale is:ghost"),
            ("joined", "by and; a comma means or; - before a term turns it round"),
        ],
    ),
    (
        "Flags",
        &[
            ("RISING R", "keeps growing: see the leak rule below"),
            ("NEW    N", "first seen less than 5 minutes ago, or since the baseline"),
            ("UNK    U", "an address without a known owner"),
            ("STALE  S", "from old data"),
            ("GHOST  G", "outlived the owner of its address"),
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
            ("= as", "of a single connection: who answers in place of who was dialled; as whom it goes on"),
            ("trend", "a dot is a missing sample, blank is before the row was first seen"),
        ],
    ),
];

fn errors(app: &App, width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for entry in app.errors.latest_first() {
        let clock = format::clock(entry.at, &app.setup.zone);
        let node = if entry.node.is_empty() { String::new() } else { format!("{}: ", entry.node) };
        let (state, tone) = match entry.over {
            Some(over) => (format!("over after {}", format::age(over.since(entry.at))), Tone::Dim),
            None => (format!("lasts, told {}", times(entry.times)), Tone::Bad),
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

fn times(n: u32) -> String {
    if n == 1 { "once".into() } else { format!("{n} times") }
}

/// Everything known about an agent.
pub fn agent(app: &App, at: usize) -> Text {
    let Some(node) = app.shown.nodes.get(at) else { return Text::Errors };
    let zone = &app.setup.zone;
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
    let clock = |time: Option<khan_api::Timestamp>| time.map_or("never".to_owned(), |t| format::clock(t, zone));
    lines.push(format!("last answer   {}", clock(node.answered)));
    lines.push(format!(
        "snapshot      {}",
        node.age(app.clock).map_or("-".into(), |age| format!("{} old", format::age(age)))
    ));
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
    lines.extend(node.warnings.iter().map(|warning| format!("warning       {warning}")));
    Text::Lines(format!("Agent · {}", if node.node.is_empty() { &node.agent } else { &node.node }), lines)
}
