//! Looking back: the moment that is shown instead of the present, and how it moves on by itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use khan_api::Timestamp;

use crate::model::problems::Memory;
use crate::model::{History, View};

use super::table_usage::TableUsage;

/// Speeds that a player goes through: seconds of the past in one of ours.
const SPEEDS: [u32; 8] = [1, 2, 5, 10, 20, 50, 100, 500];
/// What it begins with: rounds are many seconds apart.
const SPEED: u32 = 10;
/// A gap in the past is waited for no longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// Later than this it does not catch up: this computer slept.
const LATE: Duration = Duration::from_secs(2);

/// The present, while the screen shows an earlier moment.
///
/// The history goes on with numbers, so that looking back takes no more memory than watching does, plus the rows of the
/// moment shown.
#[derive(Debug)]
pub(super) struct Present {
    /// When it was left.
    pub(super) since: Timestamp,
    /// The latest view.
    pub(super) view: Arc<View>,
    pub(super) history: History,
    pub(super) memory: Memory,
    pub(super) table_usage: TableUsage,
    /// Whether another moment is shown than the one in which it was left.
    pub(super) moved: bool,
}

/// Which way to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Towards older rounds.
    Back,
    /// Towards newer ones.
    On,
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stride {
    /// To the next round.
    Round,
    /// By this time, and by one round at least.
    Time(Duration),
    /// As far as there are rounds.
    End,
}

/// Where in the rounds the next one is; `None` where there is none.
pub(super) fn target(moments: &VecDeque<Arc<View>>, at: usize, way: Way, stride: Stride) -> Option<usize> {
    let last = moments.len().checked_sub(1)?;
    let next = match way {
        Way::Back => at.checked_sub(1)?,
        Way::On => Some(at + 1).filter(|next| *next <= last)?,
    };
    let from = moments.get(at)?.assembled;
    Some(match (stride, way) {
        (Stride::Round, _) => next,
        (Stride::End, Way::Back) => 0,
        (Stride::End, Way::On) => last,
        (Stride::Time(time), Way::Back) => {
            let reached = |at: &usize| from.since(moments[*at].assembled) >= time;
            (0..=next).rev().find(reached).unwrap_or(0)
        }
        (Stride::Time(time), Way::On) => {
            let reached = |at: &usize| moments[*at].assembled.since(from) >= time;
            (next..=last).find(reached).unwrap_or(last)
        }
    })
}

/// Plays the rounds one after the other.
#[derive(Debug)]
pub struct Player {
    speed: u32,
    /// When the next round is due, while it plays.
    due: Option<Instant>,
}

impl Default for Player {
    fn default() -> Self {
        Self { speed: SPEED, due: None }
    }
}

impl Player {
    /// Seconds of the past in one of ours.
    pub const fn speed(&self) -> u32 {
        self.speed
    }

    /// When the next round is due; `None` while it stands.
    pub const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Plays on from a round, which the next one follows after `gap`.
    pub(super) fn start(&mut self, now: Instant, gap: Duration) {
        self.due = Some(now + self.wait(gap));
    }

    /// The round that was due is shown, and the next one follows after `gap`.
    pub(super) fn go_on(&mut self, now: Instant, gap: Duration) {
        let due = self.due.filter(|due| now.saturating_duration_since(*due) < LATE).unwrap_or(now);
        self.due = Some(due + self.wait(gap));
    }

    pub(super) fn stop(&mut self) {
        self.due = None;
    }

    /// Faster or slower, from the next round on.
    pub(super) fn pace(&mut self, by: isize) {
        let at = SPEEDS.iter().position(|speed| *speed == self.speed).unwrap_or(0);
        self.speed = SPEEDS[at.saturating_add_signed(by).min(SPEEDS.len() - 1)];
    }

    fn wait(&self, gap: Duration) -> Duration {
        (gap / self.speed).min(LONGEST_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SourceInfo, merge};

    fn moments(seconds: &[i64]) -> VecDeque<Arc<View>> {
        let view = |at: &i64| Arc::new(merge(SourceInfo::default(), Vec::new(), Timestamp::from_seconds(*at)));
        seconds.iter().map(view).collect()
    }

    #[test]
    fn strides_end_at_rounds() {
        let moments = moments(&[0, 30, 60, 90, 400]);
        let minute = Stride::Time(Duration::from_mins(1));
        let back = |at, stride| target(&moments, at, Way::Back, stride);
        let on = |at, stride| target(&moments, at, Way::On, stride);
        assert_eq!([back(3, Stride::Round), back(3, minute), back(3, Stride::End)], [Some(2), Some(1), Some(0)]);
        assert_eq!([on(0, Stride::Round), on(0, minute), on(0, Stride::End)], [Some(1), Some(2), Some(4)]);
        // Nearer than a minute to the end it goes to the end, and over a gap by a round.
        assert_eq!([back(1, minute), back(4, minute), on(3, minute)], [Some(0), Some(3), Some(4)]);
        assert_eq!([back(0, minute), on(4, Stride::Round), on(4, Stride::End)], [None; 3]);
    }

    #[test]
    fn gaps_are_not_waited_for() {
        let (mut player, start) = (Player::default(), Instant::now());
        player.start(start, Duration::from_secs(30));
        assert_eq!(player.due(), Some(start + Duration::from_secs(3)));
        player.go_on(start + Duration::from_secs(3), Duration::from_hours(2));
        assert_eq!(player.due(), Some(start + Duration::from_secs(6)));
        player.pace(1);
        assert_eq!(player.speed(), 20);
        (0..9).for_each(|_| player.pace(-1));
        player.go_on(start + Duration::from_hours(1), Duration::from_secs(1));
        assert_eq!(player.due(), Some(start + Duration::from_secs(3_601)), "it caught up after a sleep");
    }
}
