//! The history of a row as columns of blocks, with a scale and times.

use std::time::Duration;

use crate::model::groups::past::{Point, Trend};
use crate::screen::format;
use crate::screen::state::App;
use crate::screen::text::cells;
use crate::screen::widgets::canvas::Canvas;

use super::spark::stretch;

/// Cells for the numbers of the scale.
const SCALE: u16 = 6;

/// Draws `height - 1` lines of blocks above one line of times.
///
/// The scale begins at zero unless all values lie in the upper half: then it begins just below the lowest, so that what
/// changes is seen, and its numbers say so.
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
    let values = points.iter().filter_map(|p| if let Point::Value(n) = p { Some(*n) } else { None });
    let scale = Scale::new(values.clone().min().unwrap_or(0), values.max().unwrap_or(0), rows);
    for y in 0..rows {
        let from = u64::from(rows - 1 - y) * 8;
        let number = format::count_in(scale.at(rows - y), SCALE.into());
        canvas.put_right(SCALE, y, &number, styles.dim);
        canvas.put(SCALE + 1, y, glyphs.axis_tick, styles.dim);
        for (x, point) in (SCALE + 3..).zip(&points) {
            let cell = match point {
                Point::Missing if y == rows - 1 => glyphs.missing,
                Point::Before | Point::Missing => continue,
                Point::Value(n) => {
                    match usize::try_from(scale.eighths(*n).saturating_sub(from)).unwrap_or(usize::MAX) {
                        0 => continue,
                        9.. if scale.flat => continue,
                        step => glyphs.ramp[step.min(8) - 1],
                    }
                }
            };
            canvas.put_in(x, y, 1, cell.encode_utf8(&mut [0; 4]), styles.accent);
        }
    }
    canvas.put_right(SCALE, rows, &format::count_in(scale.base, SCALE.into()), styles.dim);
    clock(app, trend, points.len(), canvas, rows);
}

/// What the lines of a chart stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scale {
    /// Where it begins.
    base: u64,
    /// Connections that each line stands for, a round number.
    line: u64,
    /// The values hardly differ: they are drawn as a line, not as a wall.
    flat: bool,
}

impl Scale {
    /// For values from `low` to `high` on so many `rows`.
    fn new(low: u64, high: u64, rows: u16) -> Self {
        let rows = u64::from(rows.max(1));
        if low.saturating_mul(2) <= high {
            return Self { base: 0, line: round_up(high.max(1).div_ceil(rows)), flat: false };
        }
        // A flat row is a line: what lies within a fiftieth is as good as flat.
        let (range, span) = (high - low, (high - low).max(high / 50));
        let mut line = round_up(span.div_ceil(rows).max(1));
        loop {
            // The numbers at the lines are as round as the line itself.
            let power = 10_u64.pow(line.ilog10());
            let unit = power
                * match line / power {
                    5 => 5,
                    2 | 4 | 6 | 8 => 2,
                    _ => 1,
                };
            let spare = line.saturating_mul(rows).saturating_sub(range);
            let below = if range < span { spare / 2 } else { 0 };
            let base = low.saturating_sub(1).saturating_sub(below) / unit * unit;
            if line.saturating_mul(rows).saturating_add(base) >= high {
                return Self { base, line, flat: range < span };
            }
            line = round_up(line + 1);
        }
    }

    /// The number at the top of the line `n` from below, which is 0 for the base.
    fn at(self, n: u16) -> u64 {
        self.line.saturating_mul(n.into()).saturating_add(self.base)
    }

    /// Eighths of a line that a value fills. Whatever is there shows.
    fn eighths(self, value: u64) -> u64 {
        let filled = (u128::from(value.saturating_sub(self.base)) * 8).div_ceil(self.line.into());
        u64::try_from(filled).unwrap_or(u64::MAX).max(u64::from(value > 0))
    }
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
    use super::{Scale, round_up};

    #[test]
    fn a_scale_shows_what_changes() {
        let scale = |low, high, rows| {
            let scale = Scale::new(low, high, rows);
            (scale.base, scale.line)
        };
        assert_eq!(scale(0, 9_871, 5), (0, 2_000));
        assert_eq!(scale(5_682, 8_442, 5), (5_600, 600));
        assert_eq!(scale(2_656, 2_731, 5), (2_640, 20));
        assert_eq!(scale(4_310, 4_310, 5), (4_240, 20), "a flat row lies in the middle");
        assert_eq!(scale(1, 1, 5), (0, 1));
        assert_eq!(scale(0, 0, 1), (0, 1));
        for (low, high, rows) in [(u64::MAX - 5, u64::MAX, 1), (u64::MAX, u64::MAX, 9), (3, 5, 1), (99, 101, 3)] {
            let scale = Scale::new(low, high, rows);
            assert!(scale.base <= low && scale.at(rows) >= high, "{scale:?} of {low} to {high}");
            assert!((1..=u64::from(rows) * 8).contains(&scale.eighths(high)));
        }
    }

    #[test]
    fn scales_are_round() {
        assert_eq!([1, 7, 9, 11, 450, 9_871].map(round_up), [1, 8, 10, 20, 500, 10_000]);
        assert!(round_up(u64::MAX) >= u64::MAX / 2);
    }
}
