//! Durations as people write them: `500ms`, `30s`, `10m`, `1h30m`; flags take none of zero.

use std::time::Duration;

pub(crate) use khan_api::duration::{DurationError, parse_positive as parse, text};

/// Rounded to whole minutes, from one minute on.
pub(crate) fn roughly(time: Duration) -> Duration {
    let seconds = time.as_secs();
    Duration::from_secs(if seconds < 60 { seconds } else { seconds / 60 * 60 })
}
