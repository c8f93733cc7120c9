//! What the attributes of an entry say beside its flow: in, attributes; out, [`Details`].

use khan_api::Timestamp;

use super::attribute::{self as attr, Attributes};
use crate::flows::reader::Details;

/// Of one entry. Counters and times are there only where `nf_conntrack_acct` and `nf_conntrack_timestamp` are on.
pub(super) fn of(attributes: &[u8]) -> Details {
    let mut details = Details::default();
    for (number, payload) in Attributes::new(attributes) {
        let nested = |wanted: u16| {
            Attributes::new(payload).find(|(inner, _)| *inner == wanted).and_then(|(_, value)| attr::be64(value))
        };
        match number {
            attr::COUNTERS_ORIG => details.bytes_sent = nested(attr::COUNTERS_BYTES),
            attr::COUNTERS_REPLY => details.bytes_received = nested(attr::COUNTERS_BYTES),
            attr::TIMESTAMP => {
                let nanos = nested(attr::TIMESTAMP_START);
                let millis = nanos.and_then(|nanos| i64::try_from(nanos / 1_000_000).ok());
                details.began = millis.map(Timestamp::from_millis);
            }
            _ => {}
        }
    }
    details
}
