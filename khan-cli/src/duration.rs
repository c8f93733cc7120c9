//! Durations as people write them: `500ms`, `30s`, `10m`, `1h30m`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a duration such as 500ms, 30s, 10m or 1h30m (units: ms, s, m, h, d)")]
pub struct DurationError;

/// Reads a duration above zero.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    let mut millis = 0_u64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| DurationError)?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (_, factor) = UNITS.iter().find(|(unit, _)| *unit == &rest[..letters]).ok_or(DurationError)?;
        millis = number.checked_mul(*factor).and_then(|part| millis.checked_add(part)).ok_or(DurationError)?;
        rest = &rest[letters..];
    }
    if millis == 0 { Err(DurationError) } else { Ok(Duration::from_millis(millis)) }
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
    fn what_is_written_is_read_back() {
        for (short, millis) in
            [("500ms", 500), ("30s", 30_000), ("15m", 900_000), ("1h30m", 5_400_000), ("2d", 172_800_000)]
        {
            assert_eq!(parse(short), Ok(Duration::from_millis(millis)));
            assert_eq!(text(Duration::from_millis(millis)), short);
        }
        assert_eq!(text(Duration::from_millis(1_500)), "1s");
        for bad in ["", "5", "s", "-5s", "5 s", "0s", "1y", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(parse(bad), Err(DurationError), "{bad}");
        }
    }
}
