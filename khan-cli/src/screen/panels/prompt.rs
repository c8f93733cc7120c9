//! The line being typed: its text and cursor, what may follow it, what is wrong with it, and the keys that work in it.

use unicode_width::UnicodeWidthChar;

use crate::screen::layout::SMALLEST;
use crate::screen::prompt::Prompt;
use crate::screen::state::App;
use crate::screen::text::{cells, width};
use crate::screen::widgets::canvas::Canvas;

/// Candidates shown at once.
const CANDIDATES: usize = 8;
/// Cells of a candidate at most, where its meaning is to stand beside it.
const NAME: u16 = 40;

/// Where the text cursor is while a line is being typed.
pub(super) fn cursor(app: &App, width: u16, height: u16) -> Option<(u16, u16)> {
    let prompt = app.prompts.current()?;
    if width < SMALLEST.0 || height < SMALLEST.1 {
        return None;
    }
    let (hidden, _) = hidden(prompt, width);
    Some((begin(prompt) + cells(prompt.head()) - hidden, height - 2))
}

/// Where the text of the line begins.
fn begin(prompt: &Prompt) -> u16 {
    1 + cells(prompt.purpose.sign())
}

/// Cells and bytes at the beginning of the line that are not shown, so that its cursor is in sight.
fn hidden(prompt: &Prompt, width: u16) -> (u16, usize) {
    let over = (begin(prompt) + cells(prompt.head()) + 1).saturating_sub(width);
    let (mut skipped, mut bytes) = (0, 0);
    for c in prompt.text().chars() {
        if skipped >= over {
            break;
        }
        skipped += u16::try_from(c.width().unwrap_or(0)).unwrap_or(0);
        bytes += c.len_utf8();
    }
    (skipped, bytes)
}

/// Draws the line being typed; false if none is.
pub(super) fn line(app: &App, canvas: &mut Canvas<'_>, y: u16) -> bool {
    let Some(prompt) = app.prompts.current() else { return false };
    let styles = app.settings.styles();
    canvas.part(0, y, canvas.width(), 1).clear();
    let x = canvas.put(1, y, prompt.purpose.sign(), styles.accent);
    let (_, bytes) = hidden(prompt, canvas.width());
    canvas.put(x, y, &prompt.text()[bytes..], styles.text);
    true
}

/// Draws what is wrong with the line, below it where that is, else the keys that work in it; false if none is typed.
pub(super) fn below(app: &App, canvas: &mut Canvas<'_>, y: u16) -> bool {
    let Some(prompt) = app.prompts.current() else { return false };
    let styles = app.settings.styles();
    let Some(fault) = app.prompts.fault() else {
        let mut x = 1;
        for (keys, hint) in prompt.purpose.keys() {
            if x + cells(keys) + 1 + cells(hint) > canvas.width() {
                break;
            }
            x = canvas.put(x, y, keys, styles.accent) + 1;
            x = canvas.put(x, y, hint, styles.text) + 2;
        }
        return true;
    };
    let ellipsis = app.settings.glyphs().ellipsis;
    let end = canvas.width().saturating_sub(1);
    let Some((column, wide)) = fault.place else {
        canvas.put_fit(1, y, end.saturating_sub(1), &fault.message, ellipsis, styles.bad);
        return true;
    };
    let (hidden, _) = hidden(prompt, canvas.width());
    let before: String = prompt.text().chars().take(column).collect();
    let within: String = prompt.text().chars().skip(column).take(wide).collect();
    let from = (begin(prompt) + cells(&before)).saturating_sub(hidden).min(end.saturating_sub(1));
    let carets = width(&within).max(1).min(usize::from(end - from));
    let to = canvas.put(from, y, &"^".repeat(carets), styles.bad) + 1;
    let message = cells(&fault.message);
    if message <= end.saturating_sub(to) || end.saturating_sub(to) >= from.saturating_sub(2) {
        canvas.put_fit(to, y, end.saturating_sub(to), &fault.message, ellipsis, styles.bad);
    } else {
        let room = from.saturating_sub(2);
        canvas.put_fit(1 + room.saturating_sub(message), y, room, &fault.message, ellipsis, styles.bad);
    }
    true
}

/// Draws what may follow, at the bottom of the part above the footer.
pub(super) fn candidates(app: &App, canvas: &mut Canvas<'_>) {
    let found = app.prompts.candidates();
    if app.prompts.current().is_none() || found.list.is_empty() {
        return;
    }
    let styles = app.settings.styles();
    let shown = found.list.len().min(CANDIDATES).min(usize::from(canvas.height() / 2));
    let first = found.chosen.map_or(0, |at| (at + 1).saturating_sub(shown)).min(found.list.len() - shown);
    let lines = u16::try_from(shown).unwrap_or(0);
    let (top, wide) = (canvas.height().saturating_sub(lines + 1), canvas.width());
    let mut canvas = canvas.part(0, top, wide, lines + 1);
    canvas.clear();
    canvas.rule(0, app.settings.glyphs().rule, styles.dim);
    if found.list.len() > shown {
        canvas.put_right(wide.saturating_sub(2), 0, &format!(" {} of {} ", shown, found.list.len()), styles.dim);
    }
    let window = &found.list[first..first + shown];
    let name = window.iter().map(|candidate| cells(&candidate.text)).max().unwrap_or(0).min(NAME);
    for (y, candidate) in (1..).zip(window) {
        let ellipsis = app.settings.glyphs().ellipsis;
        canvas.put_fit(2, y, name, &candidate.text, ellipsis, styles.accent);
        let x = 2 + name + 2;
        canvas.put_fit(x, y, wide.saturating_sub(x + 1), &candidate.meaning, ellipsis, styles.text);
        if found.chosen == Some(first + usize::from(y) - 1) {
            canvas.style(0, y, wide, styles.selected);
        }
    }
}
