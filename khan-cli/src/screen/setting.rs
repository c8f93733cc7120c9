//! What a command with a value sets, read from text: for the command line, for saved views, and for what is kept of a
//! context.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use crate::model::{Filter, GroupBy, Sort};
use crate::nearest::nearest;

use super::columns::Choice;
use super::styles::Theme;
use super::tab::Tab;

/// One of the things that can be set.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// The view.
    View(Tab),
    /// Namespaces of either end; none for all.
    Namespaces(Vec<String>),
    /// What makes a row.
    GroupBy(GroupBy),
    /// The filter, and as it was typed.
    Filter(Filter, String),
    /// How far back changes look.
    Window(Duration),
    /// Rows to list at most; 0 for all.
    Limit(usize),
    /// The order.
    Sort(Sort),
    /// The columns.
    Columns(Choice),
    /// How old data may be.
    Interval(Duration),
    /// Colours.
    Theme(Theme),
}

impl Setting {
    /// Their names, in the order in which several are set: what depends on others comes after them.
    pub const NAMES: [&str; 10] =
        ["view", "namespace", "group-by", "filter", "window", "limit", "sort-by", "columns", "interval", "theme"];

    /// Reads the value of the setting of this name; the error is one sentence.
    pub fn parse(name: &str, value: &str) -> Result<Self, String> {
        Ok(match name {
            "view" => {
                let is_meant = |tab: &Tab| tab.title().eq_ignore_ascii_case(value);
                let names = || Tab::ALL.map(|tab| tab.title().to_lowercase()).join(", ");
                let found = Tab::ALL.into_iter().find(is_meant);
                Self::View(found.ok_or_else(|| format!("no view is called {value:?}: {}", names()))?)
            }
            "namespace" => {
                let all = matches!(value, "" | "*" | "all");
                Self::Namespaces(if all { Vec::new() } else { listed(value) })
            }
            "group-by" => Self::GroupBy(read(value)?),
            "filter" => Self::Filter(read(value)?, value.to_owned()),
            "window" => Self::Window(duration(value)?),
            "limit" => Self::Limit(value.parse().map_err(|_| format!("{value:?} is not a number of rows"))?),
            "sort-by" => Self::Sort(read(value)?),
            "columns" => Self::Columns(Choice::only(&listed(value)).map_err(|error| error.to_string())?),
            "interval" => Self::Interval(duration(value)?),
            "theme" => {
                let names = || Theme::ALL.map(Theme::as_str).join(", ");
                let found = Theme::from_name(value);
                Self::Theme(found.ok_or_else(|| format!("no theme is called {value:?}: {}", names()))?)
            }
            _ => {
                let hint = nearest(name, Self::NAMES).map(|near| format!(" (did you mean {near}?)"));
                return Err(format!("nothing called {name:?} can be set{}", hint.unwrap_or_default()));
            }
        })
    }

    /// Its place among [`Setting::NAMES`].
    pub(super) const fn order(&self) -> usize {
        match self {
            Self::View(_) => 0,
            Self::Namespaces(_) => 1,
            Self::GroupBy(_) => 2,
            Self::Filter(..) => 3,
            Self::Window(_) => 4,
            Self::Limit(_) => 5,
            Self::Sort(_) => 6,
            Self::Columns(_) => 7,
            Self::Interval(_) => 8,
            Self::Theme(_) => 9,
        }
    }
}

fn listed(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn read<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// As flags take it, or a bare number of seconds: `90`, `90s`, `5m`, `1h30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()));
    let duration = seconds.map_or_else(|| khan_api::duration::parse_positive(text).ok(), Some);
    let allowed = Duration::from_secs(1)..=Duration::from_secs(u32::MAX.into());
    let duration = duration.filter(|duration| allowed.contains(duration));
    duration.ok_or_else(|| format!("{text:?} is no time; write for example 30s, 5m, 1h30m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_or_refused_in_a_sentence() {
        let examples = ["sources", "a, b", "src,dst", "src~^a", "5m", "0", "-conns", "source,conns", "90", "cvd"];
        for (at, (name, value)) in Setting::NAMES.into_iter().zip(examples).enumerate() {
            assert_eq!(Setting::parse(name, value).unwrap().order(), at, "{name}");
            if !matches!(name, "namespace" | "filter") {
                assert!(Setting::parse(name, "no such").is_err(), "{name}");
            }
        }
        assert_eq!(Setting::parse("namespace", "*"), Ok(Setting::Namespaces(Vec::new())));
        let error = Setting::parse("colums", "a").unwrap_err();
        assert_eq!(error, "nothing called \"colums\" can be set (did you mean columns?)");
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        for bad in ["", "0s", "m", "5 days", "99999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
