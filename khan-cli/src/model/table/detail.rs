//! What is known about some connections of a row in addition to their state.

use khan_api::snapshot::IdleHistogram;

/// Which connections of a row a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Established, in this bucket of the idle histogram.
    IdleBucket(u8),
    /// Established, without a packet for the agent's threshold.
    Idle,
    /// Half-closed, the client has yet to close.
    ClientUnclosed,
    /// Half-closed, the server has yet to close.
    ServerUnclosed,
    /// Established, and nobody acknowledges its data.
    Stalled,
    /// Nobody has answered.
    Unanswered,
    /// Ended since the snapshot before.
    Ended,
}

/// The details of one row, spread out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Established connections by idle time.
    pub histogram: IdleHistogram,
    /// Established without a packet for the agent's threshold.
    pub idle: u32,
    /// Half-closed, the client has yet to close.
    pub client_unclosed: u32,
    /// Half-closed, the server has yet to close.
    pub server_unclosed: u32,
    /// Established, and nobody acknowledges its data.
    pub stalled: u32,
    /// Nobody has answered.
    pub unanswered: u32,
    /// Ended since the snapshot before.
    pub ended: u32,
}

impl Details {
    /// One number for each detail that is not zero.
    pub(super) fn list(self) -> impl Iterator<Item = (Detail, u32)> {
        let buckets = (0..).zip(self.histogram.0).map(|(bucket, n)| (Detail::IdleBucket(bucket), n));
        let others = [
            (Detail::Idle, self.idle),
            (Detail::ClientUnclosed, self.client_unclosed),
            (Detail::ServerUnclosed, self.server_unclosed),
            (Detail::Stalled, self.stalled),
            (Detail::Unanswered, self.unanswered),
            (Detail::Ended, self.ended),
        ];
        buckets.chain(others).filter(|(_, n)| *n > 0)
    }
}

impl<'a> FromIterator<&'a (Detail, u32)> for Details {
    fn from_iter<I: IntoIterator<Item = &'a (Detail, u32)>>(list: I) -> Self {
        let mut details = Self::default();
        for (detail, n) in list {
            *match detail {
                Detail::IdleBucket(bucket) => &mut details.histogram.0[usize::from(*bucket)],
                Detail::Idle => &mut details.idle,
                Detail::ClientUnclosed => &mut details.client_unclosed,
                Detail::ServerUnclosed => &mut details.server_unclosed,
                Detail::Stalled => &mut details.stalled,
                Detail::Unanswered => &mut details.unanswered,
                Detail::Ended => &mut details.ended,
            } = *n;
        }
        details
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_details_becomes_the_same_details() {
        let details = Details {
            histogram: IdleHistogram([1, 0, 0, 0, 7]),
            idle: 7,
            client_unclosed: 0,
            server_unclosed: 2,
            stalled: 3,
            unanswered: 4,
            ended: 5,
        };
        let list: Vec<_> = details.list().collect();
        assert_eq!(list.len(), 7);
        assert_eq!(list.iter().collect::<Details>(), details);
        assert_eq!(Details::default().list().count(), 0);
    }
}
