//! How a row's connections changed over a window, and what disqualifies that as steady growth.

mod rule;

use std::fmt;

pub use rule::LeakRule;

/// A moment in seconds, and the connections then.
pub(crate) type Sample = (f64, u64);

/// Number of parts of the window whose means are compared where single snapshots jitter.
const PARTS: usize = 12;

/// Share of the growth without which a quarter of the window did not grow: a fifth of its fair part.
const LEAST: f64 = 0.05;

/// How a row's value went over a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Growth {
    /// Snapshots.
    pub samples: usize,
    /// Oldest value.
    pub first: u64,
    /// Newest value.
    pub last: u64,
    /// Snapshot by snapshot.
    plain: Course,
    /// By the means of twelfths of the window, if there are snapshots enough.
    smooth: Option<Course>,
}

/// The steps from point to point.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Course {
    steps: usize,
    /// Steps that did not fall.
    rising: usize,
    added: f64,
    /// The largest rise beyond what steady growth would have made of the same time.
    jump: f64,
    /// The largest fall.
    fall: f64,
    /// Quarters of the window in which it grew, from a floor above that of the quarter before.
    quarters: u8,
    /// Whether it ends above its median.
    ends_high: bool,
}

/// Why a row that has grown does not keep growing, judged by the counts alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Miss {
    /// Too few snapshots.
    Samples(usize),
    /// Too little was added.
    Growth(u64),
    /// Too many steps fell.
    Steps(f64),
    /// One step brought most of it.
    Jump(f64),
    /// One step took most of it back.
    Fall(f64),
    /// It did not grow in every quarter of the window.
    Quarters(u8),
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Samples(least) => write!(f, "fewer snapshots than {least} (--leak-samples)"),
            Self::Growth(least) => write!(f, "below +{least} (--leak-growth)"),
            Self::Steps(share) => write!(f, "fewer rising steps than {:.0}% (--leak-rising)", share * 100.0),
            Self::Jump(share) => write!(f, "more than {:.0}% of it came in one step (--leak-step)", share * 100.0),
            Self::Fall(share) => {
                write!(f, "more than {:.0}% of it was given back at once (--leak-step)", share * 100.0)
            }
            Self::Quarters(grew) => write!(f, "grew in {grew} of 4 quarters of the window"),
        }
    }
}

impl Growth {
    /// From samples, oldest first.
    pub fn of(samples: &[Sample]) -> Self {
        let (Some(&(_, first)), Some(&(_, last))) = (samples.first(), samples.last()) else { return Self::default() };
        let points: Vec<_> = samples.iter().map(|(at, value)| (*at, *value as f64)).collect();
        Self {
            samples: samples.len(),
            first,
            last,
            plain: Course::of(&points, 1),
            // A jump within a part shows in two steps.
            smooth: (samples.len() >= 2 * PARTS).then(|| Course::of(&means(&points), 2)),
        }
    }

    /// Connections added.
    pub fn added(&self) -> u64 {
        self.last.saturating_sub(self.first)
    }

    /// The steps that are counted: between snapshots, or where those jitter, between means.
    fn steadier(&self) -> Course {
        self.smooth.filter(|smooth| smooth.share() > self.plain.share()).unwrap_or(self.plain)
    }

    /// Steps that did not fall.
    pub fn rising(&self) -> usize {
        self.steadier().rising
    }

    /// All steps.
    pub fn steps(&self) -> usize {
        self.steadier().steps
    }

    /// Whether the count alone says that it keeps growing.
    pub fn rises(&self, rule: &LeakRule) -> bool {
        self.miss(rule).is_none()
    }

    /// What keeps it from that.
    pub fn miss(&self, rule: &LeakRule) -> Option<Miss> {
        if self.samples < rule.samples {
            return Some(Miss::Samples(rule.samples));
        }
        let plain = self.plain.miss(rule)?;
        self.smooth.map_or(Some(plain), |smooth| smooth.miss(rule))
    }

    /// Whether it is worth telling why it is no suspect: most of what a suspect needs is there.
    pub fn is_near(&self, rule: &LeakRule) -> bool {
        self.last > self.first && (self.added() >= rule.growth || self.steadier().share() >= rule.rising)
    }
}

impl Course {
    /// Maximum number of steps that a jump or a fall may take.
    fn of(points: &[(f64, f64)], takes: usize) -> Self {
        let (Some(&(begin, first)), Some(&(end, last))) = (points.first(), points.last()) else {
            return Self::default();
        };
        let (span, added) = (end - begin, last - first);
        let mut course = Self { steps: points.len() - 1, added, ..Self::default() };
        course.rising = points.windows(2).filter(|pair| pair[1].1 >= pair[0].1).count();
        let pairs = (1..=takes).flat_map(|apart| points.iter().zip(points.iter().skip(apart)));
        for ((from, before), (to, after)) in pairs {
            let fair = if span > 0.0 { added.max(0.0) * (to - from) / span } else { 0.0 };
            course.jump = course.jump.max(after - before - fair);
            course.fall = course.fall.max(before - after);
        }
        let mut floor = f64::NEG_INFINITY;
        for quarter in 0..4 {
            let (from, to) = (begin + span * f64::from(quarter) / 4.0, begin + span * f64::from(quarter + 1) / 4.0);
            let (start, finish) = (at(points, from), at(points, to));
            let within = points.iter().filter(|(when, _)| (from..=to).contains(when)).map(|(_, value)| *value);
            let lowest = within.fold(start.min(finish), f64::min);
            // A saw-tooth that happens to be sampled higher each time still falls back to the same floor.
            let grew = finish > start && finish - start >= added * LEAST;
            course.quarters += u8::from(grew && lowest > floor);
            floor = lowest;
        }
        let mut sorted: Vec<_> = points.iter().map(|(_, value)| *value).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        course.ends_high = last >= sorted[sorted.len() / 2];
        course
    }

    fn share(&self) -> f64 {
        if self.steps == 0 { 0.0 } else { self.rising as f64 / self.steps as f64 }
    }

    fn miss(&self, rule: &LeakRule) -> Option<Miss> {
        if self.added < rule.growth as f64 {
            Some(Miss::Growth(rule.growth))
        } else if self.share() < rule.rising {
            Some(Miss::Steps(rule.rising))
        } else if self.jump > self.added * rule.step {
            Some(Miss::Jump(rule.step))
        } else if self.fall > self.added * rule.step {
            Some(Miss::Fall(rule.step))
        } else if self.quarters < 4 || !self.ends_high {
            Some(Miss::Quarters(self.quarters))
        } else {
            None
        }
    }
}

/// The value at a moment, on a line between the points around it.
fn at(points: &[(f64, f64)], moment: f64) -> f64 {
    let after = points.partition_point(|(when, _)| *when < moment);
    let (Some(&(to, high)), Some(&(from, low))) =
        (points.get(after).or(points.last()), points.get(after.saturating_sub(1)))
    else {
        return 0.0;
    };
    if to > from { low + (high - low) * ((moment - from) / (to - from)).clamp(0.0, 1.0) } else { high }
}

/// One point for each part of the window that has any: the means of its times and values.
fn means(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let (begin, end) = (points[0].0, points[points.len() - 1].0);
    let mut sums = [(0.0, 0.0, 0.0); PARTS];
    for (when, value) in points {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 12")]
        let part = if end > begin { ((when - begin) / (end - begin) * PARTS as f64) as usize } else { 0 };
        let (times, values, number) = &mut sums[part.min(PARTS - 1)];
        (*times, *values, *number) = (*times + when, *values + value, *number + 1.0);
    }
    let filled = sums.into_iter().filter(|(.., number)| *number > 0.0);
    filled.map(|(times, values, number)| (times / number, values / number)).collect()
}
