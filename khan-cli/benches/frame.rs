//! A frame with 100,000 rows in memory at 120x40: Khan's, which builds the rows on the screen, against handing
//! ratatui's `Table` every row. Prints times and their ratio; fails above 5 ms when optimised.

#[path = "../tests/screen/shop.rs"]
mod shop;
#[path = "../tests/screen/stage.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod stage;

use std::time::{Duration, Instant};

use khan_cli::screen::panels::draw;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Constraint;
use ratatui::widgets::{Row, Table};
use stage::Stage;

const ROWS: usize = 100_000;
const SIZE: (u16, u16) = (120, 40);

fn main() {
    let mut stage = Stage::new(SIZE.0, SIZE.1, false);
    stage.command("limit 0");
    stage.show(&[wide()], 0);
    assert_eq!(stage.app.answers.projection().rows.len(), ROWS);
    let mut terminal = Terminal::new(TestBackend::new(SIZE.0, SIZE.1)).expect("a terminal in memory");
    let ours = median(40, || {
        // Another part of the list each time, so that the whole screen changes.
        stage.press("PgDn PgDn");
        let start = Instant::now();
        terminal.draw(|frame| draw(&stage.app, frame)).expect("a terminal in memory");
        start.elapsed()
    });
    let rows = &stage.app.answers.projection().rows;
    let theirs = median(5, || {
        let row = |row: &khan_cli::model::Row| {
            Row::new([row.source().to_owned(), row.destination().to_owned(), row.sum.connections.to_string()])
        };
        let widths = [Constraint::Fill(1), Constraint::Fill(1), Constraint::Length(9)];
        let start = Instant::now();
        let table = Table::new(rows.iter().map(row), widths);
        terminal.draw(|frame| frame.render_widget(table, frame.area())).expect("a terminal in memory");
        start.elapsed()
    });
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
    println!(
        "frame of {ROWS} rows at {}x{}: {ours:?}; every row handed to a table: {theirs:?}; ratio {ratio:.0}",
        SIZE.0, SIZE.1
    );
    assert!(cfg!(debug_assertions) || ours <= Duration::from_millis(5), "a frame takes {ours:?}");
}

/// One node with as many groups as there are rows.
fn wide() -> khan_api::Snapshot {
    let mut snapshot = shop::node("node-01", 0).row("ns/app@node-01", "svc:data/db", 1, 1).established(1).snapshot;
    let (endpoint, row) = (snapshot.endpoints[0].clone(), snapshot.rows[0].clone());
    snapshot.rows.clear();
    for i in 0..ROWS {
        let mut client = endpoint.clone();
        let number = u32::try_from(i).expect("small");
        client.ip = Some(std::net::Ipv4Addr::from(0x0a80_0000 + number).into());
        client.owner.app = format!("app-{i}").into();
        snapshot.endpoints.push(client);
        let connections = 1 + i as u64 % 977;
        let src = u32::try_from(snapshot.endpoints.len() - 1).expect("small");
        snapshot.rows.push(khan_api::snapshot::Row { src, connections, ..row.clone() });
    }
    snapshot
}

fn median(times: usize, work: impl FnMut() -> Duration) -> Duration {
    let mut taken: Vec<_> = std::iter::repeat_with(work).take(times).collect();
    taken.sort();
    taken[times / 2]
}
