//! When a source that failed is asked again.

use std::time::Duration;

use khan_api::Timestamp;
use khan_serve::backoff;

use crate::model::node::Failure;

/// Pause before the first retry.
const FIRST: Duration = Duration::from_secs(1);
/// Longest pause.
const LONGEST: Duration = Duration::from_secs(30);

/// The pause after this many failures in a row, at least one, and when it ends.
pub(crate) fn pause(failures: u32, now: Timestamp) -> (Duration, Timestamp) {
    let pause = backoff::pause((FIRST, LONGEST), failures.saturating_sub(1));
    let millis = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
    (pause, Timestamp::from_millis(now.millis().saturating_add(millis)))
}

/// A failure at `now` after the `last` one, if that has not ended, and the pause before the next attempt.
pub(crate) fn failed(reason: String, last: Option<&Failure>, now: Timestamp) -> (Failure, Duration) {
    let failure = Failure::after(last, reason, now, None);
    let (pause, next) = pause(failure.attempts, now);
    (Failure { next: Some(next), ..failure }, pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_are_one_with_longer_pauses() {
        let at = |seconds: i64| Timestamp::from_seconds(1_800_000_000 + seconds);
        let (first, pause) = failed("refused".into(), None, at(0));
        assert!(pause <= FIRST && first.next > Some(at(0)) && first.next <= Some(at(1)), "{first:?}");
        let (second, _) = failed("timed out".into(), Some(&first), at(1));
        assert_eq!((&*second.reason, second.since, second.attempts), ("timed out", at(0), 2));
        let (pause, next) = super::pause(u32::MAX, at(0));
        assert!(pause <= LONGEST && next <= at(30));
    }
}
