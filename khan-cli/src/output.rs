//! Reports to text: what commands print when nobody watches. Only data goes to stdout; every text that came from the
//! network is freed from control characters.

pub mod format;
pub mod table;
pub mod custom;
pub mod delimited;
pub mod shell;

use std::io::{self, Write};

use crate::report::Report;

pub use format::Format;

/// How a report is laid out.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// The format.
    pub format: Format,
    /// Names of the columns to print; empty for the usual ones.
    pub columns: Vec<String>,
    /// No header line.
    pub no_headers: bool,
    /// Thousands separators.
    pub separators: bool,
    /// The terminal's width, for shortening names; `None` to keep them whole.
    pub width: Option<usize>,
}

/// Writes a report.
pub fn write(report: &Report, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
    match &layout.format {
        Format::Table | Format::Wide => table::write(report, layout, out),
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &list(report))?;
            writeln!(out)
        }
        Format::Yaml => {
            let text = serde_saphyr::to_string(&list(report)).map_err(io::Error::other)?;
            out.write_all(text.as_bytes())
        }
        Format::Ndjson => report.rows.iter().try_for_each(|row| {
            let mut item = row.item.clone();
            if let (Some(item), Some(time)) = (item.as_object_mut(), report.metadata.get("snapshotTime")) {
                item.insert("snapshotTime".into(), time.clone());
            }
            serde_json::to_writer(&mut *out, &item)?;
            writeln!(out)
        }),
        Format::Csv => delimited::write(report, layout, b',', out),
        Format::Tsv => delimited::write(report, layout, b'\t', out),
        Format::Markdown => table::markdown(report, layout, out),
        Format::Name => report.rows.iter().try_for_each(|row| writeln!(out, "{}", table::clean(&row.name))),
        Format::Custom(columns) => custom::write(report, columns, layout, out),
    }
}

/// The whole document, in the order in which people read it.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: &'a serde_json::Value,
    items: Vec<&'a serde_json::Value>,
}

fn list(report: &Report) -> List<'_> {
    let items = report.rows.iter().map(|row| &row.item).collect();
    List { api_version: "khan.dev/v1", kind: report.kind, metadata: &report.metadata, items }
}
