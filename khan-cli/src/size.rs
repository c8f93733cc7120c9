//! Sizes as people write them: `500MB`, `64MiB`, `1GiB`, or a number of bytes.

/// Bytes in each unit.
const UNITS: [(&str, u64); 8] = [
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Reads a size, in bytes.
pub(crate) fn parse(text: &str) -> Result<u64, &'static str> {
    const EXPECTED: &str = "expected a size such as 500MB, 64MiB or 1GiB";
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let bytes = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, bytes)| *bytes);
    let bytes = bytes.or(unit.is_empty().then_some(1)).ok_or(EXPECTED)?;
    let number: u64 = number.parse().map_err(|_| EXPECTED)?;
    number.checked_mul(bytes).filter(|bytes| *bytes > 0).ok_or(EXPECTED)
}

/// Writes a size with two significant digits or more: `3.2 MiB`, `120 KiB`.
pub(crate) fn text(bytes: u64) -> String {
    let unit = UNITS[4..].iter().rev().find(|(_, unit)| bytes >= *unit);
    let Some((name, unit)) = unit else { return format!("{bytes} B") };
    let number = bytes as f64 / *unit as f64;
    if number < 9.95 { format!("{number:.1} {name}") } else { format!("{number:.0} {name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in [("1", 1), ("500MB", 500_000_000), ("64MiB", 64 << 20), ("1gib", 1 << 30), ("2kB", 2_000)]
        {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "MB", "1.5GB", "-1", "1 GB", "1XB", "99999999999999999999", "99999999999TiB"] {
            assert!(parse(text).is_err(), "{text}");
        }
        for (bytes, written) in [(999, "999 B"), (1 << 10, "1.0 KiB"), (3_400_000, "3.2 MiB"), (123 << 20, "123 MiB")] {
            assert_eq!(text(bytes), written);
        }
    }
}
