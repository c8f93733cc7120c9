//! How many connections an owner can take, as whoever runs it says.

use std::fmt;
use std::num::NonZeroU32;

/// The annotation of a pod or service, and the last word of a line of external names, `khan/max-connections=100`.
pub const MAX_CONNECTIONS: &str = "khan/max-connections";

/// The text is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseLimitError;

impl fmt::Display for ParseLimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a whole number from 1 to 4294967295")
    }
}

impl std::error::Error for ParseLimitError {}

/// Reads the value of [`MAX_CONNECTIONS`].
///
/// ```
/// use khan_api::limit::parse;
/// assert_eq!(parse("100").unwrap().get(), 100);
/// assert!(["0", "-1", "+1", " 1", "1e3", "1.5", "many", ""].into_iter().all(|text| parse(text).is_err()));
/// ```
pub fn parse(text: &str) -> Result<NonZeroU32, ParseLimitError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(ParseLimitError)
}
