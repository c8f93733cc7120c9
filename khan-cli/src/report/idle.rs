//! Time since the last packet: the ranges of the idle histogram, which do not overlap, in words and in seconds.

use std::time::Duration;

use khan_api::snapshot::IDLE_BOUNDS_SECONDS;

use crate::duration;

/// From this many seconds, and below that many; `None` for no end.
pub(crate) type Range = (u32, Option<u32>);

/// The ranges of the histogram, in order.
pub(crate) fn ranges() -> impl Iterator<Item = Range> {
    let from = std::iter::once(0).chain(IDLE_BOUNDS_SECONDS);
    from.zip(IDLE_BOUNDS_SECONDS.into_iter().map(Some).chain([None]))
}

/// A range in words: `<1m`, `1-10m`, `10m-1h`, `>6h`.
pub(crate) fn words((from, to): Range) -> String {
    let text = |seconds: u32| duration::text(Duration::from_secs(seconds.into()));
    match (from, to) {
        (from, None) => format!(">{}", text(from)),
        (0, Some(to)) => format!("<{}", text(to)),
        (from, Some(to)) => {
            let (from, to) = (text(from), text(to));
            let unit = to.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{}-{to}", from.strip_suffix(unit).unwrap_or(&from))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_do_not_overlap_and_read_so() {
        let all: Vec<_> = ranges().collect();
        assert!(all.windows(2).all(|pair| pair[0].1 == Some(pair[1].0)), "{all:?}");
        assert_eq!(ranges().map(words).collect::<Vec<_>>(), ["<1m", "1-10m", "10m-1h", "1-6h", ">6h"]);
    }
}
