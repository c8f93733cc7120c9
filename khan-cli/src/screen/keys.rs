//! The one table of what a key can do. Dispatch, the help screen, the footer's hints, the command line's names and the
//! check of configured bindings are all derived from it.

use ratatui::crossterm::event::KeyCode;

use super::input::Key;

/// Where keys are pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Context {
    /// A list of rows: edges, sources, destinations, nodes, external, agents.
    Table,
    /// The leaks view.
    Leaks,
    /// One row, opened.
    Drill,
    /// Text that scrolls: help, errors, a query to copy.
    Reader,
    /// A short list to choose from: sort, columns, export.
    Menu,
}

impl Context {
    /// Every context.
    pub const ALL: [Self; 5] = [Self::Table, Self::Leaks, Self::Drill, Self::Reader, Self::Menu];

    /// As the title of the help screen says it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Table => "lists",
            Self::Leaks => "leaks",
            Self::Drill => "details",
            Self::Reader => "text",
            Self::Menu => "menus",
        }
    }
}

/// What a key can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant's entry in ACTIONS says what it does")]
pub enum Id {
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
    View1,
    View2,
    View3,
    View4,
    View5,
    View6,
    View7,
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
    Slower,
    Faster,
    Refresh,
    Repaint,
    Baseline,
    ClearBaseline,
    DeltaMode,
    Window,
    Threshold,
    Details,
    Wide,
    Columns,
    Copy,
    Export,
    Promql,
    Kubectl,
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
    Output,
    Program,
}

impl Group {
    /// Every group, as help lists them.
    pub const ALL: [Self; 6] = [Self::Move, Self::Views, Self::Rows, Self::Time, Self::Output, Self::Program];

    /// The heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Move => "Move",
            Self::Views => "Views",
            Self::Rows => "Rows and columns",
            Self::Time => "Time",
            Self::Output => "Take away",
            Self::Program => "Program",
        }
    }
}

/// An entry of [`ACTIONS`].
#[derive(Debug)]
pub struct Action {
    /// What it does.
    pub id: Id,
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
    id: Id,
    name: &'static str,
    keys: &'static [Key],
    contexts: &'static [Context],
    group: Group,
    help: &'static str,
    hint: &'static str,
) -> Action {
    Action { id, name, keys, contexts, help, group, hint }
}

const fn c(c: char) -> Key {
    Key::char(c)
}

const fn k(code: KeyCode) -> Key {
    Key::code(code)
}

const ALL: &[Context] = &Context::ALL;
const LISTS: &[Context] = &[Context::Table, Context::Leaks, Context::Drill];
const ROWS: &[Context] = &[Context::Table, Context::Leaks];
const TABLE: &[Context] = &[Context::Table];
const DRILL: &[Context] = &[Context::Drill];
const LEAKS: &[Context] = &[Context::Leaks];
const READER: &[Context] = &[Context::Reader];
const MENU: &[Context] = &[Context::Menu];

/// Every action. `T` is the next theme, so that sorting by target has `t`. Ctrl-s and Ctrl-q (flow control), Ctrl-a and Ctrl-b (multiplexers) and Ctrl-w, Ctrl-t and Ctrl-n
/// (browsers) are left alone. Nothing here changes anything outside this program.
#[rustfmt::skip]
pub static ACTIONS: &[Action] = &[
    entry(Id::Down, "down", &[c('j'), k(KeyCode::Down)], ALL, Group::Move, "next row", "move"),
    entry(Id::Up, "up", &[c('k'), k(KeyCode::Up)], ALL, Group::Move, "previous row", ""),
    entry(Id::First, "first", &[c('g'), k(KeyCode::Home)], ALL, Group::Move, "first row, no cursor", ""),
    entry(Id::Last, "last", &[c('G'), k(KeyCode::End)], ALL, Group::Move, "last row", ""),
    entry(Id::HalfDown, "half-page-down", &[Key::ctrl('d')], ALL, Group::Move, "half a page down", ""),
    entry(Id::HalfUp, "half-page-up", &[Key::ctrl('u')], ALL, Group::Move, "half a page up", ""),
    entry(Id::PageDown, "page-down", &[k(KeyCode::PageDown), Key::ctrl('f')], ALL, Group::Move, "page down", ""),
    entry(Id::PageUp, "page-up", &[k(KeyCode::PageUp)], ALL, Group::Move, "page up", ""),
    entry(Id::Open, "open", &[k(KeyCode::Enter)], LISTS, Group::Views, "open the row", "drill"),
    entry(Id::Back, "back", &[k(KeyCode::Esc), k(KeyCode::Backspace)], ALL, Group::Views, "close, clear, back", "back"),
    entry(Id::NextPane, "next-pane", &[k(KeyCode::Tab)], DRILL, Group::Views, "next list here", "pane"),
    entry(Id::NextEdge, "next-edge", &[c('n')], DRILL, Group::Views, "next row of the list", "next edge"),
    entry(Id::Filter, "filter", &[c('/')], ROWS, Group::Rows, "filter (Enter keeps)", "filter"),
    entry(Id::Invert, "invert", &[c('!')], ROWS, Group::Rows, "invert the filter", ""),
    entry(Id::NextGroup, "group", &[k(KeyCode::Tab)], TABLE, Group::Views, "next grouping", "group"),
    entry(Id::PreviousGroup, "group-back", &[k(KeyCode::BackTab)], TABLE, Group::Views, "previous grouping", ""),
    entry(Id::View1, "edges", &[c('1')], LISTS, Group::Views, "source -> destination", ""),
    entry(Id::View2, "sources", &[c('2')], LISTS, Group::Views, "by source", ""),
    entry(Id::View3, "dests", &[c('3')], LISTS, Group::Views, "by destination", ""),
    entry(Id::View4, "nodes", &[c('4')], LISTS, Group::Views, "by node, table fill", ""),
    entry(Id::View5, "external", &[c('5')], LISTS, Group::Views, "outside the cluster", ""),
    entry(Id::View6, "leaks", &[c('6')], LISTS, Group::Views, "what keeps growing", ""),
    entry(Id::View7, "agents", &[c('7')], LISTS, Group::Views, "health of the agents", ""),
    entry(Id::SortLeft, "sort-left", &[c('<')], TABLE, Group::Rows, "sort one column left", "sort"),
    entry(Id::SortRight, "sort-right", &[c('>')], TABLE, Group::Rows, "sort one column right", ""),
    entry(Id::Reverse, "reverse", &[c('R')], TABLE, Group::Rows, "reverse the order", "reverse"),
    entry(Id::SortMenu, "sort", &[c('s')], TABLE, Group::Rows, "choose sort column", ""),
    entry(Id::SortConns, "sort-conns", &[c('C')], TABLE, Group::Rows, "sort by connections", ""),
    entry(Id::SortDelta, "sort-delta", &[c('D')], TABLE, Group::Rows, "sort by change", ""),
    entry(Id::SortSource, "sort-source", &[c('S')], TABLE, Group::Rows, "sort by source", ""),
    entry(Id::SortTarget, "sort-target", &[c('t')], TABLE, Group::Rows, "sort by target", ""),
    entry(Id::Window, "window", &[c('w')], LEAKS, Group::Time, "length of the window", "window"),
    entry(Id::Threshold, "threshold", &[c('t')], LEAKS, Group::Rows, "share of rising steps", "threshold"),
    entry(Id::Pin, "pin", &[c(' ')], ROWS, Group::Rows, "pin or unpin the row", "pin"),
    entry(Id::UnpinAll, "unpin", &[c('X')], ROWS, Group::Rows, "unpin all", ""),
    entry(Id::Fold, "fold", &[c('f')], TABLE, Group::Rows, "fold fan-outs or not", ""),
    entry(Id::Pause, "pause", &[c('p')], LISTS, Group::Time, "pause or resume", "pause"),
    entry(Id::Baseline, "baseline", &[c('b')], LISTS, Group::Time, "baseline = now", "baseline"),
    entry(Id::ClearBaseline, "clear-baseline", &[c('B')], LISTS, Group::Time, "clear the baseline", ""),
    entry(Id::DeltaMode, "delta", &[c('a')], LISTS, Group::Time, "D: window, base, /min", ""),
    entry(Id::Faster, "faster", &[c('+'), c('=')], LISTS, Group::Time, "refresh more often", ""),
    entry(Id::Slower, "slower", &[c('-')], LISTS, Group::Time, "refresh less often", ""),
    entry(Id::Refresh, "refresh", &[Key::ctrl('r')], LISTS, Group::Time, "refresh now", ""),
    entry(Id::Expand, "expand", &[k(KeyCode::Right), c('l')], LISTS, Group::Rows, "expand, scroll right", ""),
    entry(Id::Collapse, "collapse", &[k(KeyCode::Left), c('h')], LISTS, Group::Rows, "collapse, scroll left", ""),
    entry(Id::Details, "details", &[c('d')], TABLE, Group::Rows, "details below", ""),
    entry(Id::Wide, "wide", &[c('w')], TABLE, Group::Rows, "all columns on / off", ""),
    entry(Id::Columns, "columns", &[c('c')], TABLE, Group::Rows, "choose columns", ""),
    entry(Id::Copy, "copy", &[c('y')], &[Context::Table, Context::Leaks, Context::Drill, Context::Reader], Group::Output, "copy (OSC 52)", "copy"),
    entry(Id::Export, "export", &[c('e')], LISTS, Group::Output, "export csv, json, md", "export"),
    entry(Id::Promql, "promql", &[c('o')], LISTS, Group::Output, "the same in PromQL", "open PromQL"),
    entry(Id::Kubectl, "kubectl", &[c('K')], LISTS, Group::Output, "the same with kubectl", "kubectl cmd"),
    entry(Id::Toggle, "toggle", &[c(' ')], MENU, Group::Rows, "choose or unchoose", "choose"),
    entry(Id::Open, "accept", &[k(KeyCode::Enter)], MENU, Group::Rows, "accept", "accept"),
    entry(Id::Search, "search", &[c('/')], READER, Group::Rows, "search", "search"),
    entry(Id::NextEdge, "search-next", &[c('n')], READER, Group::Rows, "next match", ""),
    entry(Id::Mouse, "mouse", &[c('m')], LISTS, Group::Program, "mouse on / off", ""),
    entry(Id::Theme, "theme", &[c('T')], LISTS, Group::Program, "next theme", ""),
    entry(Id::Errors, "errors", &[c('E')], LISTS, Group::Program, "errors", ""),
    entry(Id::Command, "command", &[c(':')], LISTS, Group::Program, "command line", ""),
    entry(Id::Repaint, "repaint", &[Key::ctrl('l')], ALL, Group::Program, "paint all again", ""),
    entry(Id::Help, "help", &[c('?'), k(KeyCode::F(1))], ALL, Group::Program, "help", "help"),
    entry(Id::Quit, "quit", &[c('q')], ALL, Group::Program, "close, quit at top", "quit"),
    entry(Id::QuitKeep, "quit-keep", &[c('Q')], ALL, Group::Program, "quit, keep screen", ""),
    entry(Id::Interrupt, "interrupt", &[Key::ctrl('c')], ALL, Group::Program, "quit", ""),
    entry(Id::Suspend, "suspend", &[Key::ctrl('z')], ALL, Group::Program, "suspend", ""),
];

/// The footer's hints in the order shown. Each names the actions whose first keys stand before the hint of the first of
/// them, and a rank: where there is no room for all, those with the highest rank go first.
pub const fn footer(context: Context) -> &'static [(&'static [Id], u8)] {
    match context {
        Context::Table => &[
            (&[Id::Open], 1),
            (&[Id::Filter], 2),
            (&[Id::NextGroup], 3),
            (&[Id::SortLeft, Id::SortRight], 4),
            (&[Id::Reverse], 6),
            (&[Id::Pin], 7),
            (&[Id::Pause], 5),
            (&[Id::Baseline], 8),
            (&[Id::Export], 9),
        ],
        Context::Leaks => &[
            (&[Id::Open], 1),
            (&[Id::Filter], 5),
            (&[Id::Window], 3),
            (&[Id::Threshold], 4),
            (&[Id::Baseline], 2),
            (&[Id::Export], 6),
        ],
        Context::Drill => &[
            (&[Id::Back], 1),
            (&[Id::Open], 2),
            (&[Id::NextPane], 3),
            (&[Id::NextEdge], 4),
            (&[Id::Copy], 7),
            (&[Id::Export], 8),
            (&[Id::Promql], 5),
            (&[Id::Kubectl], 6),
        ],
        Context::Reader => &[(&[Id::Back], 1), (&[Id::Down, Id::Up], 3), (&[Id::Search], 2), (&[Id::Copy], 4)],
        Context::Menu => &[(&[Id::Back], 1), (&[Id::Down, Id::Up], 4), (&[Id::Toggle], 3), (&[Id::Open], 2)],
    }
}
