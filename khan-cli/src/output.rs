//! Reports to text: what commands print without a screen. Only data goes to stdout; every text that came from the
//! network is freed from control characters.
//!
//! A format is a variant of [`Format`], its name in [`FORMATS`], and how [`write`] writes it: all in this file.

pub(crate) mod table;
pub(crate) mod custom;
pub(crate) mod delimited;

use std::io::{self, Write};
use std::str::FromStr;

use crate::report::Report;

/// How a report is written; the value of `-o`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// Aligned columns.
    #[default]
    Table,
    /// Aligned columns, also those for wide terminals.
    Wide,
    /// One object.
    Json,
    /// One object a line.
    Ndjson,
    /// One document.
    Yaml,
    /// RFC 4180.
    Csv,
    /// Tabs instead of commas.
    Tsv,
    /// A table for a ticket.
    Markdown,
    /// One name a line.
    Name,
    /// `HEADER:PATH` pairs over the JSON items.
    Custom(Vec<(String, Vec<String>)>),
}

/// The names of the formats that need nothing more, the usual one first.
const FORMATS: [(&str, Format); 12] = [
    ("table", Format::Table),
    ("wide", Format::Wide),
    ("json", Format::Json),
    ("ndjson", Format::Ndjson),
    ("yaml", Format::Yaml),
    ("csv", Format::Csv),
    ("tsv", Format::Tsv),
    ("markdown", Format::Markdown),
    ("name", Format::Name),
    // Short forms that other tools take.
    ("jsonl", Format::Ndjson),
    ("yml", Format::Yaml),
    ("md", Format::Markdown),
];

/// Why a text is no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormatError {
    /// No format has this name.
    #[error(
        "--output: {0:?} is not one of table, wide, json, ndjson, yaml, csv, tsv, markdown, name, \
         custom-columns=HEADER:PATH,..."
    )]
    Unknown(String),
    /// A custom column without a path.
    #[error("--output: custom column {0:?} is not HEADER:PATH, for example FROM:.source.text")]
    Column(String),
}

/// The names of formats.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().map(|(name, _)| *name).take_while(|name| *name != "jsonl").chain(["custom-columns="])
}

impl FromStr for Format {
    type Err = FormatError;

    /// Reads the value of `-o`; empty for the usual format.
    fn from_str(text: &str) -> Result<Self, FormatError> {
        if let Some(columns) = text.strip_prefix("custom-columns=") {
            return columns.split(',').map(column).collect::<Result<_, _>>().map(Self::Custom);
        }
        let named = FORMATS.into_iter().find(|(name, _)| *name == text).map(|(_, format)| format);
        let usual = text.is_empty().then(Self::default);
        named.or(usual).ok_or_else(|| FormatError::Unknown(text.to_owned()))
    }
}

/// How a report is laid out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
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
pub(crate) fn write(report: &Report, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
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

fn column(text: &str) -> Result<(String, Vec<String>), FormatError> {
    let wrong = || FormatError::Column(text.to_owned());
    let (header, path) = text.split_once(':').ok_or_else(wrong)?;
    let path = path.trim_matches(['{', '}']).replace('[', ".").replace(']', "");
    let path: Vec<_> = path.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    if header.is_empty() || path.is_empty() { Err(wrong()) } else { Ok((header.to_owned(), path)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read_and_mistakes_named() {
        assert_eq!("".parse(), Ok(Format::Table));
        assert_eq!("md".parse(), Ok(Format::Markdown));
        let error = FormatError::Unknown("xml".into()).to_string();
        assert!(FORMATS[..9].iter().all(|(name, _)| error.contains(name)), "{error}");
        let custom = Format::Custom(vec![
            ("FROM".into(), vec!["source".into(), "text".into()]),
            ("FLAG".into(), vec!["flags".into(), "0".into()]),
        ]);
        assert_eq!("custom-columns=FROM:.source.text,FLAG:{.flags[0]}".parse(), Ok(custom));
        assert_eq!("xml".parse::<Format>(), Err(FormatError::Unknown("xml".into())));
        for bad in ["A", "A:", ":.x", ""] {
            assert_eq!(format!("custom-columns={bad}").parse::<Format>(), Err(FormatError::Column(bad.into())));
        }
    }
}
