//! Durations as people write them on a command line: `500ms`, `30s`, `10m`, `1h30m`.

use std::fmt;
use std::time::Duration;

/// The text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseDurationError;

impl fmt::Display for ParseDurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a duration such as 500ms, 30s, 10m or 1h30m (units: ms, s, m, h, d)")
    }
}

impl std::error::Error for ParseDurationError {}

/// Reads whole numbers with units `ms`, `s`, `m`, `h` and `d`, largest unit first. A bare number has no unit and is
/// refused, except `0`. Made for clap's `value_parser`.
///
/// ```
/// use std::time::Duration;
/// use khan_serve::duration::parse;
/// assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5400)));
/// assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
/// assert!(parse("30").is_err());
/// ```
pub fn parse(text: &str) -> Result<Duration, ParseDurationError> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(ParseDurationError)?;
        let number: u64 = rest[..digits].parse().map_err(|_| ParseDurationError)?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(ParseDurationError),
        };
        if unit >= smallest {
            return Err(ParseDurationError);
        }
        smallest = unit;
        rest = &rest[letters..];
        total = number.checked_mul(unit).and_then(|n| total.checked_add(n)).ok_or(ParseDurationError)?;
    }
    if smallest == u64::MAX { Err(ParseDurationError) } else { Ok(Duration::from_millis(total)) }
}

/// A duration that must not be zero: for periods and deadlines.
pub fn parse_positive(text: &str) -> Result<Duration, String> {
    match parse(text) {
        Ok(Duration::ZERO) => Err("must be longer than zero".into()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_message_names() {
        for (text, millis) in
            [("0", 0), ("0s", 0), ("500ms", 500), ("30s", 30_000), ("10m", 600_000), ("1d2h3m4s5ms", 93_784_005)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in ["", "30", "s", "-1s", "1.5s", "1 s", "30m1h", "1s1s", "1S", "1w", "99999999999999999999s", "1hé"]
        {
            assert_eq!(parse(text), Err(ParseDurationError), "{text}");
        }
        assert!(parse_positive("0ms").is_err());
    }
}
