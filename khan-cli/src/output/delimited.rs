//! CSV (RFC 4180) and TSV with raw numbers. Text that a spreadsheet would take for a formula gets an apostrophe before it.

use std::io::{self, Write};

use super::Layout;
use super::table::{chosen, clean};
use crate::report::{Cell, Report};

pub(super) fn write(report: &Report, layout: &Layout, delimiter: u8, out: &mut dyn Write) -> io::Result<()> {
    let columns = chosen(report, layout);
    let terminator = csv::Terminator::Any(b'\n');
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).terminator(terminator).from_writer(out);
    if !layout.no_headers {
        writer.write_record(columns.iter().map(|at| report.columns[*at].key())).map_err(unwrap)?;
    }
    for row in &report.rows {
        writer.write_record(columns.iter().map(|at| field(&row.cells[*at]))).map_err(unwrap)?;
    }
    writer.flush()
}

fn field(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => {
            let text = clean(text);
            if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text }
        }
        number => number.raw(),
    }
}

fn unwrap(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use crate::output::{Format, Layout, write};
    use crate::report::{Head, Line, Report};

    use super::*;

    #[test]
    fn text_is_quoted_and_formulas_are_disarmed() {
        let row = |text: &str| Line { cells: vec![Cell::text(text), Cell::Change(-3)], ..Line::default() };
        let columns = vec![Head::text("source"), Head::number("delta")];
        let rows = vec![row("a,\"b\""), row("=SUM(A1)"), row("x\ty\n")];
        let report = Report { columns, rows, ..Report::default() };
        let print = |format| {
            let mut out = Vec::new();
            write(&report, &Layout { format, ..Layout::default() }, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(print(Format::Csv), "source,delta\n\"a,\"\"b\"\"\",-3\n'=SUM(A1),-3\nx y ,-3\n");
        assert!(print(Format::Tsv).contains("'=SUM(A1)\t-3\n"));
    }
}
