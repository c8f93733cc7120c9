//! Columns: how they are called, and what stands in them.
//!
//! A column has one name. `--columns` and `--sort-by` take it as it is (`first-seen`), tables head it in capitals with the sign of
//! its unit (`EST%`), and JSON, YAML and CSV call it in camel case with its unit as a word (`estPercent`).

use super::cell::Cell;
use crate::nearest::nearest;

/// What numbers are counted in, where that is not plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A count, or a text.
    None,
    /// A duration: with units for people, in seconds for programs.
    Seconds,
    /// Percent.
    Percent,
    /// Per minute.
    PerMinute,
    /// Per second.
    PerSecond,
    /// Bytes.
    Bytes,
}

impl Unit {
    const fn sign(self) -> &'static str {
        match self {
            Self::None | Self::Seconds | Self::Bytes => "",
            Self::Percent => "%",
            Self::PerMinute => "/MIN",
            Self::PerSecond => "/S",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Seconds => "Seconds",
            Self::Percent => "Percent",
            Self::PerMinute => "PerMinute",
            Self::PerSecond => "PerSecond",
            Self::Bytes => "Bytes",
        }
    }
}

/// How a column is called and laid out in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// As `--columns` takes it.
    pub name: &'static str,
    /// What its numbers are counted in.
    pub unit: Unit,
    /// Numbers are aligned to the right.
    pub right: bool,
    /// Only with `-o wide`, or when asked for by name.
    pub wide: bool,
    /// Only when asked for by name.
    pub asked: bool,
}

impl Head {
    /// A column of text.
    pub const fn text(name: &'static str) -> Self {
        Self { name, unit: Unit::None, right: false, wide: false, asked: false }
    }

    /// A column of numbers.
    pub const fn number(name: &'static str) -> Self {
        Self { right: true, ..Self::text(name) }
    }

    /// A column of numbers that have a unit.
    pub const fn measured(name: &'static str, unit: Unit) -> Self {
        Self { unit, ..Self::number(name) }
    }

    /// The same, only with `-o wide`.
    #[must_use]
    pub const fn wide(self) -> Self {
        Self { wide: true, ..self }
    }

    /// The same, only when it is asked for by name.
    #[must_use]
    pub const fn asked(self) -> Self {
        Self { asked: true, ..self }
    }

    /// What tables head it with: `FIRST-SEEN`, `EST%`, `RATE/MIN`.
    pub fn header(&self) -> String {
        format!("{}{}", self.name.to_ascii_uppercase(), self.unit.sign())
    }

    /// What programs call it: `firstSeen`, `estPercent`, `ratePerMinute`.
    pub fn key(&self) -> String {
        let mut key = String::with_capacity(self.name.len() + 9);
        for (at, word) in self.name.split('-').enumerate() {
            let (first, rest) = word.split_at(usize::from(at > 0).min(word.len()));
            key.push_str(&first.to_ascii_uppercase());
            key.push_str(rest);
        }
        key + self.unit.word()
    }

    /// Whether `text` means this column: by its name or its key, in any case.
    pub fn is_called(&self, text: &str) -> bool {
        self.name.eq_ignore_ascii_case(text) || self.key().eq_ignore_ascii_case(text)
    }
}

/// A column of rows of type `R`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column<R> {
    /// How it is called.
    pub head: Head,
    /// A row's cell.
    pub cell: fn(&R) -> Cell,
}

impl<R> Column<R> {
    /// A column with this head and these cells.
    pub(crate) const fn new(head: Head, cell: fn(&R) -> Cell) -> Self {
        Self { head, cell }
    }
}

/// The heads of `columns`.
pub(super) fn heads<R>(columns: &[Column<R>]) -> Vec<Head> {
    columns.iter().map(|column| column.head).collect()
}

/// The cells of a row.
pub(super) fn cells<R>(columns: &[Column<R>], row: &R) -> Vec<Cell> {
    columns.iter().map(|column| (column.cell)(row)).collect()
}

/// No column has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no column {name:?}{}; columns are {all}", nearest.as_ref().map(|known| format!(" (did you mean {known}?)")).unwrap_or_default())]
pub struct UnknownColumn {
    name: String,
    nearest: Option<String>,
    all: String,
}

impl UnknownColumn {
    /// `name` is none of `known`.
    pub fn new<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Self {
        let known: Vec<_> = known.collect();
        let nearest = nearest(name, known.iter().copied()).map(ToOwned::to_owned);
        Self { name: name.to_owned(), nearest, all: known.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_has_one_name_in_three_spellings() {
        let spelt = |head: Head| (head.header(), head.key());
        assert_eq!(spelt(Head::text("first-seen")), ("FIRST-SEEN".into(), "firstSeen".into()));
        assert_eq!(spelt(Head::measured("est", Unit::Percent)), ("EST%".into(), "estPercent".into()));
        assert_eq!(spelt(Head::measured("rate", Unit::PerMinute)), ("RATE/MIN".into(), "ratePerMinute".into()));
        assert_eq!(
            spelt(Head::measured("last-packet", Unit::Seconds)),
            ("LAST-PACKET".into(), "lastPacketSeconds".into())
        );
        let head = Head::measured("age", Unit::Seconds);
        assert!(head.is_called("AGE") && head.is_called("ageSeconds") && !head.is_called("seconds"));
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest() {
        let error = |name| UnknownColumn::new(name, ["source", "destination", "conns"].into_iter()).to_string();
        assert_eq!(
            error("soruce"),
            "there is no column \"soruce\" (did you mean source?); columns are source, destination, conns"
        );
        assert_eq!(error("colour"), "there is no column \"colour\"; columns are source, destination, conns");
    }
}
