//! A terminal's screen as a picture: cells of one size, texts in runs of one look.

use std::fmt::Write as _;

use vt100::{Cell, Color, Screen};

/// Size of a cell, and the room around all of them.
const CELL: (f64, f64) = (8.4, 18.0);
const MARGIN: f64 = 14.0;
const BACKGROUND: &str = "#16181d";
const TEXT: &str = "#d6d8dc";
/// The sixteen colours of the palette, for programs that use them.
const PALETTE: [&str; 16] = [
    "#2a2d34", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d6d8dc", "#5c6370", "#ff7b86",
    "#b5e08f", "#ffd787", "#7cc4ff", "#dd9ff0", "#76d6e2", "#ffffff",
];

/// How a run of cells looks.
#[derive(Clone, PartialEq)]
struct Look {
    ink: String,
    paper: Option<String>,
    bold: bool,
    underline: bool,
    opacity: bool,
}

impl Look {
    fn of(cell: &Cell) -> Self {
        let ink = colour(cell.fgcolor()).unwrap_or_else(|| TEXT.to_owned());
        let paper = colour(cell.bgcolor());
        let (ink, paper) = match (cell.inverse(), paper) {
            (true, paper) => (paper.unwrap_or_else(|| BACKGROUND.to_owned()), Some(ink)),
            (false, paper) => (ink, paper),
        };
        Self { ink, paper, bold: cell.bold(), underline: cell.underline(), opacity: cell.dim() }
    }

    fn attributes(&self) -> String {
        let mut text = String::new();
        if self.ink != TEXT {
            let _ = write!(text, " fill=\"{}\"", self.ink);
        }
        for (on, attribute) in [
            (self.bold, " font-weight=\"bold\""),
            (self.underline, " text-decoration=\"underline\""),
            (self.opacity, " opacity=\".6\""),
        ] {
            if on {
                text.push_str(attribute);
            }
        }
        text
    }
}

fn colour(colour: Color) -> Option<String> {
    match colour {
        Color::Default => None,
        Color::Idx(n) => Some(PALETTE.get(usize::from(n)).map_or_else(|| cube(n), |entry| (*entry).to_owned())),
        Color::Rgb(r, g, b) => Some(format!("#{r:02x}{g:02x}{b:02x}")),
    }
}

/// The 6 x 6 x 6 cube and the greys of the 256-colour palette.
fn cube(n: u8) -> String {
    if n >= 232 {
        let level = 8 + 10 * (n - 232);
        return format!("#{level:02x}{level:02x}{level:02x}");
    }
    let level = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
    let n = n - 16;
    format!("#{:02x}{:02x}{:02x}", level(n / 36), level(n / 6 % 6), level(n % 6))
}

/// The screen as an SVG document, with `title` for those who cannot see it.
pub(crate) fn svg(screen: &Screen, title: &str) -> String {
    let (rows, columns) = screen.size();
    let (rows, columns) = (rows.get(), columns.get());
    let (width, height) = (f64::from(columns) * CELL.0 + 2.0 * MARGIN, f64::from(rows) * CELL.1 + 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" role=\"img\">\n<title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n\
         <g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" \
         font-size=\"14\" fill=\"{TEXT}\" xml:space=\"preserve\">\n",
        escape(title)
    );
    for y in 0..rows {
        let cells: Vec<_> = (0..columns).filter_map(|x| screen.cell(y, x)).collect();
        papers(&mut svg, &cells, y);
        let mut start = 0;
        while start < cells.len() {
            let look = Look::of(cells[start]);
            let end = (start..cells.len()).find(|x| Look::of(cells[*x]) != look).unwrap_or(cells.len());
            run(&mut svg, &cells[start..end], start, y, &look);
            start = end;
        }
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// The paper behind the cells of a line: one piece as long as it is of one colour, so that no seam shows.
fn papers(svg: &mut String, cells: &[&Cell], y: u16) {
    let paper = |x: usize| cells.get(x).and_then(|cell| Look::of(cell).paper);
    let mut start = 0;
    while start < cells.len() {
        let end = (start..cells.len()).find(|x| paper(*x) != paper(start)).unwrap_or(cells.len());
        if let Some(colour) = paper(start) {
            let (x, width) = (left(start), (end - start) as f64 * CELL.0);
            let (y, height) = (top(y), CELL.1);
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{colour}\"/>"
            );
        }
        start = end;
    }
}

fn left(x: usize) -> f64 {
    MARGIN + (x as f64) * CELL.0
}

fn top(y: u16) -> f64 {
    MARGIN + f64::from(y) * CELL.1
}

/// Cells of one look: their text in words that keep their places whatever font is used.
fn run(svg: &mut String, cells: &[&Cell], start: usize, y: u16, look: &Look) {
    let text: Vec<&str> = cells.iter().map(|cell| if cell.has_contents() { cell.contents() } else { " " }).collect();
    // A gap of two cells or more parts words; the rest of the line depends on no font's width of a space.
    let mut x = 0;
    while x < text.len() {
        if text[x] == " " {
            x += 1;
            continue;
        }
        let end =
            (x..text.len()).find(|end| text[*end..].iter().take(2).all(|cell| *cell == " ")).unwrap_or(text.len());
        let words = text[x..end].concat();
        let length = (end - x) as f64 * CELL.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" textLength=\"{length:.1}\"{}>{}</text>",
            left(start + x),
            top(y) + 13.5,
            look.attributes(),
            escape(&words)
        );
        x = end;
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
