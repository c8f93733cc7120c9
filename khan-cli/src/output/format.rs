//! `-o`.

use std::str::FromStr;

/// What is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns.
    #[default]
    Table,
    /// More of them.
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

/// The text names no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Unheard of.
    #[error(
        "--output: {0:?} is not one of table, wide, json, ndjson, yaml, csv, tsv, markdown, name, \
         custom-columns=HEADER:PATH,..."
    )]
    Unknown(String),
    /// A custom column without a path.
    #[error("--output: custom column {0:?} is not HEADER:PATH, for example FROM:.source.text")]
    Column(String),
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        if let Some(columns) = text.strip_prefix("custom-columns=") {
            return columns.split(',').map(column).collect::<Result<_, _>>().map(Self::Custom);
        }
        Ok(match text {
            "table" | "" => Self::Table,
            "wide" => Self::Wide,
            "json" => Self::Json,
            "ndjson" | "jsonl" => Self::Ndjson,
            "yaml" | "yml" => Self::Yaml,
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "markdown" | "md" => Self::Markdown,
            "name" => Self::Name,
            _ => return Err(FormatError::Unknown(text.to_owned())),
        })
    }
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
        assert_eq!("md".parse(), Ok(Format::Markdown));
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
