//! The states of connections, and how long they have been idle.

use ratatui::style::Style;

use crate::model::Sum;
use crate::report::idle;
use crate::screen::format;
use crate::screen::state::App;
use crate::screen::widgets::canvas::Canvas;

use super::cells::idle_times;

/// Draws states, idle times, and how many connections each side has yet to close.
pub(super) fn draw(app: &App, sum: &Sum, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    let end = canvas.width().saturating_sub(1);
    canvas.put(0, 0, "by state", styles.head);
    canvas.put_right(end, 0, "CONNS", styles.head);
    let mut lines: Vec<(&str, u64, Style)> =
        sum.states.ranked().into_iter().take(4).map(|(state, n)| (state, n, styles.text)).collect();
    let oddities = [
        ("client must close", sum.client_unclosed, styles.warn),
        ("server must close", sum.server_unclosed, styles.warn),
        ("of previous owners", sum.previous, styles.dim),
    ];
    lines.extend(oddities.into_iter().filter(|(_, n, _)| *n > 0));
    let words: Vec<_> = idle::ranges().map(|range| format!("idle {}", idle::words(range))).collect();
    let known = sum.idle.iter().any(|n| *n > 0);
    let room = usize::from(canvas.height()) >= lines.len() + 1 + sum.idle.len();
    if known && room {
        let look = |n| if n == 0 { styles.dim } else { styles.text };
        lines.extend(words.iter().zip(sum.idle).map(|(word, n)| (word.as_str(), n, look(n))));
    }
    for (y, (name, n, style)) in (1..).zip(&lines) {
        canvas.put(1, y, name, *style);
        canvas.put_right(end, y, &format::count(*n), *style);
    }
    if known && !room {
        let y = u16::try_from(lines.len() + 1).unwrap_or(0);
        let words =
            std::iter::once(("idle".to_owned(), 1)).chain(idle_times(&sum.idle).into_iter().map(|time| (time, 2)));
        canvas.words(1, y, end, words.map(|(word, gap)| (word, styles.dim, gap)));
    }
}
