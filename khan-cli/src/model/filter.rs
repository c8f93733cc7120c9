//! The filter language: `src:shop/* dst:postgres (port:5432 or app~^pg) conns>100 state:time_wait -ns:kube-system`.
//!
//! Terms side by side must all hold, `or` between them binds less, brackets bind most; commas inside a term mean "or";
//! `-`, `!` or `not` before a term or a bracket turns it round; `~` compares with a regular expression. A term without a
//! field looks for its text in either end. Text with spaces goes in double quotes.
//!
//! ```text
//! text ─▶ lex (tokens with their places) ─▶ parse (and, or, not, brackets), which asks terms (fields and values) ─▶ Filter
//! ```

mod clause;
mod pattern;
mod lex;
mod terms;
mod parse;

use std::fmt;
use std::str::FromStr;

use khan_api::{Lifecycle, Protocol};

use super::group_by::{GroupBy, RowKey};
use super::selector::{Glob, Selector};
use super::state::State;

pub use clause::Clause;
pub(crate) use lex::quote;
pub use pattern::Pattern;

/// Every field of the language, without other spellings of the same.
pub const FIELD_NAMES: [&str; 21] = [
    "src",
    "dst",
    "any",
    "ns",
    "app",
    "pod",
    "svc",
    "workload",
    "ip",
    "type",
    "node",
    "port",
    "proto",
    "state",
    "is",
    "conns",
    "delta",
    "rate",
    "est",
    "idle",
    "halfclosed",
];

/// A parsed filter. [`fmt::Display`] writes a normal form that reads back equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// All of these must hold for a connection to be counted.
    pub rows: Vec<Clause<RowTerm>>,
    /// All of these must hold for a group to be shown.
    pub groups: Vec<Clause<GroupTerm>>,
}

impl Filter {
    /// Whether everything passes.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.groups.is_empty()
    }

    /// Adds the terms of `other`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.rows.extend(other.rows);
        self.groups.extend(other.groups);
        self
    }

    /// Adds one term about connections.
    #[must_use]
    pub fn and_row(mut self, term: RowTerm) -> Self {
        self.rows.push(Clause::Term(term));
        self
    }

    /// Every term about connections, and whether it is wanted rather than turned round.
    pub fn row_terms(&self) -> impl Iterator<Item = (&RowTerm, bool)> {
        self.rows.iter().flat_map(Clause::terms)
    }

    /// Every term about whole rows.
    pub fn group_terms(&self) -> impl Iterator<Item = &GroupTerm> {
        self.groups.iter().flat_map(Clause::terms).map(|(term, _)| term)
    }
}

/// A term about single connections. Alternatives are joined by "or".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RowTerm {
    /// `src:`, the client.
    Src(Vec<Selector>),
    /// `dst:`, what was dialled or who answers.
    Dst(Vec<Selector>),
    /// `any:`, or no field: either end.
    Any(Vec<Selector>),
    /// `port:`, dialled or answering: a number or `LOW-HIGH`.
    Port(Vec<(u16, u16)>),
    /// `proto:`.
    Protocol(Vec<Protocol>),
    /// `state:`, a state or `open`, `opening`, `closed`.
    State(Vec<StateTerm>),
    /// `node:`, the node whose table holds the connection, or of either end.
    Node(Vec<Glob>),
    /// `src~^check` and the like.
    Like(Subject, Pattern),
    /// `is:previous`, the last packet is older than the present owner of an address.
    Previous,
    /// `row:KEY@src+dst+port`, a row of a table as a filter: how a drill-down stays exact.
    Member(GroupBy, RowKey),
}

/// What a regular expression is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Namespace, app, workload, name, node and address of the client, and `NAMESPACE/APP`, `NAMESPACE/NAME`.
    Src,
    /// The same of what was dialled or answers.
    Dst,
    /// The same of either end.
    Any,
    /// The namespace of either end.
    Namespace,
    /// App, workload and name of a pod or service at either end, with and without the namespace before it.
    App,
    /// The name of a pod at either end.
    Pod,
    /// The name of a service at either end.
    Service,
    /// The workload of a pod at either end.
    Workload,
    /// The address of either end.
    Address,
    /// The node whose table holds the connection, or of either end.
    Node,
}

impl Subject {
    const fn field(self) -> &'static str {
        match self {
            Self::Src => "src",
            Self::Dst => "dst",
            Self::Any => "any",
            Self::Namespace => "ns",
            Self::App => "app",
            Self::Pod => "pod",
            Self::Service => "svc",
            Self::Workload => "workload",
            Self::Address => "ip",
            Self::Node => "node",
        }
    }
}

/// One alternative of `state:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateTerm {
    /// One state.
    One(State),
    /// All states of a part of life.
    Part(Lifecycle),
}

/// A term about a whole group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupTerm {
    /// `conns>100` and the like; the number in thousandths, so that terms can be compared.
    Number(Measure, Compare, i64),
    /// `is:new`, `is:rising`, `is:stale`, `is:unknown`.
    Is(Flag),
}

/// What a number term measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// `conns`.
    Connections,
    /// `delta`, since the window's start or the baseline.
    Delta,
    /// `rate`, per minute.
    Rate,
    /// `est`, established share in percent.
    Established,
    /// `idle`, idle connections.
    Idle,
    /// `halfclosed`, half-closed connections.
    HalfClosed,
}

impl Measure {
    const NAMES: [(Self, &'static str); 6] = [
        (Self::Connections, "conns"),
        (Self::Delta, "delta"),
        (Self::Rate, "rate"),
        (Self::Established, "est"),
        (Self::Idle, "idle"),
        (Self::HalfClosed, "halfclosed"),
    ];
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compare {
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `=`
    Equal,
    /// `!=`
    Unequal,
}

impl Compare {
    const SIGNS: [(Self, &'static str); 6] = [
        (Self::AtLeast, ">="),
        (Self::AtMost, "<="),
        (Self::Unequal, "!="),
        (Self::More, ">"),
        (Self::Less, "<"),
        (Self::Equal, "="),
    ];

    /// Whether `left SIGN right`.
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::More => left > right,
            Self::AtLeast => left >= right,
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Equal => (left - right).abs() < 1e-9,
            Self::Unequal => (left - right).abs() >= 1e-9,
        }
    }
}

/// What the FLAGS column says of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    /// Grew in most steps of the window.
    Rising,
    /// First seen less than five minutes ago, and not in the five minutes before that.
    New,
    /// An end without a known owner.
    Unknown,
    /// Holds connections of a node whose data is old.
    Stale,
    /// Holds connections that outlived the owner of an address.
    Previous,
}

impl Flag {
    /// Every flag, in the order of the column.
    pub const ALL: [Self; 5] = [Self::Rising, Self::New, Self::Unknown, Self::Stale, Self::Previous];

    /// As the column writes it; its first letter is the short form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rising => "RISING",
            Self::New => "NEW",
            Self::Unknown => "UNK",
            Self::Stale => "STALE",
            Self::Previous => "PREVIOUS",
        }
    }

    /// As `is:` takes it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rising => "rising",
            Self::New => "new",
            Self::Unknown => "unknown",
            Self::Stale => "stale",
            Self::Previous => "previous",
        }
    }

    /// Everything that `is:` takes for it; `ghost` was the word until 0.1.
    const fn names(self) -> [&'static str; 3] {
        [self.word(), self.as_str(), if let Self::Previous = self { "ghost" } else { self.word() }]
    }
}

/// Where and why a filter cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at column {}", .column + 1)]
pub struct FilterError {
    /// One sentence, without the place.
    pub message: String,
    /// Where the trouble begins, in characters from 0.
    pub column: usize,
    /// How many characters it spans, at least one.
    pub width: usize,
}

impl FilterError {
    /// Carets for a line below the filter's text.
    pub fn carets(&self) -> String {
        format!("{}{}", " ".repeat(self.column), "^".repeat(self.width))
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        parse::parse(text)
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, field: &str, items: &[T]) -> fmt::Result {
    let items: Vec<_> = items.iter().map(|item| lex::quote(&item.to_string())).collect();
    write!(f, "{field}{}", items.join(","))
}

impl fmt::Display for RowTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Src(selectors) => list(f, "src:", selectors),
            Self::Dst(selectors) => list(f, "dst:", selectors),
            Self::Any(selectors) => list(f, "any:", selectors),
            Self::Protocol(protocols) => list(f, "proto:", protocols),
            Self::Node(globs) => list(f, "node:", globs),
            Self::Like(subject, pattern) => {
                write!(f, "{}~{}", subject.field(), lex::quote_pattern(pattern.as_str()))
            }
            Self::Previous => f.write_str("is:previous"),
            Self::Port(ranges) => {
                let range =
                    |(low, high): &(u16, u16)| if low == high { low.to_string() } else { format!("{low}-{high}") };
                list(f, "port:", &ranges.iter().map(range).collect::<Vec<_>>())
            }
            Self::State(states) => list(f, "state:", states),
            Self::Member(by, key) => write!(f, "row:{:032x}@{}", key.0, by.to_string().replace(',', "+")),
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for StateTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(state) => f.write_str(&state.as_str().to_ascii_lowercase()),
            Self::Part(Lifecycle::Opening) => f.write_str("opening"),
            Self::Part(Lifecycle::Open) => f.write_str("open"),
            Self::Part(Lifecycle::Closed) => f.write_str("closed"),
        }
    }
}

impl fmt::Display for GroupTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(flag) => write!(f, "is:{}", flag.word()),
            Self::Number(measure, compare, thousandths) => {
                let name = Measure::NAMES.iter().find(|(m, _)| m == measure).map_or("", |(_, name)| name);
                let sign = Compare::SIGNS.iter().find(|(c, _)| c == compare).map_or("", |(_, sign)| sign);
                write!(f, "{name}{sign}{}", *thousandths as f64 / 1000.0)
            }
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alone = self.rows.len() + self.groups.len() == 1;
        let mut between = "";
        let mut put = |clause: &dyn fmt::Display, is_choice: bool| {
            let brackets = is_choice && !alone;
            let written = if brackets { write!(f, "{between}({clause})") } else { write!(f, "{between}{clause}") };
            between = " ";
            written
        };
        self.rows.iter().try_for_each(|clause| put(clause, clause.is_choice()))?;
        self.groups.iter().try_for_each(|clause| put(clause, clause.is_choice()))
    }
}
