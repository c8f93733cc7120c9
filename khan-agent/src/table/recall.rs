//! What is remembered of single entries from one scan to the next: those in `TIME_WAIT`, so that each counts once as ended,
//! and those whose data awaits an acknowledgement, so that a stalled connection is told from a busy one.
//!
//! A dump that fails leaves no trace. The next compares with the latest that was [kept](Recall::keep), however long ago that
//! was, so nothing is lost that the kernel still holds.

use std::time::{Duration, Instant};

use crate::flows::{Details, Tcp};

/// The most entries in `TIME_WAIT` that are remembered of a scan: half a MiB.
const MOST: usize = 1 << 17;
/// The most connections that are remembered as waiting: half a MiB.
const MOST_WAITING: usize = 1 << 14;
/// Seconds since the last packet, rounded up, from which on an unacknowledged connection is quiet: nobody acknowledges that
/// late, and who retransmits after ICMP errors does so about once a second.
const QUIET: u32 = 2;
/// Scans in which an unacknowledged connection may be busy before it is forgotten that it was quiet.
const PATIENCE: u8 = 10;
/// How long nothing may have come from the peer, where packets are counted, before a connection is stalled.
const DEAF: Duration = Duration::from_secs(2);

/// Both memories, of the scan that was kept last and of the present one.
#[derive(Debug, Default)]
pub(super) struct Recall {
    before: Option<Kept>,
    now: Kept,
    /// When the latest batch came.
    read: Option<Instant>,
    /// An entry that entered `TIME_WAIT` more seconds ago than this did so before the scan that was kept.
    possible: u32,
    /// One that did so fewer seconds ago did so after it, whether it is remembered or not.
    certain: Option<u32>,
    /// What lies at least between two sights of one entry: from the end of the scan that was kept to the start of this.
    apart: Duration,
    /// Of the entry that comes next.
    heard: Option<Heard>,
}

/// What has come from the peer of the side whose data awaits an acknowledgement. Equal ones have nothing between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heard(u32);

impl Heard {
    /// Of an unacknowledged connection; none where the kernel does not count (`nf_conntrack_acct`).
    pub(super) fn of(tcp: Tcp, details: &Details) -> Option<Self> {
        let by_client = tcp.flags_original & Tcp::DATA_UNACKNOWLEDGED != 0;
        let bytes = if by_client { details.bytes_received? } else { details.bytes_sent? };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "who sends 2 GiB between two scans to the byte is heard again"
        )]
        let low = bytes as u32;
        Some(Self(low << 1 | u32::from(by_client)))
    }
}

/// What one scan saw.
#[derive(Debug, Default)]
struct Kept {
    began: Option<Instant>,
    ended: Option<Instant>,
    /// Fingerprints of entries in `TIME_WAIT`; sorted once kept.
    closed: Vec<u32>,
    /// Whether there were more than are remembered.
    overflowed: bool,
    /// Sorted by fingerprint once kept.
    waiting: Vec<Waiting>,
}

/// A connection that has awaited an acknowledgement in every scan since it was first seen quiet, or, where packets are counted,
/// since its peer was last heard.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    fingerprint: u32,
    heard: Option<Heard>,
    /// How long nothing has been heard, at least.
    deaf: Duration,
    /// Scans that saw it quiet.
    quiet: u8,
    /// Scans since the latest of them.
    busy: u8,
}

/// Enough to tell an entry from the others in `TIME_WAIT`: of a hundred thousand, one in forty thousand is taken for another.
const fn fingerprint(tuple: u64) -> u32 {
    (tuple >> 32) as u32
}

impl Recall {
    /// A dump begins.
    pub(super) fn begin(&mut self, now: Instant) {
        self.now.closed.clear();
        self.now.waiting.clear();
        self.now.overflowed = false;
        self.now.began = Some(now);
        self.batch(now);
    }

    /// A batch was read.
    pub(super) fn batch(&mut self, now: Instant) {
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        self.read = Some(now);
        let Some(before) = &self.before else { return };
        // Ages are rounded up, and the kernel's clock ticks up to a hundredth of a second late.
        let since = before.began.map_or(Duration::MAX, |began| now.saturating_duration_since(began));
        self.possible = seconds(since).saturating_add(2);
        let began = self.now.began.unwrap_or(now);
        let apart = before.ended.and_then(|ended| began.checked_duration_since(ended));
        self.certain = apart.map(seconds);
        self.apart = apart.unwrap_or_default();
    }

    /// Notes an entry in `TIME_WAIT`, and tells whether it was not when the scan before saw it. `idle` is how long ago it
    /// entered that state, in seconds, rounded up.
    pub(super) fn ended(&mut self, tuple: u64, idle: Option<u32>) -> bool {
        let fingerprint = fingerprint(tuple);
        if self.now.closed.len() < MOST {
            self.now.closed.push(fingerprint);
        } else {
            self.now.overflowed = true;
        }
        let Some(before) = &self.before else { return false };
        if idle.is_some_and(|idle| idle > self.possible) {
            return false;
        }
        if before.overflowed {
            return idle.zip(self.certain).is_some_and(|(idle, certain)| idle <= certain);
        }
        before.closed.binary_search(&fingerprint).is_err()
    }

    /// Tells what the unacknowledged connection that is noted next has heard.
    pub(super) fn hears(&mut self, heard: Option<Heard>) {
        self.heard = heard;
    }

    /// Notes a connection whose data awaits an acknowledgement, and tells whether it is stalled: unacknowledged in two scans with
    /// nothing from the peer between them; or, where packets are not counted, quiet in two and unacknowledged in all between.
    pub(super) fn stalled(&mut self, tuple: u64, idle: Option<u32>) -> bool {
        let (fingerprint, quiet) = (fingerprint(tuple), idle.is_some_and(|idle| idle >= QUIET));
        let (heard, apart) = (self.heard.take(), self.apart);
        let before = self.before.as_ref().and_then(|before| before.waiting(fingerprint));
        let waiting = match before.filter(|before| before.heard == heard) {
            None if quiet || heard.is_some() => {
                Waiting { fingerprint, heard, deaf: Duration::ZERO, quiet: u8::from(quiet), busy: 0 }
            }
            Some(before) if heard.is_some() => Waiting { deaf: before.deaf + apart, ..before },
            Some(before) if quiet => Waiting { quiet: before.quiet.saturating_add(1), busy: 0, ..before },
            Some(before) if before.busy < PATIENCE => Waiting { busy: before.busy + 1, ..before },
            _ => return false,
        };
        if self.now.waiting.len() < MOST_WAITING {
            self.now.waiting.push(waiting);
        }
        if heard.is_some() { waiting.deaf >= DEAF } else { waiting.quiet >= 2 }
    }

    /// The latest dump counts: the next is compared with it.
    pub(super) fn keep(&mut self) {
        let mut kept = std::mem::replace(&mut self.now, self.before.take().unwrap_or_default());
        kept.ended = self.read;
        kept.closed.sort_unstable();
        kept.waiting.sort_unstable_by_key(|waiting| waiting.fingerprint);
        // The lists change places, so that neither is allocated anew; what a peak took is given back.
        self.now.closed.clear();
        self.now.closed.shrink_to(2 * kept.closed.len());
        self.now.waiting.clear();
        self.now.waiting.shrink_to(2 * kept.waiting.len());
        self.before = Some(kept);
    }
}

impl Kept {
    fn waiting(&self, fingerprint: u32) -> Option<Waiting> {
        let found = self.waiting.binary_search_by_key(&fingerprint, |waiting| waiting.fingerprint).ok()?;
        self.waiting.get(found).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scans at moments of the test's choosing.
    struct Scans {
        start: Instant,
        recall: Recall,
    }

    impl Scans {
        fn new() -> Self {
            Self { start: Instant::now(), recall: Recall::default() }
        }

        /// One dump that reads everything at `seconds`. Entries are a number and when they entered `TIME_WAIT`; tells which ended.
        fn dump(&mut self, seconds: f64, entries: &[(u64, f64)]) -> Vec<u64> {
            self.recall.begin(self.start + Duration::from_secs_f64(seconds));
            self.recall.batch(self.start + Duration::from_secs_f64(seconds + 0.01));
            let seen = entries.iter().filter(|(_, at)| *at <= seconds && seconds - at < 120.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
            let age = |at: f64| (seconds - at).ceil() as u32;
            let ended: Vec<_> = seen.filter(|(n, at)| self.recall.ended(n << 32, Some(age(*at)))).collect();
            ended.into_iter().map(|(n, _)| *n).collect()
        }

        fn scan(&mut self, seconds: f64, entries: &[(u64, f64)]) -> Vec<u64> {
            let ended = self.dump(seconds, entries);
            self.recall.keep();
            ended
        }

        /// Whether a connection is stalled that awaits an acknowledgement and had its last packet `idle` seconds ago.
        fn stalled(&mut self, idle: u32) -> bool {
            self.stalled_at(0.0, idle, None)
        }

        /// The same at so many `seconds`, where the peer's bytes may be counted.
        fn stalled_at(&mut self, seconds: f64, idle: u32, heard: Option<Heard>) -> bool {
            self.recall.begin(self.start + Duration::from_secs_f64(seconds));
            self.recall.hears(heard);
            let stalled = self.recall.stalled(7 << 32, Some(idle));
            self.recall.keep();
            stalled
        }
    }

    /// One that ends every 0.07 s, in a minute.
    fn steady() -> Vec<(u64, f64)> {
        (1..900).map(|n| (n, n as f64 * 0.07)).collect()
    }

    #[test]
    fn what_ended_counts_once_whenever_scans_come() {
        let entries = steady();
        for times in [
            vec![0.0, 10.0, 20.0, 30.0, 70.0],
            // Jitter, scans on demand, one that came late.
            vec![0.0, 0.3, 0.31, 4.999, 5.0, 5.001, 9.5, 41.2, 41.9, 70.4],
            vec![0.0, 118.0],
        ] {
            let mut scans = Scans::new();
            let mut ended: Vec<u64> = times.iter().flat_map(|at| scans.scan(*at, &entries)).collect();
            ended.sort_unstable();
            assert_eq!(ended, entries.iter().map(|(n, _)| *n).collect::<Vec<_>>(), "{times:?}");
        }
    }

    #[test]
    fn the_first_scan_and_what_ended_before_it_count_nothing() {
        let mut scans = Scans::new();
        assert!(scans.scan(30.0, &steady()).is_empty());
        assert!(scans.scan(30.0, &steady()).is_empty());
        assert_eq!(scans.scan(30.08, &steady()), [429]);
    }

    #[test]
    fn a_scan_that_failed_loses_nothing_and_a_late_packet_doubles_nothing() {
        let mut scans = Scans::new();
        scans.scan(0.0, &[]);
        assert_eq!(scans.dump(10.0, &[(1, 5.0)]), [1]);
        assert_eq!(scans.scan(20.0, &[(1, 5.0), (2, 15.0)]), [1, 2]);
        // A FIN that is sent again renews the timeout of the first.
        assert_eq!(scans.scan(30.0, &[(1, 25.0), (2, 15.0), (3, 25.0)]), [3]);
    }

    #[test]
    fn beyond_what_is_remembered_only_the_certain_count() {
        let mut scans = Scans::new();
        let many: Vec<_> = (1..=MOST as u64 + 10).map(|n| (n, 4.0)).collect();
        scans.scan(5.0, &many);
        let later = [&many[..], &[(1 << 20, 7.0), (2 << 20, 5.5)]].concat();
        assert_eq!(scans.scan(9.0, &later), [1 << 20], "what ended within the second after the scan is left out");
    }

    #[test]
    fn stalled_is_quiet_twice_and_unacknowledged_between() {
        let mut scans = Scans::new();
        assert_eq!([5, 9].map(|idle| scans.stalled(idle)), [false, true]);
        // ICMP errors make the client retransmit about every second.
        let mut scans = Scans::new();
        assert_eq!(
            [1, 2, 1, 1, 2, 1, 1].map(|idle| scans.stalled(idle)),
            [false, false, false, false, true, true, true]
        );
        // A busy upload that once lost a packet.
        let mut scans = Scans::new();
        assert!(!scans.stalled(3) && (0..200).all(|_| !scans.stalled(1)));
        assert!(!scans.stalled(3), "long ago");
        // It was acknowledged meanwhile.
        let mut scans = Scans::new();
        scans.stalled(9);
        scans.scan(0.0, &[]);
        assert!(!scans.stalled(9));
    }

    #[test]
    fn where_packets_are_counted_stalled_is_unacknowledged_and_nothing_heard_for_two_seconds() {
        let heard = |flags_original, bytes| {
            let details = Details { bytes_sent: Some(bytes), bytes_received: Some(bytes), ..Details::default() };
            Heard::of(Tcp { flags_original, flags_reply: 0x30 ^ flags_original, ..Tcp::default() }, &details)
        };
        let scans = |sights: [(f64, u32, u8, u64); 4]| {
            let mut scans = Scans::new();
            sights.map(|(at, idle, flags, bytes)| scans.stalled_at(at, idle, heard(flags, bytes)))
        };
        let client = Tcp::DATA_UNACKNOWLEDGED | 0x20;
        // Retransmitting all the time; then the peer is back.
        let seen = scans([(0.0, 1, client, 52), (1.9, 1, client, 52), (2.0, 1, client, 52), (7.0, 1, client, 104)]);
        assert_eq!(seen, [false, false, true, false]);
        // A slow peer acknowledges a packet now and then, and never all.
        assert_eq!(
            scans([(0.0, 2, client, 52), (5.0, 3, client, 104), (9.0, 4, client, 156), (9.5, 5, client, 156)]),
            [false; 4]
        );
        // Either side had as many bytes from the other, and waits in turn.
        assert_eq!(
            scans([(0.0, 1, client, 52), (5.0, 1, 0x20, 52), (9.0, 1, client, 52), (9.5, 1, 0x20, 52)]),
            [false; 4]
        );
        assert_eq!(Heard::of(Tcp::default(), &Details::default()), None);
    }
}
