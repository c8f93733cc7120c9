//! How to read the next list: streamed while the server can do that, else page by page.
//!
//! A server may refuse to stream in any way at all, so what it says decides nothing. As in client-go, a streamed list that
//! fails is read in pages at once; when the pages come, streaming was at fault, and that is remembered.

use std::time::{Duration, Instant};

use super::reason::Failure;

/// Servers are upgraded while the controller runs; trying again costs one request.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(1);

/// How a list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    /// As the first events of a watch (WatchList): the server and we hold one object at a time.
    Streamed,
    /// Page by page.
    Paged,
}

/// What is known of one resource's streaming.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Streaming {
    /// Nothing speaks against it.
    #[default]
    Possible,
    /// It failed, and so may everything.
    Suspected,
    /// It failed, and pages did not.
    Refused(Instant),
}

impl Streaming {
    /// How to read the next list.
    pub(super) fn listing(self, now: Instant) -> Listing {
        match self {
            Self::Suspected => Listing::Paged,
            Self::Refused(at) if now.duration_since(at) < FORGOTTEN_AFTER => Listing::Paged,
            Self::Possible | Self::Refused(_) => Listing::Streamed,
        }
    }

    /// A list failed. Whether there is another way to try at once.
    pub(super) fn failed(&mut self, listing: Listing, failure: &Failure) -> bool {
        match (listing, *self) {
            (Listing::Streamed, _) if failure.is_of_any_request => false,
            (Listing::Streamed, _) => {
                *self = Self::Suspected;
                true
            }
            (Listing::Paged, Self::Suspected) => {
                *self = Self::Possible;
                false
            }
            (Listing::Paged, _) => false,
        }
    }

    /// A list is complete. Whether that shows that the server does not stream.
    pub(super) fn complete(&mut self, listing: Listing, now: Instant) -> bool {
        match (listing, *self) {
            (Listing::Streamed, _) => {
                *self = Self::Possible;
                false
            }
            (Listing::Paged, Self::Suspected) => {
                *self = Self::Refused(now);
                true
            }
            (Listing::Paged, _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(is_of_any_request: bool) -> Failure {
        Failure { reason: "server_error", sentence: String::new(), is_of_any_request }
    }

    #[test]
    fn pages_that_come_after_streaming_failed_are_kept_for_an_hour() {
        let (mut streaming, now) = (Streaming::default(), Instant::now());
        assert!(streaming.failed(Listing::Streamed, &failure(false)));
        assert_eq!(streaming.listing(now), Listing::Paged);
        assert!(streaming.complete(Listing::Paged, now));
        // Later failures of pages say nothing about streaming.
        assert!(!streaming.failed(Listing::Paged, &failure(false)));
        assert!(!streaming.complete(Listing::Paged, now));
        assert_eq!(streaming.listing(now + FORGOTTEN_AFTER / 2), Listing::Paged);
        assert_eq!(streaming.listing(now + FORGOTTEN_AFTER), Listing::Streamed);
    }

    #[test]
    fn both_ways_take_turns_while_neither_works() {
        let mut streaming = Streaming::default();
        for _ in 0..3 {
            assert_eq!(streaming.listing(Instant::now()), Listing::Streamed);
            assert!(streaming.failed(Listing::Streamed, &failure(false)));
            assert_eq!(streaming.listing(Instant::now()), Listing::Paged);
            assert!(!streaming.failed(Listing::Paged, &failure(false)));
        }
        assert_eq!(streaming.listing(Instant::now()), Listing::Streamed);
    }

    #[test]
    fn a_server_that_takes_no_request_says_nothing_about_streaming() {
        let mut streaming = Streaming::default();
        assert!(!streaming.failed(Listing::Streamed, &failure(true)));
        assert_eq!(streaming.listing(Instant::now()), Listing::Streamed);
    }
}
