//! What is wrong: a line each, worst first, then what is not known from here; below the list all of one problem.

use ratatui::text::Span;

use crate::model::Problem;
use crate::screen::format;
use crate::screen::items::What;
use crate::screen::layout::table::Column;
use crate::screen::state::App;
use crate::screen::text::{self, cells};
use crate::screen::widgets::canvas::Canvas;
use crate::screen::widgets::table::{Row, Table};

use super::cells::{dash, is_selected, name, severity, sign};

#[derive(Clone, Copy)]
enum Field {
    Severity,
    Kind,
    Age,
    Problem,
    Owners,
    Nodes,
}

fn columns(app: &App) -> [Column<Field>; 6] {
    let list = &app.answers.problems().list;
    let kinds = list.iter().map(|problem| cells(problem.kind.as_str())).fold(4, u16::max);
    let sentences = list.iter().map(|problem| cells(&problem.sentence)).max().unwrap_or(0);
    [
        Column::left(Field::Severity, "SEVERITY", 8),
        Column::left(Field::Kind, "KIND", kinds).leaves(36, 1),
        Column::right(Field::Age, "AGE", 6).leaves(40, 2),
        Column::names(Field::Problem, "PROBLEM").wants(sentences),
        Column::left(Field::Nodes, "NODES", 14).leaves(60, 3),
        // The sentence names them, too.
        Column::left(Field::Owners, "OWNERS", 24).leaves(72, 4).grows(),
    ]
}

/// Draws the list.
pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let room = canvas.width().saturating_sub(4);
    let rows = app.lists.list().cursor.offset..app.answers.items().len();
    let table = Table::new(app.settings.styles(), columns(app), rows, |at, slots| {
        let item = &app.answers.items()[at];
        let row = match (item.what, app.answers.problem(item)) {
            (_, Some(problem)) => Row::new(slots.iter().map(|slot| cell(app, problem, slot.id(), slot.width))),
            (What::Unknown(at), _) => {
                let words = app.answers.unknown().get(at).map_or("", String::as_str);
                Row::across(0, name(app, words, room, app.settings.styles().dim))
            }
            _ => Row::default(),
        };
        row.sign(sign(app, item, false)).selected(is_selected(app, item))
    });
    table.draw(canvas);
}

fn cell(app: &App, problem: &Problem, field: Field, cells: u16) -> Span<'static> {
    let plain = |text: &str| name(app, text, cells, app.settings.styles().text);
    match field {
        Field::Severity => Span::styled(problem.severity.as_str(), severity(app, problem.severity)),
        Field::Kind => plain(problem.kind.as_str()),
        Field::Age => {
            problem.since.map_or_else(|| dash(app), |since| plain(&format::age(app.data.moment().since(since))))
        }
        Field::Problem => plain(&problem.sentence),
        Field::Owners if problem.owners.is_empty() => dash(app),
        Field::Owners => plain(&problem.owners.join(", ")),
        Field::Nodes if problem.nodes.is_empty() => dash(app),
        Field::Nodes => plain(&problem.nodes.join(", ")),
    }
}

/// Draws the problem under the cursor, or the first one: its sentence, what shows it, and what to do next.
pub(super) fn draw_details(app: &App, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    canvas.rule(0, app.settings.glyphs().rule, styles.dim);
    let Some(problem) = app.current_or_first().and_then(|item| app.answers.problem(item)) else { return };
    let mut title = vec![(format!(" {} ", problem.severity.as_str()), severity(app, problem.severity), 0)];
    title.push((format!("{} ", problem.kind), styles.strong, 0));
    if let Some(since) = problem.since {
        let (at, ago) = (format::clock(since, app.settings.zone()), format::age(app.data.moment().since(since)));
        title.push((format!("since {at}, for {ago} "), styles.text, 0));
    }
    let end = canvas.width().saturating_sub(1);
    canvas.words(2, 0, end, title);
    let facts = [("owners", problem.owners.join(", ")), ("nodes", problem.nodes.join(", "))];
    let facts = facts.iter().filter(|(_, fact)| !fact.is_empty()).map(|(name, fact)| (*name, fact.as_str()));
    let lines = std::iter::once(("", problem.sentence.as_str(), styles.strong))
        .chain(problem.evidence.iter().map(|evidence| ("", evidence.as_str(), styles.text)))
        .chain(problem.next.iter().map(|next| ("next", next.as_str(), styles.accent)))
        .chain(facts.map(|(name, fact)| (name, fact, styles.text)));
    let mut y = 1;
    for (head, line, style) in lines {
        let x = if head.is_empty() { 2 } else { 9 };
        for (i, part) in text::wrap(line, usize::from(canvas.width().saturating_sub(x + 2)).max(8)).iter().enumerate() {
            if y >= canvas.height() {
                return;
            }
            canvas.put(2, y, if i == 0 { head } else { "" }, styles.dim);
            canvas.put(x, y, part, style);
            y += 1;
        }
    }
}
