//! One value of a report, and how it is written.

use std::time::Duration;

use crate::duration;
use crate::size;

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Text.
    Text(String),
    /// A count.
    Count(u64),
    /// A change; a plus sign stands before a rise.
    Change(i64),
    /// A change per minute, one digit after the point below ten.
    Rate(f64),
    /// Percent.
    Percent(u8),
    /// A time: with units for people, in seconds for programs.
    Duration(Duration),
    /// Bytes: with units for people, plain for programs.
    Size(u64),
    /// A difference of clocks in milliseconds, likewise.
    Skew(i64),
    /// Values over time, oldest first; `None` where nothing is known.
    Trend(Vec<Option<u64>>),
    /// Not applicable, or not known.
    Missing,
}

impl Cell {
    /// Text, or nothing when it is empty.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::Missing } else { Self::Text(text) }
    }

    /// For a person; `separators` puts commas between thousands.
    pub fn show(&self, separators: bool) -> String {
        let digits = |n: u64| if separators { grouped(n) } else { n.to_string() };
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(n) => digits(*n),
            Self::Change(0) => "0".to_owned(),
            Self::Change(n) => format!("{}{}", if *n < 0 { '-' } else { '+' }, digits(n.unsigned_abs())),
            Self::Rate(rate) => rate_text(*rate, separators),
            Self::Percent(n) => n.to_string(),
            Self::Duration(Duration::ZERO) => "0s".to_owned(),
            Self::Duration(time) => duration::text(*time),
            Self::Size(bytes) => size::text(*bytes),
            Self::Skew(millis) => format!("{:+.1}s", *millis as f64 / 1000.0),
            Self::Trend(values) => {
                let text = |value: &Option<u64>| value.map_or_else(|| "-".to_owned(), digits);
                values.iter().map(text).collect::<Vec<_>>().join(" ")
            }
            Self::Missing => "-".to_owned(),
        }
    }

    /// For a program that reads columns: no signs before rises, nothing where nothing is known.
    pub fn raw(&self) -> String {
        match self {
            Self::Change(n) => n.to_string(),
            Self::Rate(rate) => thousandths(*rate),
            Self::Size(bytes) => bytes.to_string(),
            Self::Duration(time) => thousandths(time.as_secs_f64()),
            Self::Skew(millis) => thousandths(*millis as f64 / 1000.0),
            Self::Missing => String::new(),
            other => other.show(false),
        }
    }
}

fn thousandths(number: f64) -> String {
    ((number * 1000.0).round() / 1000.0).to_string()
}

/// A change per minute, with one decimal below ten.
pub(crate) fn rate_text(rate: f64, separators: bool) -> String {
    let size = rate.abs();
    let sign = if rate < 0.0 { '-' } else { '+' };
    if size < 0.05 {
        "0".to_owned()
    } else if size < 9.95 && (size - size.round()).abs() >= 0.05 {
        format!("{sign}{size:.1}")
    } else {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, and saturating is fine")]
        let whole = size.round() as u64;
        format!("{sign}{}", if separators { grouped(whole) } else { whole.to_string() })
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_read_well_and_parse_well() {
        let shown = |cell: Cell| (cell.show(true), cell.raw());
        assert_eq!(shown(Cell::Count(1_234_567)), ("1,234,567".into(), "1234567".into()));
        assert_eq!(shown(Cell::Change(2_114)), ("+2,114".into(), "2114".into()));
        assert_eq!(shown(Cell::Change(-3)), ("-3".into(), "-3".into()));
        assert_eq!(shown(Cell::Rate(0.4)), ("+0.4".into(), "0.4".into()));
        assert_eq!(shown(Cell::Rate(2.0)), ("+2".into(), "2".into()));
        assert_eq!(shown(Cell::Rate(-1423.4)), ("-1,423".into(), "-1423.4".into()));
        assert_eq!(shown(Cell::Trend(vec![None, Some(1_000), Some(7)])), ("- 1,000 7".into(), "- 1000 7".into()));
        assert_eq!(shown(Cell::Duration(Duration::from_secs(75))), ("1m15s".into(), "75".into()));
        assert_eq!(shown(Cell::Duration(Duration::from_millis(41))), ("41ms".into(), "0.041".into()));
        assert_eq!(shown(Cell::Duration(Duration::ZERO)), ("0s".into(), "0".into()));
        assert_eq!(shown(Cell::Skew(-1_250)), ("-1.2s".into(), "-1.25".into()));
        assert_eq!(shown(Cell::Missing), ("-".into(), String::new()));
        assert_eq!(grouped(999), "999");
    }
}
