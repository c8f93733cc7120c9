//! Durations as people write them on command lines and in queries, and as Khan prints them: `500ms`, `30s`, `10m`, `1h30m`.

use std::fmt;
use std::time::Duration;

/// Milliseconds in each unit.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The text is not a duration that is allowed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurationError {
    /// Not whole numbers with units, or more than 2^64 milliseconds.
    Malformed,
    /// Zero, where only a longer duration makes sense.
    Zero,
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "expected a duration such as 500ms, 30s, 10m or 1h30m (units: ms, s, m, h, d)",
            Self::Zero => "must be longer than zero",
        })
    }
}

impl std::error::Error for DurationError {}

/// Reads whole numbers with units `ms`, `s`, `m`, `h` and `d`, largest unit first. A bare number has no unit and is
/// refused, except `0`.
///
/// ```
/// use std::time::Duration;
/// use khan_api::duration::parse;
/// assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5400)));
/// assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
/// assert!(parse("30").is_err());
/// ```
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(DurationError::Malformed)?;
        let number: u64 = rest[..digits].parse().map_err(|_| DurationError::Malformed)?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (_, unit) =
            UNITS.into_iter().find(|(unit, _)| *unit == &rest[..letters]).ok_or(DurationError::Malformed)?;
        if unit >= smallest {
            return Err(DurationError::Malformed);
        }
        smallest = unit;
        rest = &rest[letters..];
        total = number.checked_mul(unit).and_then(|n| total.checked_add(n)).ok_or(DurationError::Malformed)?;
    }
    if smallest == u64::MAX { Err(DurationError::Malformed) } else { Ok(Duration::from_millis(total)) }
}

/// A duration that must not be zero: for periods and deadlines.
pub fn parse_positive(text: &str) -> Result<Duration, DurationError> {
    match parse(text)? {
        Duration::ZERO => Err(DurationError::Zero),
        duration => Ok(duration),
    }
}

/// Writes a duration with its two largest units: `1h30m`, `45s`, `250ms`.
pub fn text(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let seconds = millis / 1_000;
    let parts = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let first = parts.iter().position(|(n, _)| *n > 0).unwrap_or(3);
    let shown = parts[first..].iter().take(2).filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}"));
    shown.collect::<Vec<_>>().concat()
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
            assert_eq!(parse(text), Err(DurationError::Malformed), "{text}");
        }
        assert_eq!(parse_positive("0ms"), Err(DurationError::Zero));
        assert_eq!(parse_positive("18446744073709551615d"), Err(DurationError::Malformed));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for (short, millis) in
            [("500ms", 500), ("30s", 30_000), ("15m", 900_000), ("1h30m", 5_400_000), ("2d", 172_800_000)]
        {
            assert_eq!(parse(short), Ok(Duration::from_millis(millis)));
            assert_eq!(text(Duration::from_millis(millis)), short);
        }
        assert_eq!(text(Duration::from_millis(1_500)), "1s");
    }
}
