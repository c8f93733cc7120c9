//! Values over time on one line of bars.

use crate::model::groups::past::{Point, Trend};
use crate::screen::glyphs::Glyphs;

/// Bars are computed in fractions of a connection.
const PARTS: u128 = 64;

/// The last `cells` samples, newest at the right: a bar per sample, a dot where a sample is missing, blank before the
/// row was first seen.
///
/// Not ratatui's `Sparkline`, whose scale starts at zero and which has one glyph for all that is absent. This scale spans
/// the values shown, but never less than a fifth of the largest: ripples stay ripples.
pub(super) fn sparkline(trend: &Trend, cells: usize, glyphs: &Glyphs) -> String {
    let points = squeeze(&trend.points, cells);
    let values = || points.iter().filter_map(|point| if let Point::Value(n) = point { Some(*n) } else { None });
    let (low, high) = (values().min().unwrap_or(0), values().max().unwrap_or(0));
    // In fractions, so that a range of one or two connections has a middle too.
    let (low, high) = (u128::from(low) * PARTS, u128::from(high) * PARTS);
    let range = (high - low).max(high / 5).max(PARTS);
    // A nearly constant value lies on the middle of a step, so that it does not flicker between two.
    let floor = low.saturating_sub((range - (high - low)) * 3 / 7);
    let bar = |point: &Point| match point {
        Point::Before => ' ',
        Point::Missing => glyphs.missing,
        Point::Value(n) => glyphs.bar(u128::from(*n) * PARTS - floor, range),
    };
    let bars: String = points.iter().map(bar).collect();
    format!("{}{bars}", " ".repeat(cells - points.len()))
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
        assert_eq!(sparkline(&values(&[4310, 4298, 4310, 4305]), 4, &UTF8), "▄▄▄▄");
        assert_eq!(sparkline(&values(&[0, 0, 0]), 3, &UTF8), "▁▁▁");
        assert_eq!(sparkline(&values(&[1, 1, 1]), 3, &UTF8), "▄▄▄");
        assert_eq!(sparkline(&values(&[6, 6, 7]), 3, &UTF8), "▂▂▇");
    }

    #[test]
    fn gaps_and_the_time_before_are_told_apart() {
        let points = [Point::Before, Point::Value(1), Point::Missing, Point::Value(9)];
        assert_eq!(sparkline(&trend(&points), 6, &UTF8), "   ▁·█");
        assert_eq!(sparkline(&trend(&[]), 3, &UTF8), "   ");
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
