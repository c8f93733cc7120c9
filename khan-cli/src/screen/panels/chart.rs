//! The history of a row as columns of blocks, with a scale and times.

use std::time::Duration;

use crate::model::groups::past::{Point, Trend};
use crate::screen::format;
use crate::screen::state::App;
use crate::screen::text::cells;
use crate::screen::widgets::canvas::Canvas;

use super::spark::stretch;

/// Cells for the numbers of the scale.
const SCALE: u16 = 5;

/// Draws `height - 1` lines of blocks above one line of times.
///
/// Not ratatui's `Sparkline`, which fills the whole height where a sample is missing, nor its `Chart`, which has no bars.
pub(super) fn draw(app: &App, trend: &Trend, canvas: &mut Canvas<'_>) {
    let (glyphs, styles) = (app.settings.glyphs(), app.settings.styles());
    let rows = canvas.height().saturating_sub(1);
    let width = canvas.width().saturating_sub(SCALE + 3);
    if rows == 0 || width < 8 {
        return;
    }
    let points = stretch(&trend.points, width.into());
    let top = points.iter().filter_map(|p| if let Point::Value(n) = p { Some(*n) } else { None }).max().unwrap_or(0);
    // Each line stands for a round number of connections.
    let line = round_up(top.max(1).div_ceil(rows.into()));
    let (scale, levels) = (line.saturating_mul(rows.into()), u64::from(rows) * 8);
    for y in 0..rows {
        let from = u64::from(rows - 1 - y) * 8;
        canvas.put_right(SCALE, y, &format::short(line.saturating_mul(u64::from(rows - y))), styles.dim);
        canvas.put(SCALE + 1, y, glyphs.axis_tick, styles.dim);
        for (x, point) in (SCALE + 3..).zip(&points) {
            let cell = match point {
                Point::Missing if y == rows - 1 => glyphs.missing,
                Point::Before | Point::Missing => continue,
                Point::Value(n) => {
                    let filled = (u128::from(*n) * u128::from(levels)).div_ceil(scale.into());
                    match usize::try_from(filled.saturating_sub(from.into()).min(8)).unwrap_or(8) {
                        0 => continue,
                        step => glyphs.ramp[step - 1],
                    }
                }
            };
            canvas.put_in(x, y, 1, cell.encode_utf8(&mut [0; 4]), styles.accent);
        }
    }
    clock(app, trend, points.len(), canvas, rows);
}

fn clock(app: &App, trend: &Trend, drawn: usize, canvas: &mut Canvas<'_>, y: u16) {
    let (glyphs, styles) = (app.settings.glyphs(), app.settings.styles());
    canvas.put(SCALE + 1, y, glyphs.axis_corner, styles.dim);
    let mut x = SCALE + 2;
    while x < canvas.width().saturating_sub(1) {
        canvas.put(x, y, glyphs.rule, styles.dim);
        x += 1;
    }
    if trend.at.is_empty() || drawn == 0 {
        return;
    }
    let span = trend.at.last().map_or(Duration::ZERO, |newest| newest.since(trend.at[0]));
    let brief = span < Duration::from_mins(8);
    let marks = if drawn >= 60 {
        4
    } else if drawn >= 24 {
        2
    } else {
        1
    };
    for i in 0..marks {
        let cell = i * drawn / marks;
        let at = (cell * trend.at.len() / drawn).min(trend.at.len() - 1);
        let label = if brief { format::clock } else { format::clock_minutes }(trend.at[at], app.settings.zone());
        let label = format!(" {label} ");
        let x = SCALE + 2 + u16::try_from(cell).unwrap_or(0);
        if x + cells(&label) < canvas.width() {
            canvas.put(x, y, &label, styles.dim);
        }
    }
}

/// The smallest number that is not less, of the form 1, 2, 3, 4, 5, 6, 8 times a power of ten.
fn round_up(n: u64) -> u64 {
    let mut power = 1;
    loop {
        for step in [1, 2, 3, 4, 5, 6, 8] {
            if step * power >= n {
                return step * power;
            }
        }
        match power.checked_mul(10) {
            Some(next) if next < u64::MAX / 80 => power = next,
            _ => return n,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::round_up;

    #[test]
    fn scales_are_round() {
        assert_eq!([1, 7, 9, 11, 450, 9_871].map(round_up), [1, 8, 10, 20, 500, 10_000]);
        assert!(round_up(u64::MAX) >= u64::MAX / 2);
    }
}
