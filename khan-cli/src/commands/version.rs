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
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("snapshotSchema", khan_api::snapshot::SCHEMA.to_string()),
        ("os", std::env::consts::OS.to_owned()),
        ("architecture", std::env::consts::ARCH.to_owned()),
    ];
    let item: serde_json::Map<_, _> = facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let cells = facts.iter().map(|(_, value)| Cell::text(value.as_str())).collect();
    let columns =
        [("version", "VERSION"), ("schema", "SNAPSHOT-SCHEMA"), ("os", "OS"), ("architecture", "ARCHITECTURE")];
    printer.print(&Report {
        kind: "Version",
        metadata: json!({}),
        columns: columns.into_iter().map(|(name, header)| Head::text(name, header)).collect(),
        rows: vec![Line { cells, item: item.into(), name: format!("khan/{}", env!("CARGO_PKG_VERSION")) }],
        empty: String::new(),
    })
}
