//! `-o custom-columns`: paths into the JSON items, as kubectl does it.

use std::io::{self, Write};

use serde_json::Value;

use super::Layout;
use super::table::{align, clean};
use crate::report::Report;

pub(super) fn write(
    report: &Report,
    columns: &[(String, Vec<String>)],
    layout: &Layout,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut lines = Vec::with_capacity(report.rows.len() + 1);
    if !layout.no_headers {
        lines.push(columns.iter().map(|(header, _)| clean(header)).collect());
    }
    lines.extend(
        report.rows.iter().map(|row| columns.iter().map(|(_, path)| text(&row.item, path)).collect::<Vec<_>>()),
    );
    align(&lines, &vec![false; columns.len()], layout.width, out)
}

/// The first path that leads nowhere in any row: a mistake, and not a value that is missing, since rows write those as null.
pub(crate) fn unknown(report: &Report, columns: &[(String, Vec<String>)]) -> Option<String> {
    let items = || report.rows.iter().map(|row| &row.item);
    let missing = columns.iter().find(|(_, path)| !report.rows.is_empty() && !items().any(|item| leads(item, path)))?;
    Some(missing.1.join("."))
}

/// The fields of the rows, as far as the first has them.
pub(crate) fn names(report: &Report) -> Vec<&str> {
    let first = report.rows.first().and_then(|row| row.item.as_object());
    first.map(|item| item.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// Whether the path may lead somewhere. What lies below a value that is null here is not known; lists have any length, and
/// counts by state name only the states that occur.
fn leads(mut value: &Value, path: &[String]) -> bool {
    let mut open = false;
    for name in path {
        match value {
            Value::Null => return true,
            Value::Array(all) => {
                let Ok(at) = name.parse::<usize>() else { return false };
                let Some(next) = all.get(at) else { return true };
                value = next;
            }
            object => match object.get(name) {
                Some(next) => value = next,
                None => return open,
            },
        }
        open = name == "states";
    }
    true
}

fn text(item: &Value, path: &[String]) -> String {
    let found = path.iter().try_fold(item, |value, name| match value {
        Value::Array(all) => name.parse::<usize>().ok().and_then(|at| all.get(at)),
        object => object.get(name),
    });
    match found {
        None | Some(Value::Null) => "<none>".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "<none>".to_owned(),
        Some(Value::String(text)) => clean(text),
        Some(Value::Array(all)) => {
            let texts = all.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            clean(&texts.collect::<Vec<_>>().join(","))
        }
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Format, write};
    use crate::report::Line;

    #[test]
    fn paths_lead_into_items() {
        let item = serde_json::json!({"source": {"text": "shop/web"}, "connections": 7, "flags": ["NEW", "UNK"]});
        let report = Report { rows: vec![Line { item, ..Line::default() }], ..Report::default() };
        let format: Format =
            "custom-columns=FROM:.source.text,N:connections,F:.flags,F0:.flags[0],X:.no.way".parse().unwrap();
        let mut out = Vec::new();
        write(&report, &Layout { format, ..Layout::default() }, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "FROM       N   F         F0    X\nshop/web   7   NEW,UNK   NEW   <none>\n");
    }
}
