//! The health of each agent.

use khan_api::Timestamp;
use ratatui::text::Span;

use crate::model::NodeStatus;
use crate::screen::format;
use crate::screen::items::What;
use crate::screen::layout::table::Column;
use crate::screen::state::App;
use crate::screen::widgets::canvas::Canvas;
use crate::screen::widgets::table::{Row, Table};

use super::cells::{count, dash, is_selected, name, sign, state};

#[derive(Clone, Copy)]
enum Field {
    Node,
    State,
    Age,
    Scan,
    Interval,
    Version,
    Unresolved,
    Answered,
    Next,
    Trouble,
}

fn columns(app: &App) -> [Column<Field>; 10] {
    [
        Column::names(Field::Node, "NODE").wants(app.answers.names().node),
        Column::left(Field::State, "STATE", 7),
        Column::right(Field::Age, "AGE", 7),
        Column::right(Field::Scan, "SCAN", 7).leaves(18, 2),
        Column::right(Field::Interval, "INTERVAL", 8).leaves(18, 3),
        Column::left(Field::Version, "VERSION", 9).leaves(18, 4),
        Column::right(Field::Unresolved, "UNRESOLVED", 10).leaves(18, 5),
        Column::right(Field::Answered, "ANSWERED", 9).leaves(18, 6),
        Column::right(Field::Next, "NEXT TRY", 8).leaves(18, 7),
        Column::names(Field::Trouble, "PROBLEMS"),
    ]
}

/// Draws the list of agents.
pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let rows = app.lists.list().cursor.offset..app.answers.items().len();
    let table = Table::new(app.settings.styles(), columns(app), rows, |at, slots| {
        let item = &app.answers.items()[at];
        let What::Agent(at) = item.what else { return Row::default() };
        let Some(node) = app.data.view().nodes.get(at) else { return Row::default() };
        let cells = slots.iter().map(|slot| cell(app, node, slot.id(), slot.width));
        Row::new(cells).sign(sign(app, item, false)).selected(is_selected(app, item))
    });
    table.draw(canvas);
}

fn cell(app: &App, node: &NodeStatus, field: Field, cells: u16) -> Span<'static> {
    let plain = |text: String| Some(Span::styled(text, app.settings.styles().text));
    let fitted = |text: &str| Some(name(app, text, cells, app.settings.styles().text));
    let clock = |time: Option<Timestamp>| time.and_then(|time| plain(format::clock(time, app.settings.zone())));
    let scanned = !node.interval.is_zero();
    let known = match field {
        Field::Node => fitted(if node.node.is_empty() { &node.agent } else { &node.node }),
        Field::State => Some(state(app, node.state)),
        Field::Age => node.age(app.data.clock()).and_then(|age| plain(format::age(age))),
        Field::Scan if scanned => plain(format!("{}ms", node.scan.as_millis())),
        Field::Interval if scanned => plain(format::age(node.interval)),
        Field::Scan | Field::Interval => None,
        Field::Version if node.version.is_empty() => None,
        Field::Version => fitted(&node.version),
        Field::Unresolved => Some(count(node.names.unresolved, cells, app.settings.styles().text)),
        Field::Answered => clock(node.answered),
        Field::Next => clock(node.failure.as_ref().and_then(|failure| failure.next)),
        Field::Trouble => Some(name(app, trouble(node), cells, app.settings.styles().warn)),
    };
    known.unwrap_or_else(|| dash(app))
}

/// Why there is no data, else why there are no names, else the first warning of the agent.
fn trouble(node: &NodeStatus) -> &str {
    let reason = node.trouble().map(|(reason, _)| reason);
    let names = Some(node.names.error.as_str()).filter(|error| !error.is_empty());
    reason.or(names).or(node.warnings.first().map(AsRef::as_ref)).unwrap_or("")
}
