//! Where the round on the screen stands among those that are held.

use crate::screen::format;
use crate::screen::keys::{Action, Context};
use crate::screen::state::App;
use crate::screen::text::cells;
use crate::screen::widgets::canvas::Canvas;

/// Cells of the line at least.
const SHORTEST: u16 = 8;
/// And at most: a longer one tells no more.
const LONGEST: u16 = 60;

/// Draws the line up to column `end`; false while the screen follows a live source.
pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>, y: u16, end: u16) -> bool {
    if app.data.paused().is_some() || !(app.data.is_past() || app.data.is_replay()) {
        return false;
    }
    let Some((first, last)) = app.data.reach() else { return false };
    let (styles, glyphs, zone) = (app.settings.styles(), app.settings.glyphs(), app.settings.zone());
    let (round, rounds) = app.data.place();
    let (first, last) = (format::clock(first, zone), format::clock(last, zone));
    let words = if app.data.is_replay() && !app.data.is_past() {
        let key = |action| {
            let found = app.settings.keymap().first(Context::Past, action);
            found.map_or_else(|| "its command".to_owned(), |(key, _)| key.to_string())
        };
        let (play, back) = (key(Action::Play), key(Action::StepBack));
        format!("end of the recording: {play} plays it again, {back} steps back")
    } else {
        format!("round {round} of {rounds}")
    };
    // It stands on a rule.
    canvas.put(0, y, &" ".repeat(end.into()), styles.text);
    let taken = cells(&first) + cells(&last) + cells(&words) + 5;
    let room = end.saturating_sub(1 + taken).min(LONGEST);
    let mut x = 1;
    if room >= SHORTEST {
        x = canvas.put(x, y, &first, styles.text) + 1;
        let at = usize::from(room - 1) * (round - 1).min(rounds - 1) / (rounds - 1).max(1);
        let (at, rest) = (u16::try_from(at).unwrap_or(0).min(room - 1), room - 1);
        let before = canvas.put(x, y, &glyphs.rule.repeat(at.into()), styles.accent);
        let mark = canvas.put(before, y, glyphs.cursor, styles.accent);
        x = canvas.put(mark, y, &glyphs.rule.repeat((rest - at).into()), styles.dim) + 1;
        x = canvas.put(x, y, &last, styles.text) + 2;
    }
    let style = if app.data.is_past() { styles.text } else { styles.warn };
    canvas.put_fit(x, y, end.saturating_sub(x), &words, glyphs.ellipsis, style);
    true
}
