//! Values over time on one line of bars.

use crate::model::groups::past::{Point, Trend};
use crate::screen::format;
use crate::screen::glyphs::Glyphs;

/// Fewest bars beside which the range is written.
const BARS: usize = 10;

/// Cells of the range: `12,656-12,731`.
const RANGE: usize = 13;

/// The samples over the whole width, newest at the right: bars, dots where a sample is missing, blank before the row was first
/// seen. Where there is room, the range that the bars span is written after them.
///
/// Not ratatui's `Sparkline`, whose scale starts at zero and which has one glyph for all that is absent. This scale spans
/// the row's own values, from the smallest to the largest, so that +75 on 2,656 is seen; a row that stays is a flat line.
pub(super) fn sparkline(trend: &Trend, cells: usize, glyphs: &Glyphs) -> String {
    let values = || trend.points.iter().filter_map(|point| if let Point::Value(n) = point { Some(*n) } else { None });
    let (low, high) = (values().min().unwrap_or(0), values().max().unwrap_or(0));
    let room = cells.checked_sub(RANGE + 1).filter(|room| *room >= BARS);
    let points = stretch(&trend.points, room.unwrap_or(cells));
    let bar = |point: &Point| match point {
        Point::Before => ' ',
        Point::Missing => glyphs.missing,
        Point::Value(n) => glyphs.bar(u128::from(n.saturating_sub(low)), u128::from(high - low)),
    };
    let bars: String = points.iter().map(bar).collect();
    match room {
        Some(_) if values().next().is_some() => format!("{bars} {:<RANGE$}", range(low, high)),
        _ => bars,
    }
}

/// The smallest and the largest value, in full where they fit.
fn range(low: u64, high: u64) -> String {
    if low == high {
        return format::count_in(low, RANGE);
    }
    let full = format!("{}-{}", format::count(low), format::count(high));
    if full.len() <= RANGE { full } else { format!("{}-{}", format::short(low), format::short(high)) }
}

/// At most `cells` points; where there are more, each stands for several and shows their largest value.
pub(super) fn squeeze(points: &[Point], cells: usize) -> Vec<Point> {
    if points.len() <= cells {
        return points.to_vec();
    }
    let cut = |i: usize| i * points.len() / cells.max(1);
    (0..cells).map(|i| points[cut(i)..cut(i + 1)].iter().copied().max_by_key(rank).unwrap_or(Point::Before)).collect()
}

/// As many points as there are cells: fewer are repeated, more are squeezed.
pub(super) fn stretch(points: &[Point], cells: usize) -> Vec<Point> {
    if points.len() >= cells || points.is_empty() {
        return squeeze(points, cells);
    }
    (0..cells).map(|cell| points[cell * points.len() / cells]).collect()
}

fn rank(point: &Point) -> (u8, u64) {
    match point {
        Point::Before => (0, 0),
        Point::Missing => (1, 0),
        Point::Value(n) => (2, *n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::glyphs::{ASCII, UTF8};

    fn trend(points: &[Point]) -> Trend {
        Trend { at: vec![khan_api::Timestamp::default(); points.len()], points: points.to_vec() }
    }

    fn values(values: &[u64]) -> Trend {
        trend(&values.iter().map(|n| Point::Value(*n)).collect::<Vec<_>>())
    }

    #[test]
    fn growth_climbs_and_steadiness_lies_flat() {
        assert_eq!(sparkline(&values(&[7000, 8000, 9000, 10000]), 4, &UTF8), "▁▃▆█");
        assert_eq!(sparkline(&values(&[7000, 8000, 9000, 10000]), 4, &ASCII), "_-*@");
        assert_eq!(sparkline(&values(&[0, 0, 0]), 3, &UTF8), "▁▁▁");
        assert_eq!(sparkline(&values(&[4310, 4310, 4310]), 3, &UTF8), "▁▁▁");
        assert_eq!(sparkline(&values(&[6, 6, 7]), 3, &UTF8), "▁▁█");
    }

    #[test]
    fn a_small_rise_on_a_large_number_is_seen_and_its_range_read() {
        let rise: Vec<_> = (0..=10).map(|step| 2_656 + step * 75 / 10).collect();
        assert_eq!(sparkline(&values(&rise), 25, &UTF8), "▁▂▂▃▄▄▅▆▇▇█ 2,656-2,731  ");
        assert_eq!(sparkline(&values(&[4_310; 10]), 25, &UTF8), "▁▁▁▁▁▁▁▁▁▁▁ 4,310        ");
        assert_eq!(sparkline(&values(&[99, 1_250_000]), 24, &ASCII), "_____@@@@@ 99-1,250,000 ");
        assert_eq!(sparkline(&values(&[950_000, 1_250_000]), 24, &ASCII), "_____@@@@@ 950k-1.2M    ");
        assert_eq!(sparkline(&trend(&[]), 25, &UTF8), "");
    }

    #[test]
    fn gaps_and_the_time_before_are_told_apart() {
        let points = [Point::Before, Point::Value(1), Point::Missing, Point::Value(9)];
        assert_eq!(sparkline(&trend(&points), 4, &UTF8), " ▁·█");
        assert_eq!(sparkline(&trend(&points), 8, &UTF8), "  ▁▁··██", "few samples fill the width too");
        assert_eq!(sparkline(&trend(&[]), 3, &UTF8), "");
    }

    #[test]
    fn more_samples_than_cells_keep_their_peaks() {
        let mut points = vec![1; 100];
        points[50] = 100;
        let line = sparkline(&values(&points), 10, &UTF8);
        assert_eq!(line.chars().count(), 10);
        assert_eq!(line.chars().filter(|c| *c == '█').count(), 1);
    }
}
