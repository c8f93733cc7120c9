//! The parts of an opened row: summary, chart, the list of what it consists of, single connections.

use super::{FOOT, TITLE};

/// How much there is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Rows of the list.
    pub rows: usize,
    /// Single connections, or lines said in their place.
    pub sample: usize,
    /// The cursor is among the single connections.
    pub on_sample: bool,
}

/// Where the parts are: first line and height, in lines of the screen's body. The summary is its first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Lines of the chart, below the summary.
    pub chart: u16,
    /// The list with its head.
    pub list: (u16, u16),
    /// Single connections with their head.
    pub sample: (u16, u16),
}

/// Divides a body of `height` lines. Each half takes what it needs; what one does not need the other may have.
pub(crate) fn parts(height: u16, contents: Contents) -> Parts {
    let chart = match height {
        0..14 => 0,
        14..18 => 4,
        18..24 => 6,
        24..32 => 8,
        _ => (height / 4).min(14),
    };
    let left = height.saturating_sub(1 + chart);
    let wanted = |rows: usize, least: u16| u16::try_from(rows + 1).unwrap_or(u16::MAX).max(least);
    let half = left / 2;
    let (list, sample) = if contents.on_sample {
        let list = wanted(contents.rows.max(7), 4).min(half);
        (list, left - list)
    } else {
        let sample = wanted(contents.sample.max(1), 3).min(half);
        (left - sample, sample)
    };
    Parts { chart, list: (1 + chart, list), sample: (1 + chart + list, sample) }
}

/// Lines of the part that has the cursor, on a screen of this height.
pub(crate) fn height(screen: u16, contents: Contents) -> usize {
    let parts = parts(body(screen), contents);
    let (_, height) = if contents.on_sample { parts.sample } else { parts.list };
    usize::from(height).saturating_sub(1)
}

/// Lines of the body of a screen of this height.
fn body(screen: u16) -> u16 {
    screen.saturating_sub(TITLE + FOOT)
}

/// The line at `y` of a screen of this height: in the list or in the sample, and which of the lines below its head.
pub(crate) fn line_at(screen: u16, contents: Contents, y: u16) -> Option<Line> {
    let y = y.checked_sub(TITLE)?;
    let parts = parts(body(screen), contents);
    let within = |(first, height): (u16, u16)| (first..first + height).contains(&y).then(|| y - first);
    let below = |y: u16| y.checked_sub(1).map(usize::from);
    match (within(parts.list), within(parts.sample)) {
        (Some(y), _) => Some(Line::List(below(y))),
        (None, Some(y)) => Some(Line::Sample(below(y))),
        (None, None) => None,
    }
}

/// A line of an opened row; `None` is the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Of the list.
    List(Option<usize>),
    /// Of the single connections.
    Sample(Option<usize>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_where_they_are_drawn() {
        let contents = Contents { rows: 3, sample: 50, on_sample: false };
        let parts = parts(body(30), contents);
        let at = |y: u16| line_at(30, contents, TITLE + y);
        assert_eq!((at(0), at(parts.chart)), (None, None));
        assert_eq!((at(parts.list.0), at(parts.list.0 + 2)), (Some(Line::List(None)), Some(Line::List(Some(1)))));
        assert_eq!(at(parts.sample.0), Some(Line::Sample(None)));
        assert_eq!(at(parts.sample.0 + parts.sample.1 - 1), Some(Line::Sample(Some(usize::from(parts.sample.1) - 2))));
        assert_eq!(at(parts.sample.0 + parts.sample.1), None, "that is the footer");
    }

    #[test]
    fn the_chart_grows_with_the_screen() {
        let contents = Contents { rows: 3, sample: 9, on_sample: false };
        assert_eq!([10, 24, 30, 50].map(|screen| parts(body(screen), contents).chart), [0, 6, 8, 11]);
    }
}
