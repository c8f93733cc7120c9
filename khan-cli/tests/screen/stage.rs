//! The screen without a terminal: messages in, frames out.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use khan_api::{Snapshot, Timestamp};
use khan_cli::feed::News;
use khan_cli::model::node::Failure;
use khan_cli::model::{
    LeakRule, NodeInput, NodeState, NodeStatus, NodeTable, Pool, Query, SourceInfo, SourceKind, View, merge,
};
use khan_cli::screen::columns::Choice;
use khan_cli::screen::depth::Depth;
use khan_cli::screen::glyphs::{ASCII, UTF8};
use khan_cli::screen::keys::Keymap;
use khan_cli::screen::msg::{Effect, Msg};
use khan_cli::screen::panels::draw;
use khan_cli::screen::state::App;
use khan_cli::screen::state::settings::Setup;
use khan_cli::screen::styles::Theme;
use khan_cli::screen::update::update;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::shop::{PERIOD, START, snapshots};

/// What a source of this kind says at a step.
fn at(step: i64, inputs: Vec<NodeInput>, kind: SourceKind) -> Arc<View> {
    let source = SourceInfo { kind, context: "prod-eu1".into(), ..SourceInfo::default() };
    Arc::new(merge(source, inputs, Timestamp::from_seconds(START + PERIOD * step)))
}

/// A state and a terminal that only remembers.
pub(crate) struct Stage {
    /// The state.
    pub(crate) app: App,
    terminal: Terminal<TestBackend>,
    pool: Pool,
    latest: HashMap<String, Arc<NodeTable>>,
    now: Instant,
}

impl Stage {
    /// An empty screen.
    pub(crate) fn new(width: u16, height: u16, ascii: bool) -> Self {
        Self::with_rule(width, height, ascii, LeakRule::default())
    }

    /// An empty screen that judges leaks by this rule.
    pub(crate) fn with_rule(width: u16, height: u16, ascii: bool, rule: LeakRule) -> Self {
        Self::asking(width, height, ascii, Query::default(), rule)
    }

    /// An empty screen that asks this of what it will hear.
    pub(crate) fn asking(width: u16, height: u16, ascii: bool, query: Query, rule: LeakRule) -> Self {
        let setup = Setup {
            keymap: Keymap::default(),
            glyphs: if ascii { &ASCII } else { &UTF8 },
            depth: Depth::True,
            zone: TimeZone::UTC,
            directory: ".".into(),
            theme: Some(Theme::Ansi),
            columns: Choice::default(),
            views: Vec::new(),
            config: Some("config.yaml".into()),
            mouse: false,
            interval: Duration::from_secs(5),
        };
        let app = App::new(setup, query, rule);
        let terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal in memory");
        let mut stage = Self { app, terminal, pool: Pool::default(), latest: HashMap::new(), now: Instant::now() };
        stage.tell(Msg::Tick(Timestamp::from_seconds(START)));
        stage.tell(Msg::Resize(width, height));
        stage
    }

    /// Draws with another theme.
    pub(crate) fn theme(&mut self, theme: Theme) {
        self.command(&format!("theme {}", theme.as_str()));
    }

    /// Takes a message.
    pub(crate) fn tell(&mut self, msg: Msg) -> Vec<Effect> {
        update(&mut self.app, msg, self.now)
    }

    /// Presses keys, written with spaces between them.
    pub(crate) fn press(&mut self, keys: &str) -> Vec<Effect> {
        let keys: Vec<_> = keys.split_whitespace().map(|key| key.parse().expect("a key")).collect();
        keys.into_iter().flat_map(|key| self.tell(Msg::Key(key))).collect()
    }

    /// Types a command after `:`.
    pub(crate) fn command(&mut self, line: &str) -> Vec<Effect> {
        self.press(":");
        self.tell(Msg::Paste(line.into()));
        self.press("Enter")
    }

    /// Changes the size of the terminal.
    pub(crate) fn resize(&mut self, width: u16, height: u16) {
        self.terminal.backend_mut().resize(width, height);
        self.tell(Msg::Resize(width, height));
    }

    /// Shows the shop at these steps, and lets 12 seconds pass after the last.
    pub(crate) fn play(&mut self, steps: Range<i64>) {
        for step in steps.clone() {
            self.show(&snapshots(step), step);
        }
        self.tell(Msg::Tick(Timestamp::from_seconds(START + PERIOD * (steps.end - 1) + 12)));
    }

    /// Shows what agents told.
    pub(crate) fn show(&mut self, snapshots: &[Snapshot], step: i64) {
        let inputs = snapshots.iter().map(|snapshot| self.input(snapshot, NodeState::Ok, None)).collect();
        self.merge(inputs, step);
    }

    fn input(&mut self, snapshot: &Snapshot, state: NodeState, failure: Option<Failure>) -> NodeInput {
        let mut status = NodeStatus::waiting(&snapshot.node, format!("http://{}:14718", snapshot.node));
        status.describe(snapshot);
        status.answered = Some(snapshot.taken);
        (status.state, status.failure) = (state, failure);
        let table = Arc::new(NodeTable::new(snapshot, &mut self.pool).0);
        self.latest.insert((&snapshot.node).into(), Arc::clone(&table));
        NodeInput { status, table: (state != NodeState::Failed).then_some(table) }
    }

    fn merge(&mut self, inputs: Vec<NodeInput>, step: i64) {
        let view = at(step, inputs, SourceKind::Agents);
        self.tell(Msg::View(view));
    }

    /// The shop at a step, from a recording.
    pub(crate) fn recorded(&mut self, step: i64) -> Arc<View> {
        let inputs = snapshots(step).iter().map(|snapshot| self.input(snapshot, NodeState::Ok, None)).collect();
        at(step, inputs, SourceKind::Replay)
    }

    fn failure(&mut self, step: i64, node: &str) -> Failure {
        let reason = "agent timeout 5.0s".to_owned();
        let at = Timestamp::from_seconds(START + PERIOD * step);
        self.tell(Msg::News(News::Error { at, node: node.into(), message: reason.clone() }));
        Failure { reason, since: at, attempts: 2, next: Some(Timestamp::from_seconds(at.seconds() + 20)) }
    }

    /// One node does not answer any more.
    pub(crate) fn fail_one(&mut self, step: i64) {
        let failure = self.failure(step, "node-07");
        let (old, new) = (snapshots(step - 5), snapshots(step));
        let inputs =
            vec![self.input(&new[0], NodeState::Ok, None), self.input(&old[1], NodeState::Stale, Some(failure))];
        self.merge(inputs, step);
        self.tell(Msg::Tick(Timestamp::from_seconds(START + PERIOD * step + 12)));
    }

    /// No node answers any more, and their data is too old.
    pub(crate) fn fail_all(&mut self, step: i64) {
        let inputs = snapshots(step)
            .iter()
            .map(|snapshot| {
                let failure = self.failure(step, &snapshot.node);
                self.input(snapshot, NodeState::Failed, Some(failure))
            })
            .collect();
        self.merge(inputs, step);
    }

    /// The frame as text.
    pub(crate) fn frame(&mut self) -> String {
        self.tell(Msg::Drawn);
        let app = &self.app;
        self.terminal.draw(|frame| draw(app, frame)).expect("a terminal in memory");
        let buffer = self.terminal.backend().buffer();
        let width = usize::from(buffer.area.width).max(1);
        let line = |row: &[ratatui::buffer::Cell]| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>();
        buffer.content.chunks(width).fold(String::new(), |text, row| text + line(row).trim_end() + "\n")
    }

    /// The frame's lines, each followed by its styled spans.
    pub(crate) fn styled(&mut self) -> String {
        let text = self.frame();
        let buffer = self.terminal.backend().buffer();
        let width = usize::from(buffer.area.width).max(1);
        let mut styled = String::new();
        for (line, row) in text.lines().zip(buffer.content.chunks(width)) {
            let _ = writeln!(styled, "{line}");
            let mut start = 0;
            for end in 1..=row.len() {
                let look = |cell: &ratatui::buffer::Cell| (cell.fg, cell.bg, cell.modifier);
                if end == row.len() || look(&row[end]) != look(&row[start]) {
                    let cell = &row[start];
                    if look(cell) != look(&ratatui::buffer::Cell::default()) {
                        let _ = writeln!(styled, "    {start}..{end} {:?} {:?} {:?}", cell.fg, cell.bg, cell.modifier);
                    }
                    start = end;
                }
            }
        }
        styled
    }
}
