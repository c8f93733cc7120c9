//! How the screen writes numbers, ages and times.

use std::time::Duration;

use jiff::tz::TimeZone;
use khan_api::Timestamp;

use crate::report::cell::{grouped, rate_text};

/// `48,213`.
pub(super) fn count(n: u64) -> String {
    grouped(n)
}

/// The word for `n` of what `many` names in the plural: `edge` for 1, else `edges`.
pub(super) fn noun(n: u64, many: &str) -> &str {
    let one = many.strip_suffix("sses").map_or(1, |_| 2);
    if n == 1 && many.ends_with('s') { &many[..many.len() - one] } else { many }
}

/// The word for `n` of what `one` names in the singular: `source address` for 1, else `source addresses`.
pub(super) fn nouns(n: u64, one: &str) -> String {
    match n {
        1 => one.to_owned(),
        _ if one.ends_with("ss") => format!("{one}es"),
        _ => format!("{one}s"),
    }
}

/// `+2,114`, `-3`, `0`.
pub(super) fn signed(n: i64) -> String {
    let sign = match n {
        0 => "",
        1.. => "+",
        _ => "-",
    };
    format!("{sign}{}", count(n.unsigned_abs()))
}

/// The number in at most `width` cells: `48,213`, else `48k`, `1.2M`.
pub(super) fn count_in(n: u64, width: usize) -> String {
    let full = count(n);
    if full.len() <= width { full } else { short(n) }
}

/// Like [`count_in`], with a sign.
pub(super) fn signed_in(n: i64, width: usize) -> String {
    let full = signed(n);
    if full.len() <= width {
        return full;
    }
    format!("{}{}", if n < 0 { '-' } else { '+' }, short(n.unsigned_abs()))
}

/// Two or three significant digits and a letter: `950`, `1.5k`, `48k`, `1.2M`. At most four cells below 10^15.
pub(super) fn short(n: u64) -> String {
    let mut scale = 1;
    for unit in ["", "k", "M", "G", "T"] {
        let (whole, tenth) = (n / scale, n % scale * 10 / scale);
        if whole < 1000 || unit == "T" {
            return if whole < 10 && !unit.is_empty() && tenth > 0 {
                format!("{whole}.{tenth}{unit}")
            } else {
                format!("{whole}{unit}")
            };
        }
        scale *= 1000;
    }
    n.to_string()
}

/// A change per minute as reports write it, with one decimal below ten: `+0.3`, `-2`, `+423`.
pub(super) fn rate(per_minute: f64, width: usize) -> String {
    let full = rate_text(per_minute, true);
    if full.len() <= width {
        return full;
    }
    #[expect(clippy::cast_possible_truncation, reason = "counts are far below 2^53")]
    signed_in(per_minute.round() as i64, width)
}

/// A share in whole percent, never rounded up to 100 or down to 0.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".into();
    }
    let rounded = (part * 100 + whole / 2) / whole;
    let shown = if part == 0 { 0 } else { rounded.max(1) };
    format!("{}%", if part < whole { shown.min(99) } else { shown })
}

/// A share in percent with one decimal, rounded down so that only the whole is `100.0%`.
pub(super) fn percent_tenths(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".into();
    }
    let tenths = part.saturating_mul(1000) / whole;
    format!("{}.{}%", tenths / 10, tenths % 10)
}

/// Two units at most: `12s`, `3m10s`, `48m12s`, `4h05m`, `4d23h`.
pub(super) fn age(duration: Duration) -> String {
    let s = duration.as_secs();
    match s {
        0..60 => format!("{s}s"),
        60..3600 if s.is_multiple_of(60) => format!("{}m", s / 60),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86_400 if s % 3600 < 60 => format!("{}h", s / 3600),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s / 60 % 60),
        _ if s % 86_400 < 3600 => format!("{}d", s / 86_400),
        _ => format!("{}d{:02}h", s / 86_400, s / 3600 % 24),
    }
}

/// A span in one unit, for column heads: `5m`, `90s`, `1h`.
pub(super) fn span(duration: Duration) -> String {
    let s = duration.as_secs();
    match s {
        _ if s > 0 && s.is_multiple_of(86_400) => format!("{}d", s / 86_400),
        _ if s > 0 && s.is_multiple_of(3600) => format!("{}h", s / 3600),
        _ if s > 0 && s.is_multiple_of(60) => format!("{}m", s / 60),
        _ => format!("{s}s"),
    }
}

/// A span that may be any, in one unit, rounded down: seconds below two minutes, then minutes, then hours.
pub(super) fn span_brief(duration: Duration) -> String {
    match duration.as_secs() {
        s @ 0..120 if s != 60 => format!("{s}s"),
        s @ ..7200 if s != 3600 => format!("{}m", s / 60),
        s @ ..172_800 if s != 86_400 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

/// Bytes: `812`, `3.1k`, `14M`.
pub(super) fn bytes(n: u64) -> String {
    short(n)
}

/// `14:17:03` on the wall clock of `zone`.
pub(super) fn clock(time: Timestamp, zone: &TimeZone) -> String {
    stamp(time, zone, "%H:%M:%S")
}

/// `14:17` on the wall clock of `zone`.
pub(super) fn clock_minutes(time: Timestamp, zone: &TimeZone) -> String {
    stamp(time, zone, "%H:%M")
}

fn stamp(time: Timestamp, zone: &TimeZone, format: &str) -> String {
    match jiff::Timestamp::from_millisecond(time.millis()) {
        Ok(time) => time.to_zoned(zone.clone()).strftime(format).to_string(),
        Err(_) => "-".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators_and_signs() {
        assert_eq!([0, 999, 1000, 48_213, 1_000_000].map(count), ["0", "999", "1,000", "48,213", "1,000,000"]);
        assert_eq!([0, 12, -3, -4_000].map(signed), ["0", "+12", "-3", "-4,000"]);
        assert_eq!(signed(i64::MIN), "-9,223,372,036,854,775,808");
    }

    #[test]
    fn numbers_that_do_not_fit_are_shortened() {
        assert_eq!(count_in(48_213, 6), "48,213");
        assert_eq!(count_in(48_213, 5), "48k");
        assert_eq!(signed_in(-2_769, 5), "-2.7k");
        assert_eq!([950, 1_500, 48_213, 999_999, 1_250_000].map(short), ["950", "1.5k", "48k", "999k", "1.2M"]);
        assert_eq!(short(3_000), "3k");
        assert!(!short(u64::MAX).is_empty());
    }

    #[test]
    fn rates_are_as_exact_as_reports_have_them() {
        assert_eq!([0.0, 0.3, -0.3, 0.01, 423.4, -2.0].map(|r| rate(r, 7)), ["0", "+0.3", "-0.3", "0", "+423", "-2"]);
        assert_eq!(rate(-42_769.0, 5), "-42k");
    }

    #[test]
    fn one_is_singular() {
        let one = ["edges", "source addresses", "outside pairs"].map(|many| noun(1, many));
        assert_eq!(one, ["edge", "source address", "outside pair"]);
        assert_eq!([noun(0, "edges"), noun(2, "edges")], ["edges", "edges"]);
        assert_eq!([nouns(1, "source pod"), nouns(3, "source pod")], ["source pod", "source pods"]);
        assert_eq!(nouns(0, "answering address"), "answering addresses");
    }

    #[test]
    fn any_span_has_one_unit() {
        let spans = [15, 60, 75, 299, 300, 3600, 5400, 86_400, 200_000].map(|s| span_brief(Duration::from_secs(s)));
        assert_eq!(spans, ["15s", "1m", "75s", "4m", "5m", "1h", "90m", "1d", "2d"]);
    }

    #[test]
    fn shares_do_not_lie_at_the_ends() {
        assert_eq!(percent(0, 10), "0%");
        assert_eq!(percent(1, 10_000), "1%");
        assert_eq!(percent(9_999, 10_000), "99%");
        assert_eq!(percent(7, 7), "100%");
        assert_eq!(percent(0, 0), "-");
        assert_eq!(percent_tenths(9_999, 10_000), "99.9%");
    }

    #[test]
    fn ages_have_two_units() {
        let ages = [12, 60, 190, 2892, 3600, 14_700, 428_400, 86_400].map(|s| age(Duration::from_secs(s)));
        assert_eq!(ages, ["12s", "1m", "3m10s", "48m12s", "1h", "4h05m", "4d23h", "1d"]);
        assert_eq!([300, 90, 3600, 0].map(|s| span(Duration::from_secs(s))), ["5m", "90s", "1h", "0s"]);
    }

    #[test]
    fn clocks_are_local() {
        let time = "2026-11-22T14:17:03Z".parse().unwrap();
        assert_eq!(clock(time, &TimeZone::UTC), "14:17:03");
        assert_eq!(clock_minutes(time, &TimeZone::fixed(jiff::tz::offset(1))), "15:17");
    }
}
