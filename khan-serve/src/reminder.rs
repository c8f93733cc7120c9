//! When to say again that a failure goes on, so that a log neither falls silent nor fills up.

use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_mins(1);
/// How long after the beginning the first repetitions come.
const FIRST: [Duration; 2] = [MINUTE, Duration::from_mins(5)];
/// How far apart the later ones are.
const LATER: Duration = Duration::from_mins(15);

/// Reminds of a failure after 1 and 5 minutes, then every 15.
#[derive(Clone, Copy, Debug)]
pub struct Reminder {
    began: Instant,
    /// Counted from `began`.
    next: Duration,
}

impl Reminder {
    /// For a failure that begins `now` and is reported by the caller.
    pub const fn new(now: Instant) -> Self {
        Self { began: now, next: FIRST[0] }
    }

    /// How long the failure has gone on, when it is time to say so.
    pub fn due(&mut self, now: Instant) -> Option<Duration> {
        let age = now.saturating_duration_since(self.began);
        if age < self.next {
            return None;
        }
        self.next = if age < FIRST[1] { FIRST[1] } else { age + LATER };
        Some(age)
    }
}

/// A duration as log lines say it: `40 s`, `5 min`, `3 h`.
pub fn spoken(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..=59 => format!("{seconds} s"),
        seconds @ 60..=7199 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reminds_ever_more_rarely() {
        let began = Instant::now();
        let mut reminder = Reminder::new(began);
        let minutes = (0..=120_u32).filter(|minutes| reminder.due(began + *minutes * MINUTE).is_some());
        assert_eq!(minutes.collect::<Vec<_>>(), [1, 5, 20, 35, 50, 65, 80, 95, 110]);
    }

    #[test]
    fn a_late_look_is_one_reminder() {
        let began = Instant::now();
        let mut reminder = Reminder::new(began);
        assert_eq!(reminder.due(began + 40 * MINUTE), Some(40 * MINUTE));
        assert_eq!(reminder.due(began + 41 * MINUTE), None);
        assert_eq!(spoken(40 * MINUTE), "40 min");
        assert_eq!((spoken(MINUTE / 2), spoken(130 * MINUTE)), ("30 s".to_owned(), "2 h".to_owned()));
    }
}
