//! Moving through the rounds that are held, and playing them.

use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use khan_api::Timestamp;

use crate::screen::format;
use crate::screen::keys::Action;
use crate::screen::msg::Effect;
use crate::screen::state::App;
use crate::screen::state::past::{Stride, Way};

/// What the keys for jumps go by.
const JUMP: Duration = Duration::from_mins(1);

/// Goes to another round.
pub(super) fn go(app: &mut App, way: Way, stride: Stride, now: Instant) {
    let reach = app.reach();
    if app.data.go(way, stride, reach) {
        app.refresh(true);
        return;
    }
    let words = match way {
        Way::Back if app.data.is_replay() => "the recording begins here",
        Way::Back => "no earlier round is held; with --prometheus-url the past is known",
        Way::On if app.data.is_replay() => "the recording ends here",
        Way::On => "this is the latest round",
    };
    app.say(now, words);
}

/// What a key for a jump does.
pub(super) const fn jump() -> Stride {
    Stride::Time(JUMP)
}

/// Shows what was there at a time of day, such as `14:05`, or so long ago, such as `10m`.
pub(in crate::screen::update) fn go_to(app: &mut App, text: &str) -> Result<(), String> {
    let (first, last) = app.data.reach().ok_or("no round is held yet")?;
    let at = moment(text, last, app.settings.zone()).ok_or_else(|| {
        format!(
            "{text:?} is no time; write for example 14:05, 14:05:30, or 10m for ten minutes before the latest round"
        )
    })?;
    if at < first {
        let zone = app.settings.zone();
        return Err(format!("the rounds that are held begin at {}", format::clock(first, zone)));
    }
    let reach = app.reach();
    app.data.go_to(at, reach);
    app.refresh(true);
    Ok(())
}

/// The last moment up to `last` at which a clock in `zone` shows `text`; or so long before.
fn moment(text: &str, last: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(ago) = khan_api::duration::parse(text) {
        return Some(Timestamp::from_millis(last.millis().saturating_sub(i64::try_from(ago.as_millis()).ok()?)));
    }
    let time: jiff::civil::Time = text.parse().ok()?;
    let now = jiff::Timestamp::from_millisecond(last.millis()).ok()?.to_zoned(zone.clone());
    let today = now.date().to_datetime(time).to_zoned(zone.clone()).ok()?;
    let at = if today <= now {
        today
    } else {
        today.yesterday().ok()?.date().to_datetime(time).to_zoned(zone.clone()).ok()?
    };
    Some(Timestamp::from_millis(at.timestamp().as_millisecond()))
}

/// Shows the latest round: the end of a recording, or what comes from now on.
pub(super) fn latest(app: &mut App, now: Instant) {
    let was = app.data.is_past();
    app.data.resume();
    if was {
        app.refresh(true);
    } else if !app.data.is_replay() {
        app.say(now, "this is live");
    }
}

/// Plays, or stops.
pub(super) fn play(app: &mut App, now: Instant) {
    let reach = app.reach();
    if app.data.player().due().is_some() {
        app.data.stop();
    } else if app.data.play(now, reach) {
        app.refresh(true);
    } else if app.data.is_replay() {
        app.say(now, "the recording holds one round only");
    } else {
        app.say(now, "this is live; go back first, then it can be played");
    }
}

/// Plays faster or slower.
pub(super) fn pace(app: &mut App, action: Action, now: Instant) {
    app.data.pace(if action == Action::PlayFaster { 1 } else { -1 });
    app.say(now, format!("speed x{}", app.data.player().speed()));
}

/// Ranges that a key goes through.
const RANGES: [Duration; 5] = [
    Duration::from_mins(5),
    Duration::from_mins(15),
    Duration::from_hours(1),
    Duration::from_hours(6),
    Duration::from_hours(24),
];

/// The next range.
pub(super) fn next_range(app: &mut App, now: Instant) -> Vec<Effect> {
    let range = app.question.base().window;
    let next = RANGES.into_iter().find(|next| *next > range).unwrap_or(RANGES[0]);
    look_over(app, next, now)
}

/// Changes and trends are those of this range, for which a source that knows the past is asked.
pub(in crate::screen::update) fn look_over(app: &mut App, range: Duration, now: Instant) -> Vec<Effect> {
    app.question.set_range(range);
    app.data.remember(range);
    app.refresh(true);
    let held = app.data.history().span().map_or(Duration::ZERO, |(first, last)| last.since(first));
    let (asked, knows) = (format::span(range), app.data.view().source.kind.profile().knows_past);
    let short = if knows || held + held / 10 >= range {
        String::new()
    } else {
        format!("; {} of it are held, --prometheus-url knows more", format::age(held))
    };
    app.say(now, format!("changes and trends over {asked}{short}"));
    vec![Effect::Past(range)]
}

/// Stands still, or goes on. In a recording: plays, or stops.
pub(super) fn pause(app: &mut App, now: Instant) {
    if app.data.is_replay() {
        play(app, now);
    } else if app.data.player().due().is_some() {
        app.data.stop();
    } else if app.data.is_past() {
        app.data.resume();
        app.refresh(true);
    } else {
        app.data.pause();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_the_last_one() {
        // 2026-11-22T10:00:00Z.
        let last = Timestamp::from_seconds(1_795_341_600);
        let before = |text| moment(text, last, &TimeZone::UTC).map(|at| last.since(at).as_secs());
        assert_eq!(
            [before("09:55"), before("09:59:30"), before("10:00"), before("5m")],
            [Some(300), Some(30), Some(0), Some(300)]
        );
        assert_eq!(before("23:00"), Some(11 * 3_600));
        assert_eq!([before("25:00"), before("soon"), before("")], [None; 3]);
    }
}
