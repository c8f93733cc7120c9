//! The whole frame: which panel is drawn where.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::screen::layout::{SMALLEST, layout};
use crate::screen::state::App;
use crate::screen::tab::Tab;
use crate::screen::widgets::canvas::Canvas;

use super::{
    agents, connections, details, drill, empty_state, footer, header, leaks, menu, nodes, problems, prompt, reader,
    too_small,
};

/// Draws a frame and puts the text cursor where a line is being typed.
pub fn draw(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    paint(app, frame.buffer_mut(), area);
    if let Some((x, y)) = prompt::cursor(app, area.width, area.height) {
        frame.set_cursor_position((x, y));
    }
}

/// Draws everything into a buffer.
fn paint(app: &App, buffer: &mut Buffer, area: Rect) {
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        too_small::draw(app, &mut Canvas::new(buffer, area));
        return;
    }
    if app.overlays.reader().is_some() {
        reader::draw(app, &mut Canvas::new(buffer, area));
        return;
    }
    let areas = layout((area.width, area.height), app.shown());
    header::draw(app, &areas, &mut Canvas::new(buffer, areas.header));
    let mut canvas = Canvas::new(buffer, areas.body);
    if let Some(opened) = app.drills.last() {
        drill::draw(app, opened, &mut canvas);
    } else if !empty_state::draw(app, &mut canvas) {
        match app.lists.tab() {
            Tab::Problems => problems::draw(app, &mut canvas),
            Tab::Leaks => leaks::draw(app, &mut canvas),
            Tab::Nodes => nodes::draw(app, &mut canvas),
            Tab::Agents => agents::draw(app, &mut canvas),
            Tab::Edges | Tab::Sources | Tab::Dests | Tab::External => connections::draw(app, &mut canvas),
        }
    }
    let mut canvas = Canvas::new(buffer, areas.details);
    if canvas.height() > 0 {
        match app.lists.tab() {
            Tab::Problems => problems::draw_details(app, &mut canvas),
            Tab::Leaks => leaks::draw_tables(app, &mut canvas),
            _ => details::draw(app, &mut canvas),
        }
    }
    let above = Rect::new(0, areas.body.y, area.width, areas.footer.y.saturating_sub(areas.body.y));
    prompt::candidates(app, &mut Canvas::new(buffer, above));
    footer::draw(app, &areas, &mut Canvas::new(buffer, areas.footer));
    if let Some(menu) = app.overlays.menu() {
        menu::draw(app, menu, &mut Canvas::new(buffer, area));
    }
}
