//! Durations as people write them: `500ms`, `30s`, `10m`, `1h30m`; flags take none of zero.

pub(crate) use khan_api::duration::{DurationError, parse_positive as parse, text};
