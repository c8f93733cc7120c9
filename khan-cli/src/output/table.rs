//! Aligned columns as kubectl prints them: upper-case headers, gaps of three blanks, no lines; and the same for Markdown.

use std::io::{self, Write};

use khan_api::text::printable;
use unicode_width::UnicodeWidthStr;

use super::{Format, Layout};
use crate::report::{Cell, Head, Report};

const GAP: usize = 3;
/// Text columns are never made narrower than this.
const NARROWEST: usize = 12;

/// The indexes of the columns to print, in order. Names that no column has are left out.
pub(super) fn chosen(report: &Report, layout: &Layout) -> Vec<usize> {
    if layout.columns.is_empty() {
        let wide = !matches!(layout.format, Format::Table | Format::Markdown);
        let all = report.columns.iter().enumerate();
        let usual = |column: &Head| !column.asked && (wide || !column.wide);
        return all.filter(|(_, column)| usual(column)).map(|(index, _)| index).collect();
    }
    let position = |name: &String| report.columns.iter().position(|column| column.is_called(name));
    layout.columns.iter().filter_map(position).collect()
}

pub(super) fn write(report: &Report, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
    if report.rows.is_empty() {
        return Ok(());
    }
    let columns: Vec<(usize, Head)> = chosen(report, layout).into_iter().map(|at| (at, report.columns[at])).collect();
    let mut lines: Vec<Vec<String>> = Vec::with_capacity(report.rows.len() + 1);
    if !layout.no_headers {
        lines.push(columns.iter().map(|(_, column)| column.header()).collect());
    }
    let show = |cell: &Cell| clean(&cell.show(layout.separators));
    lines.extend(report.rows.iter().map(|row| columns.iter().map(|(at, _)| show(&row.cells[*at])).collect()));
    let rights: Vec<_> = columns.iter().map(|(_, column)| column.right).collect();
    align(&lines, &rights, layout.width, out)
}

/// Writes lines of cells as columns, shortened to `width` where one is given.
pub(super) fn align(
    lines: &[Vec<String>],
    right: &[bool],
    width: Option<usize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut widths: Vec<usize> =
        (0..right.len()).map(|at| lines.iter().map(|line| line[at].width()).max().unwrap_or(0)).collect();
    if let Some(width) = width {
        narrow(&mut widths, right, width);
    }
    let mut text = String::new();
    for line in lines {
        text.clear();
        for (at, cell) in line.iter().enumerate() {
            let cell = shorten(cell, widths[at]);
            let blanks = " ".repeat(widths[at].saturating_sub(cell.width()));
            if at > 0 {
                text.push_str(&" ".repeat(GAP));
            }
            if right[at] {
                text.push_str(&blanks);
                text.push_str(&cell);
            } else {
                text.push_str(&cell);
                text.push_str(&blanks);
            }
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

/// Takes from the widest text columns until the line fits, or nothing more can be taken.
fn narrow(widths: &mut [usize], right: &[bool], width: usize) {
    loop {
        let total = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        let widest = (0..widths.len()).filter(|at| !right[*at]).max_by_key(|at| widths[*at]);
        match widest {
            Some(at) if total > width && widths[at] > NARROWEST => widths[at] -= 1,
            _ => return,
        }
    }
}

fn shorten(cell: &str, width: usize) -> String {
    if cell.width() <= width {
        return cell.to_owned();
    }
    let mut text = String::new();
    for c in cell.chars() {
        if text.width() + c.to_string().width() + 1 > width {
            break;
        }
        text.push(c);
    }
    text.push('…');
    text
}

/// Untrusted text from files or arguments, made printable on one line.
pub(crate) fn clean(text: &str) -> String {
    printable(text).into_owned()
}

pub(super) fn markdown(report: &Report, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
    let columns = chosen(report, layout);
    let cell = |text: &str| clean(text).replace('|', "\\|");
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    if !layout.no_headers {
        writeln!(out, "{}", line(columns.iter().map(|at| cell(&report.columns[*at].header())).collect()))?;
        let rule = |at: &usize| if report.columns[*at].right { "---:".to_owned() } else { "---".to_owned() };
        writeln!(out, "{}", line(columns.iter().map(rule).collect()))?;
    }
    report.rows.iter().try_for_each(|row| {
        let cells = columns.iter().map(|at| cell(&row.cells[*at].show(layout.separators)));
        writeln!(out, "{}", line(cells.collect()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Line;

    fn report() -> Report {
        let row = |from: &str, n| Line {
            cells: vec![Cell::text(from), Cell::Count(n), Cell::Missing],
            name: from.into(),
            ..Line::default()
        };
        Report {
            columns: vec![Head::text("source"), Head::number("conns"), Head::text("node").wide()],
            rows: vec![row("shop/checkout-with-a-long-name", 9_871), row("a|b\x1b[31m", 5)],
            ..Report::default()
        }
    }

    fn printed(layout: &Layout) -> String {
        let mut out = Vec::new();
        super::super::write(&report(), layout, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_aligned_and_control_characters_harmless() {
        let expected = "SOURCE                           CONNS\n\
                        shop/checkout-with-a-long-name    9871\n\
                        a|b\u{fffd}[31m                             5\n";
        assert_eq!(printed(&Layout::default()), expected);
    }

    #[test]
    fn a_narrow_terminal_shortens_names_only() {
        let narrow = printed(&Layout { width: Some(24), separators: true, ..Layout::default() });
        assert_eq!(narrow.lines().nth(1), Some("shop/checkout-w…   9,871"));
        assert!(printed(&Layout { width: Some(1), ..Layout::default() }).lines().all(|line| line.width() <= 20));
    }

    #[test]
    fn chosen_columns_come_in_the_order_asked() {
        let layout = Layout { columns: vec!["node".into(), "CONNS".into()], no_headers: true, ..Layout::default() };
        assert_eq!(printed(&layout), "-   9871\n-      5\n");
        let wide = Layout { format: Format::Wide, ..Layout::default() };
        assert!(printed(&wide).starts_with("SOURCE                           CONNS   NODE\n"));
    }

    #[test]
    fn markdown_keeps_its_bars() {
        let text = printed(&Layout { format: Format::Markdown, ..Layout::default() });
        assert!(text.starts_with("| SOURCE | CONNS |\n| --- | ---: |\n"), "{text}");
        assert!(text.contains("| a\\|b\u{fffd}[31m | 5 |"), "{text}");
    }
}
