//! What time Cilium's lifetimes and reports are in: in, those of some entries; out, the clock under which they make sense.
//!
//! `bpf_mono_now()` is seconds of the monotonic clock, or, with `bpf-clock-probe`, jiffies shifted right by 8. Which one is in the
//! programs' configuration, not in the map, and neither is the kernel's HZ. Under the wrong clock the latest packet lies in the
//! future or far in the past.

use std::fmt;
use std::time::Duration;

/// Jiffies in a unit.
const SCALE: u64 = 256;
/// How far in the future a report may lie: clocks are read before the map is.
const AHEAD: u32 = 5;

/// A clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// Seconds since boot (`CLOCK_MONOTONIC`).
    Seconds,
    /// Units of 256 jiffies, of which there are so many a second.
    Jiffies(u64),
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds => f.write_str("seconds since boot"),
            Self::Jiffies(hz) => write!(f, "units of 256 jiffies, at {hz} Hz"),
        }
    }
}

impl Clock {
    /// Every clock; kernels are built with one of these frequencies.
    const ALL: [Self; 5] =
        [Self::Seconds, Self::Jiffies(1000), Self::Jiffies(300), Self::Jiffies(250), Self::Jiffies(100)];

    /// What it shows so long after boot.
    pub(super) fn at(self, uptime: Duration) -> u32 {
        let units = match self {
            Self::Seconds => uptime.as_secs(),
            Self::Jiffies(hz) => {
                // INITIAL_JIFFIES: five minutes before 32 bits overflow.
                let jiffies = uptime.as_secs() * hz + u64::from(uptime.subsec_millis()) * hz / 1000;
                ((1 << 32) - 300 * hz + jiffies) / SCALE
            }
        };
        u32::try_from(units).unwrap_or(u32::MAX)
    }

    /// So many units in seconds.
    #[inline]
    pub(super) fn seconds(self, units: u32) -> u32 {
        let seconds = match self {
            Self::Seconds => return units,
            Self::Jiffies(hz) => u64::from(units) * SCALE / hz,
        };
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }

    /// The clock under which the latest report, `latest`, was made least long ago; `before` when it still makes sense.
    pub(super) fn choose(latest: u32, uptime: Duration, before: Option<Self>) -> Self {
        let age = |clock: Self| {
            let (now, tolerance) = (clock.at(uptime), clock.units(AHEAD));
            (latest <= now.saturating_add(tolerance)).then(|| clock.seconds(now.saturating_sub(latest)))
        };
        if let Some(before) = before.filter(|clock| age(*clock).is_some_and(|age| age < 3600)) {
            return before;
        }
        let possible = Self::ALL.into_iter().filter_map(|clock| Some((age(clock)?, clock)));
        possible.min_by_key(|(age, _)| *age).map_or(Self::Seconds, |(_, clock)| clock)
    }

    fn units(self, seconds: u32) -> u32 {
        match self {
            Self::Seconds => seconds,
            Self::Jiffies(hz) => u32::try_from(u64::from(seconds) * hz / SCALE + 1).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_clock_is_told_from_the_others_by_what_it_showed_lately() {
        for uptime in [30, 200, 1000, 86_400, 20 * 86_400, 150 * 86_400].map(Duration::from_secs) {
            for clock in Clock::ALL {
                for age in [0, 2, 20] {
                    let latest = clock.at(uptime.saturating_sub(Duration::from_secs(age)));
                    let chosen = Clock::choose(latest, uptime, None);
                    // Jiffies begin so that all frequencies show the same five minutes after boot; near that they hardly differ.
                    let ages = [chosen, clock].map(|clock| clock.seconds(clock.at(uptime).saturating_sub(latest)));
                    assert!(
                        chosen == clock || ages[0].abs_diff(ages[1]) < 40,
                        "{clock} taken for {chosen} at {uptime:?}"
                    );
                    assert_eq!(Clock::choose(latest, uptime, Some(clock)), clock, "and kept");
                }
            }
        }
        let day = Duration::from_hours(24);
        assert_eq!(Clock::choose(Clock::Seconds.at(day), day, Some(Clock::Jiffies(250))), Clock::Seconds, "given up");
    }

    #[test]
    fn units_become_seconds() {
        assert_eq!(Clock::Seconds.seconds(90), 90);
        assert_eq!([1000, 250, 100].map(|hz| Clock::Jiffies(hz).seconds(1000)), [256, 1024, 2560]);
        // 2^32 - 75000 + 250000, in units of 256.
        assert_eq!(Clock::Jiffies(250).at(Duration::from_secs(1000)), 16_777_899);
    }
}
