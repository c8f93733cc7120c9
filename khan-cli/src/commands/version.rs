//! `khan version`.

use serde_json::json;

use super::printer::Printer;
use crate::args::Cli;
use crate::report::{Cell, Head, Line, Report};
use khan_serve::exit::Failure;

/// Prints what this program is.
pub(crate) fn run(cli: &Cli) -> Result<(), Failure> {
    let mut printer = Printer::new(cli)?;
    if cli.output.output.is_none() {
        use std::io::Write;
        return writeln!(std::io::stdout(), "khan {}", env!("CARGO_PKG_VERSION")).map_err(Failure::from);
    }
    let facts = [
        (Head::text("version"), json!(env!("CARGO_PKG_VERSION"))),
        (Head::number("snapshot-schema"), json!(khan_api::snapshot::SCHEMA)),
        (Head::text("os"), json!(std::env::consts::OS)),
        (Head::text("architecture"), json!(std::env::consts::ARCH)),
    ];
    let item: serde_json::Map<_, _> = facts.iter().map(|(head, fact)| (head.key(), fact.clone())).collect();
    let cell = |fact: &serde_json::Value| Cell::text(fact.as_str().map_or_else(|| fact.to_string(), str::to_owned));
    printer.print(&Report {
        kind: "Version",
        metadata: json!({}),
        columns: facts.iter().map(|(head, _)| *head).collect(),
        rows: vec![Line {
            cells: facts.iter().map(|(_, fact)| cell(fact)).collect(),
            item: item.into(),
            name: format!("khan/{}", env!("CARGO_PKG_VERSION")),
        }],
        empty: String::new(),
    })
}
