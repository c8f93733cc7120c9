//! The parts of an opened row: summary, chart, the list of what it consists of, single connections.

use super::is_compact;

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
        14..22 => 4,
        _ => 6,
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

/// Lines of the part that has the cursor, on a screen of this size.
pub(crate) fn height(size: (u16, u16), contents: Contents) -> usize {
    let head = if is_compact(size) { 1 } else { 2 };
    let parts = parts(size.1.saturating_sub(head + 3), contents);
    let (_, height) = if contents.on_sample { parts.sample } else { parts.list };
    usize::from(height).saturating_sub(1)
}
