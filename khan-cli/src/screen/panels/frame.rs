//! The frame as a whole: what goes where at which size.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::screen::app::App;
use crate::screen::overlay::Overlay;
use crate::screen::tab::Tab;

use super::{agents, connections, drill, empty_state, footer, header, leaks, menu, nodes, reader, too_small};
use crate::screen::widgets::canvas::Canvas;

/// Below this only a summary is drawn.
pub const SMALLEST: (u16, u16) = (40, 10);

/// The parts of a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Areas {
    /// Less room: two header lines instead of four, shorter words.
    pub compact: bool,
    /// Identity, views, totals.
    pub header: Rect,
    /// The list with its heads.
    pub body: Rect,
    /// More about the row under the cursor, or the tables' fill.
    pub details: Rect,
    /// Rule, status and hints.
    pub footer: Rect,
}

/// Where the parts are. The same function tells the updates how many lines a list has.
pub fn layout((width, height): (u16, u16), app: &App) -> Areas {
    let compact = width < 100 || height < 20;
    let opened = !app.drills.is_empty();
    let head = match (compact, opened, app.page) {
        (true, true, _) => 1,
        (true, false, _) | (false, true, _) => 2,
        (false, false, Tab::Leaks) => 3,
        (false, false, _) => 4,
    };
    let foot = 3.min(height.saturating_sub(head + 2));
    let middle = height.saturating_sub(head + foot);
    let below = match app.page {
        _ if opened => 0,
        Tab::Leaks => leaks::fill_height(app, middle),
        Tab::Agents | Tab::Nodes => 0,
        _ if app.details => (middle / 3).min(7),
        _ => 0,
    };
    Areas {
        compact,
        header: Rect::new(0, 0, width, head.min(height)),
        body: Rect::new(0, head.min(height), width, middle - below),
        details: Rect::new(0, head + middle - below, width, below),
        footer: Rect::new(0, head + middle, width, foot),
    }
}

/// Draws everything.
pub fn draw(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    paint(app, frame.buffer_mut(), area);
    if let Some((x, y)) = footer::cursor(app, area.width, area.height) {
        frame.set_cursor_position((x, y));
    }
}

/// Draws everything into a buffer.
pub fn paint(app: &App, buffer: &mut Buffer, area: Rect) {
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        too_small::draw(app, &mut Canvas::new(buffer, area));
        return;
    }
    if let Some(Overlay::Reader(_)) = app.overlay {
        reader::draw(app, &mut Canvas::new(buffer, area));
        return;
    }
    let areas = layout((area.width, area.height), app);
    header::draw(app, &areas, &mut Canvas::new(buffer, areas.header));
    let mut canvas = Canvas::new(buffer, areas.body);
    if let Some(opened) = app.drills.last() {
        drill::draw(app, opened, &mut canvas);
    } else if !empty_state::draw(app, &mut canvas) {
        match app.page {
            Tab::Leaks => leaks::draw(app, &mut canvas),
            Tab::Nodes => nodes::draw(app, &mut canvas),
            Tab::Agents => agents::draw(app, &mut canvas),
            Tab::Edges | Tab::Sources | Tab::Dests | Tab::External => connections::draw(app, &mut canvas),
        }
    }
    let mut canvas = Canvas::new(buffer, areas.details);
    if canvas.height() > 0 {
        match app.page {
            Tab::Leaks => leaks::draw_fill(app, &mut canvas),
            _ => connections::draw_details(app, &mut canvas),
        }
    }
    footer::draw(app, &areas, &mut Canvas::new(buffer, areas.footer));
    if let Some(Overlay::Menu(menu)) = app.overlay {
        menu::draw(app, menu, &mut Canvas::new(buffer, area));
    }
}
