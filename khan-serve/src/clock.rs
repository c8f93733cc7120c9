//! How far the clock of a peer is ahead of ours, from the `Date` of its answer.

use khan_api::Timestamp;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Milliseconds by which the peer's clock is ahead, negative when it is behind; zero within what a `Date`, which has whole
/// seconds, can tell. `sent` and `received` are our readings before the question and after the answer. `None` when `date`
/// is no HTTP date.
pub fn ahead(date: &str, sent: Timestamp, received: Timestamp) -> Option<i64> {
    let date = http_date(date)?.millis();
    // The answer was dated between our two readings, and by then its clock had shown up to 999 ms more.
    let (least, most) = (date - received.millis(), date + 999 - sent.millis());
    Some(if least > 0 { least } else { most.min(0) })
}

/// The one form of RFC 9110 that servers may write: `Sun, 22 Nov 2026 10:00:00 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    let mut words = text.split_once(", ")?.1.split(' ');
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    (words.next() == Some("GMT")).then(|| format!("{year}-{month:02}-{day}T{time}Z").parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 22 Nov 2026 10:00:00 GMT";

    fn at(time: &str) -> Timestamp {
        format!("2026-11-22T{time}Z").parse().unwrap()
    }

    #[test]
    fn clocks_agree_within_what_a_date_can_tell() {
        for (sent, received) in [("10:00:00", "10:00:00.100"), ("10:00:00.990", "10:00:01"), ("09:59:58", "10:00:03")] {
            assert_eq!(ahead(DATE, at(sent), at(received)), Some(0), "{sent} {received}");
        }
        assert_eq!(ahead(DATE, at("08:59:59"), at("09:00:00")), Some(3_600_000));
        assert_eq!(ahead(DATE, at("11:00:00"), at("11:00:01")), Some(999 - 3_600_000));
    }

    #[test]
    fn what_is_no_date_tells_nothing() {
        for text in
            ["", "2026-11-22T10:00:00Z", "Sun, 22 Nov 2026 10:00:00 CET", "Sun, 22 Foo 2026 10:00:00 GMT", "Sun, 22"]
        {
            assert_eq!(ahead(text, at("10:00:00"), at("10:00:00")), None, "{text}");
        }
    }
}
