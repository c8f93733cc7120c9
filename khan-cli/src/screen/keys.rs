//! The one table of what a key can do. Dispatch, the help screen, the footer's hints, the command line's names and the
//! check of configured bindings are all derived from it.

mod key;
mod keymap;

use ratatui::crossterm::event::KeyCode;

use super::tab::Tab;

pub use key::{Key, ParseKeyError};
pub use keymap::{Keymap, KeymapError};

/// Where keys are pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Context {
    /// A list of rows: edges, sources, destinations, nodes, external, agents.
    Table,
    /// The list of problems.
    Problems,
    /// The list of leak suspects.
    Leaks,
    /// One row, opened.
    Drill,
    /// Text that scrolls: help, errors, a query to copy.
    Reader,
    /// A short list to choose from: sort, columns, export.
    Menu,
    /// Over the lists and details while the screen looks back: its keys come before theirs.
    Past,
}

impl Context {
    /// Every context that stands by itself.
    pub const ALL: [Self; 6] = [Self::Table, Self::Problems, Self::Leaks, Self::Drill, Self::Reader, Self::Menu];

    /// As the title of the help screen says it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Table => "lists",
            Self::Problems => "problems",
            Self::Leaks => "leaks",
            Self::Drill => "details",
            Self::Reader => "text",
            Self::Menu => "menus",
            Self::Past => "looking back",
        }
    }
}

/// What a key can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant's entry in BINDINGS says what it does")]
pub enum Action {
    Down,
    Up,
    First,
    Last,
    HalfDown,
    HalfUp,
    PageDown,
    PageUp,
    Expand,
    Collapse,
    Open,
    Back,
    NextEdge,
    NextPane,
    View(Tab),
    NextGroup,
    PreviousGroup,
    SortLeft,
    SortRight,
    Reverse,
    SortMenu,
    SortConns,
    SortDelta,
    SortSource,
    SortTarget,
    Filter,
    Invert,
    Pin,
    UnpinAll,
    Fold,
    Pause,
    StepBack,
    StepOn,
    JumpBack,
    JumpOn,
    Oldest,
    Latest,
    Play,
    PlaySlower,
    PlayFaster,
    Slower,
    Faster,
    Refresh,
    Repaint,
    Baseline,
    ClearBaseline,
    DeltaMode,
    Range,
    Window,
    Threshold,
    Details,
    Wide,
    Columns,
    Copy,
    Export,
    Views,
    /// A saved view, by its place.
    Saved(usize),
    Promql,
    Kubectl,
    CopyNext,
    Mouse,
    Theme,
    Command,
    Help,
    Errors,
    Search,
    Toggle,
    Quit,
    QuitKeep,
    Interrupt,
    Suspend,
}

/// Part of the help screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "headings")]
pub enum Group {
    Move,
    Views,
    Rows,
    Time,
    Past,
    Output,
    Program,
}

impl Group {
    /// Every group, as help lists them.
    pub const ALL: [Self; 7] =
        [Self::Move, Self::Views, Self::Rows, Self::Time, Self::Past, Self::Output, Self::Program];

    /// The heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Move => "Move",
            Self::Views => "Views",
            Self::Rows => "Rows and columns",
            Self::Time => "Time",
            Self::Past => "Looking back",
            Self::Output => "Take away",
            Self::Program => "Program",
        }
    }
}

/// An entry of [`BINDINGS`].
#[derive(Debug)]
pub struct Binding {
    /// What it does.
    pub action: Action,
    /// Its name on the command line and in the configuration.
    pub name: &'static str,
    /// The keys it has unless configured otherwise.
    pub keys: &'static [Key],
    /// Where it works.
    pub contexts: &'static [Context],
    /// What help says.
    pub help: &'static str,
    /// Where help says it.
    pub group: Group,
    /// What the footer says where [`footer`] lists it.
    pub hint: &'static str,
}

const fn entry(
    action: Action,
    name: &'static str,
    keys: &'static [Key],
    contexts: &'static [Context],
    group: Group,
    help: &'static str,
    hint: &'static str,
) -> Binding {
    Binding { action, name, keys, contexts, help, group, hint }
}

const fn c(c: char) -> Key {
    Key::char(c)
}

const fn k(code: KeyCode) -> Key {
    Key::code(code)
}

const ALL: &[Context] = &Context::ALL;
const LISTS: &[Context] = &[Context::Table, Context::Problems, Context::Leaks, Context::Drill];
/// Where a row is connections.
const CONNECTIONS: &[Context] = &[Context::Table, Context::Leaks, Context::Drill];
const ROWS: &[Context] = &[Context::Table, Context::Problems, Context::Leaks];
/// Where details stand below the list.
const DETAILED: &[Context] = &[Context::Table, Context::Problems];
const TABLE: &[Context] = &[Context::Table];
const DRILL: &[Context] = &[Context::Drill];
const LEAKS: &[Context] = &[Context::Leaks];
const READER: &[Context] = &[Context::Reader];
const MENU: &[Context] = &[Context::Menu];
const TIME: &[Context] = &[Context::Table, Context::Problems, Context::Leaks, Context::Drill, Context::Past];
const PAST: &[Context] = &[Context::Past];

/// Every action. `T` is the next theme, so that sorting by target has `t`. Ctrl-s and Ctrl-q (flow control), Ctrl-a and
/// Ctrl-b (multiplexers) and Ctrl-w, Ctrl-t and Ctrl-n (browsers) are left alone. Nothing here changes anything outside
/// this program.
#[rustfmt::skip]
pub static BINDINGS: &[Binding] = &[
    entry(Action::Down, "down", &[c('j'), k(KeyCode::Down)], ALL, Group::Move, "next row", "move"),
    entry(Action::Up, "up", &[c('k'), k(KeyCode::Up)], ALL, Group::Move, "previous row", ""),
    entry(Action::First, "first", &[c('g'), k(KeyCode::Home)], ALL, Group::Move, "first row, no cursor", ""),
    entry(Action::Last, "last", &[c('G'), k(KeyCode::End)], ALL, Group::Move, "last row", ""),
    entry(Action::HalfDown, "half-page-down", &[Key::ctrl('d')], ALL, Group::Move, "half a page down", ""),
    entry(Action::HalfUp, "half-page-up", &[Key::ctrl('u')], ALL, Group::Move, "half a page up", ""),
    entry(Action::PageDown, "page-down", &[k(KeyCode::PageDown), Key::ctrl('f')], ALL, Group::Move, "page down", ""),
    entry(Action::PageUp, "page-up", &[k(KeyCode::PageUp)], ALL, Group::Move, "page up", ""),
    entry(Action::Open, "open", &[k(KeyCode::Enter)], LISTS, Group::Views, "open the row", "drill"),
    entry(Action::Back, "back", &[k(KeyCode::Esc), k(KeyCode::Backspace)], ALL, Group::Views, "close, clear, back", "back"),
    entry(Action::NextPane, "next-pane", &[k(KeyCode::Tab)], DRILL, Group::Views, "next list here", "pane"),
    entry(Action::NextEdge, "next-edge", &[c('n')], DRILL, Group::Views, "next row of the list", "next edge"),
    entry(Action::Filter, "filter", &[c('/')], ROWS, Group::Rows, "filter (Enter keeps)", "filter"),
    entry(Action::Invert, "invert", &[c('!')], ROWS, Group::Rows, "invert the filter", ""),
    entry(Action::NextGroup, "group", &[k(KeyCode::Tab)], ROWS, Group::Views, "next grouping", "group"),
    entry(Action::PreviousGroup, "group-back", &[k(KeyCode::BackTab)], ROWS, Group::Views, "previous grouping", ""),
    entry(Action::View(Tab::Edges), "edges", &[c('1')], LISTS, Group::Views, "source -> destination", ""),
    entry(Action::View(Tab::Sources), "sources", &[c('2')], LISTS, Group::Views, "by source", ""),
    entry(Action::View(Tab::Dests), "dests", &[c('3')], LISTS, Group::Views, "by destination", ""),
    entry(Action::View(Tab::Nodes), "nodes", &[c('4')], LISTS, Group::Views, "by node, table fill", ""),
    entry(Action::View(Tab::External), "external", &[c('5')], LISTS, Group::Views, "outside the cluster", ""),
    entry(Action::View(Tab::Problems), "problems", &[c('6')], LISTS, Group::Views, "what is wrong", ""),
    entry(Action::View(Tab::Agents), "agents", &[c('7')], LISTS, Group::Views, "health of the agents", ""),
    entry(Action::View(Tab::Leaks), "leaks", &[], LISTS, Group::Views, "growing: 6, then Tab", ""),
    entry(Action::Views, "views", &[c('v')], ROWS, Group::Views, "saved views", ""),
    entry(Action::SortLeft, "sort-left", &[c('<')], TABLE, Group::Rows, "sort one column left", "sort"),
    entry(Action::SortRight, "sort-right", &[c('>')], TABLE, Group::Rows, "sort one column right", ""),
    entry(Action::Reverse, "reverse", &[c('R')], TABLE, Group::Rows, "reverse the order", "reverse"),
    entry(Action::SortMenu, "sort", &[c('s')], TABLE, Group::Rows, "choose sort column", ""),
    entry(Action::SortConns, "sort-conns", &[c('C')], TABLE, Group::Rows, "sort by connections", ""),
    entry(Action::SortDelta, "sort-delta", &[c('D')], TABLE, Group::Rows, "sort by change", ""),
    entry(Action::SortSource, "sort-source", &[c('S')], TABLE, Group::Rows, "sort by source", ""),
    entry(Action::SortTarget, "sort-target", &[c('t')], TABLE, Group::Rows, "sort by target", ""),
    entry(Action::Window, "window", &[c('w')], LEAKS, Group::Time, "length of the window", "window"),
    entry(Action::Threshold, "threshold", &[c('t')], LEAKS, Group::Rows, "share of rising steps", "threshold"),
    entry(Action::Pin, "pin", &[c(' ')], ROWS, Group::Rows, "pin or unpin the row", "pin"),
    entry(Action::UnpinAll, "unpin", &[c('X')], ROWS, Group::Rows, "unpin all", ""),
    entry(Action::Fold, "fold", &[c('f')], TABLE, Group::Rows, "fold fan-outs or not", ""),
    entry(Action::Pause, "pause", &[c('p')], LISTS, Group::Time, "pause or resume", "pause"),
    entry(Action::StepBack, "step-back", &[c(',')], TIME, Group::Past, "one round back", "step"),
    entry(Action::StepOn, "step-on", &[c('.')], TIME, Group::Past, "one round on", ""),
    entry(Action::JumpBack, "jump-back", &[c('[')], TIME, Group::Past, "a minute back", "minute"),
    entry(Action::JumpOn, "jump-on", &[c(']')], TIME, Group::Past, "a minute on", ""),
    entry(Action::Play, "play", &[c('P')], TIME, Group::Past, "play or stop", "play"),
    entry(Action::Latest, "live", &[c('L')], TIME, Group::Past, "follow live again", "live"),
    entry(Action::Oldest, "oldest", &[k(KeyCode::Home)], PAST, Group::Past, "first round", "first"),
    entry(Action::Latest, "latest", &[k(KeyCode::End)], PAST, Group::Past, "last round, or live", "end"),
    entry(Action::PlaySlower, "play-slower", &[c('-')], PAST, Group::Past, "play slower", "speed"),
    entry(Action::PlayFaster, "play-faster", &[c('+'), c('=')], PAST, Group::Past, "play faster", ""),
    entry(Action::Baseline, "baseline", &[c('b')], LISTS, Group::Time, "baseline = now", "baseline"),
    entry(Action::ClearBaseline, "clear-baseline", &[c('B')], LISTS, Group::Time, "clear the baseline", ""),
    entry(Action::DeltaMode, "delta", &[c('a')], LISTS, Group::Time, "D: window, base, /min", ""),
    entry(Action::Range, "range", &[c('r')], LISTS, Group::Time, "range: 5m to a day", "range"),
    entry(Action::Faster, "faster", &[c('+'), c('=')], LISTS, Group::Time, "refresh more often", ""),
    entry(Action::Slower, "slower", &[c('-')], LISTS, Group::Time, "refresh less often", ""),
    entry(Action::Refresh, "refresh", &[Key::ctrl('r')], LISTS, Group::Time, "refresh now", ""),
    entry(Action::Expand, "expand", &[k(KeyCode::Right), c('l')], LISTS, Group::Rows, "expand, scroll right", ""),
    entry(Action::Collapse, "collapse", &[k(KeyCode::Left), c('h')], LISTS, Group::Rows, "collapse, scroll left", ""),
    entry(Action::Details, "details", &[c('d')], DETAILED, Group::Rows, "details below", ""),
    entry(Action::Wide, "wide", &[c('w')], TABLE, Group::Rows, "all columns on / off", ""),
    entry(Action::Columns, "columns", &[c('c')], TABLE, Group::Rows, "choose columns", ""),
    entry(Action::Copy, "copy", &[c('y')], &[Context::Table, Context::Problems, Context::Leaks, Context::Drill, Context::Reader], Group::Output, "copy (OSC 52)", "copy"),
    entry(Action::Export, "export", &[c('e')], LISTS, Group::Output, "export csv, json, md", "export"),
    entry(Action::Promql, "promql", &[c('o')], CONNECTIONS, Group::Output, "the same in PromQL", "open PromQL"),
    entry(Action::Kubectl, "kubectl", &[c('K')], CONNECTIONS, Group::Output, "the same with kubectl", "kubectl cmd"),
    entry(Action::CopyNext, "copy-next", &[c('K')], &[Context::Problems, Context::Reader], Group::Output, "copy the next command", "copy command"),
    entry(Action::Toggle, "toggle", &[c(' ')], MENU, Group::Rows, "choose or unchoose", "choose"),
    entry(Action::Open, "accept", &[k(KeyCode::Enter)], MENU, Group::Rows, "accept", "accept"),
    entry(Action::Search, "search", &[c('/')], READER, Group::Rows, "search", "search"),
    entry(Action::NextEdge, "search-next", &[c('n')], READER, Group::Rows, "next match", ""),
    entry(Action::Mouse, "mouse", &[c('m')], LISTS, Group::Program, "mouse on / off", ""),
    entry(Action::Theme, "theme", &[c('T')], LISTS, Group::Program, "next theme", ""),
    entry(Action::Errors, "errors", &[c('E')], LISTS, Group::Program, "errors", ""),
    entry(Action::Command, "command", &[c(':')], LISTS, Group::Program, "command line", ""),
    entry(Action::Repaint, "repaint", &[Key::ctrl('l')], ALL, Group::Program, "paint all again", ""),
    entry(Action::Help, "help", &[c('?'), k(KeyCode::F(1))], ALL, Group::Program, "help", "help"),
    entry(Action::Quit, "quit", &[c('q')], ALL, Group::Program, "close, quit at top", "quit"),
    entry(Action::QuitKeep, "quit-keep", &[c('Q')], ALL, Group::Program, "quit, keep screen", ""),
    entry(Action::Interrupt, "interrupt", &[Key::ctrl('c')], ALL, Group::Program, "quit", ""),
    entry(Action::Suspend, "suspend", &[Key::ctrl('z')], ALL, Group::Program, "suspend", ""),
];

/// The footer's hints in the order shown. Each names the actions whose first keys stand before the hint of the first of
/// them, and a rank: where there is no room for all, those with the highest rank go first.
pub const fn footer(context: Context) -> &'static [(&'static [Action], u8)] {
    match context {
        Context::Table => &[
            (&[Action::Open], 1),
            (&[Action::Filter], 2),
            (&[Action::NextGroup], 3),
            (&[Action::SortLeft, Action::SortRight], 4),
            (&[Action::Reverse], 6),
            (&[Action::Pin], 7),
            (&[Action::Pause], 5),
            (&[Action::Baseline], 8),
            (&[Action::Export], 9),
        ],
        Context::Problems => &[
            (&[Action::Open], 1),
            (&[Action::CopyNext], 2),
            (&[Action::NextGroup], 5),
            (&[Action::Filter], 4),
            (&[Action::Pause], 6),
            (&[Action::Copy], 3),
            (&[Action::Export], 7),
        ],
        Context::Leaks => &[
            (&[Action::Open], 1),
            (&[Action::Filter], 5),
            (&[Action::Window], 3),
            (&[Action::Threshold], 4),
            (&[Action::Baseline], 2),
            (&[Action::Export], 6),
        ],
        Context::Drill => &[
            (&[Action::Back], 1),
            (&[Action::Open], 2),
            (&[Action::NextPane], 3),
            (&[Action::NextEdge], 4),
            (&[Action::Copy], 7),
            (&[Action::Export], 8),
            (&[Action::Promql], 5),
            (&[Action::Kubectl], 6),
        ],
        Context::Reader => &[
            (&[Action::Back], 1),
            (&[Action::CopyNext], 3),
            (&[Action::Down, Action::Up], 4),
            (&[Action::Search], 2),
            (&[Action::Copy], 5),
        ],
        Context::Past => &[
            (&[Action::StepBack, Action::StepOn], 1),
            (&[Action::JumpBack, Action::JumpOn], 3),
            (&[Action::Play], 2),
            (&[Action::PlaySlower, Action::PlayFaster], 5),
            (&[Action::Oldest], 6),
            (&[Action::Latest], 4),
        ],
        Context::Menu => {
            &[(&[Action::Back], 1), (&[Action::Down, Action::Up], 4), (&[Action::Toggle], 3), (&[Action::Open], 2)]
        }
    }
}
