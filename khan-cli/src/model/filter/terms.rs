//! A word to a term.

use std::str::FromStr;

use khan_api::{Lifecycle, Protocol, TcpState};

use super::lex::{Place, Word};
use super::pattern::Pattern;
use super::{Compare, FIELD_NAMES, FilterError, Flag, GroupTerm, Measure, RowTerm, StateTerm, Subject};
use crate::model::group_by::RowKey;
use crate::model::selector::{Glob, Selector};
use crate::model::state::State;
use crate::nearest::nearest;

/// A term of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Term {
    /// About connections.
    Row(RowTerm),
    /// About whole rows.
    Group(GroupTerm),
}

/// Fields that compare texts, with what a regular expression is compared with; `port` and the numbers are not among them.
const FIELDS: [(&str, Option<Subject>); 23] = [
    ("src", Some(Subject::Src)),
    ("source", Some(Subject::Src)),
    ("dst", Some(Subject::Dst)),
    ("dest", Some(Subject::Dst)),
    ("destination", Some(Subject::Dst)),
    ("any", Some(Subject::Any)),
    ("either", Some(Subject::Any)),
    ("ns", Some(Subject::Namespace)),
    ("namespace", Some(Subject::Namespace)),
    ("app", Some(Subject::App)),
    ("pod", Some(Subject::Pod)),
    ("svc", Some(Subject::Service)),
    ("service", Some(Subject::Service)),
    ("workload", Some(Subject::Workload)),
    ("ip", Some(Subject::Address)),
    ("node", Some(Subject::Node)),
    ("type", None),
    ("proto", None),
    ("protocol", None),
    ("state", None),
    ("is", None),
    ("flag", None),
    ("row", None),
];

/// Reads a word. Whether it is turned round is left to the caller.
pub(super) fn term(word: &Word) -> Result<Term, FilterError> {
    let Some(field) = word.field.as_deref().map(str::to_ascii_lowercase) else {
        return Ok(Term::Row(RowTerm::Any(selectors(word, "")?)));
    };
    if let Some((measure, _)) = Measure::NAMES.iter().find(|(_, name)| *name == field) {
        return number(word, *measure).map(Term::Group);
    }
    if field == "port" {
        return ports(word).map(Term::Row);
    }
    let Some((_, subject)) = FIELDS.into_iter().find(|(name, _)| *name == field) else {
        return Err(unknown(word, &field));
    };
    if word.operator.ends_with('~') {
        return expression(word, subject);
    }
    if !matches!(&*word.operator, ":" | "=") {
        let text = if subject.is_some() { ", or by ~ with a regular expression" } else { "" };
        let message = format!("{field} is compared by ':'{text}, not by {:?}", word.operator);
        return Err(word.place.error(message));
    }
    Ok(Term::Row(match &*field {
        "src" | "source" => RowTerm::Src(selectors(word, "")?),
        "dst" | "dest" | "destination" => RowTerm::Dst(selectors(word, "")?),
        "any" | "either" => RowTerm::Any(selectors(word, "")?),
        "node" => RowTerm::Node(each(word, |text| Ok(Glob::from(text)))?),
        "proto" | "protocol" => RowTerm::Protocol(each(word, protocol)?),
        "state" => RowTerm::State(each(word, state)?),
        "is" | "flag" => return flag(word),
        "row" => return member(word).map(Term::Row),
        typed => RowTerm::Any(selectors(word, &format!("{typed}/"))?),
    }))
}

/// A field that does not exist, with the one that may be meant.
fn unknown(word: &Word, field: &str) -> FilterError {
    let hint = match nearest(field, FIELD_NAMES) {
        Some(name) => format!("did you mean {name}?"),
        None => format!("fields: {}", FIELD_NAMES.join(", ")),
    };
    word.place.error(format!("there is no field {field:?} ({hint})"))
}

/// `src~^check`.
fn expression(word: &Word, subject: Option<Subject>) -> Result<Term, FilterError> {
    let field = word.field.as_deref().unwrap_or_default();
    let subject = subject
        .ok_or_else(|| word.place.error(format!("{field} is compared by ':' and takes no regular expression")))?;
    match &each(word, Pattern::from_str)?[..] {
        [pattern] => Ok(Term::Row(RowTerm::Like(subject, pattern.clone()))),
        _ => Err(word.place.error("one regular expression is compared at a time")),
    }
}

/// Every alternative through `read`, whose error gets the alternative's place.
fn each<T>(word: &Word, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, FilterError> {
    let one = |(text, place): &(String, Place)| {
        if text.is_empty() {
            return Err(place.error("a value is missing"));
        }
        read(text).map_err(|message| place.error(message))
    };
    word.values.iter().map(one).collect()
}

fn selectors(word: &Word, prefix: &str) -> Result<Vec<Selector>, FilterError> {
    each(word, |text| Selector::from_str(&format!("{prefix}{text}")).map_err(|error| error.to_string()))
}

fn protocol(text: &str) -> Result<Protocol, String> {
    let found = Protocol::ALL.into_iter().find(|protocol| protocol.as_str().eq_ignore_ascii_case(text));
    found.ok_or_else(|| format!("{text:?} is not one of tcp, udp, sctp"))
}

fn state(text: &str) -> Result<StateTerm, String> {
    let name = text.replace('-', "_").to_ascii_lowercase();
    Ok(match &*name {
        "open" => StateTerm::Part(Lifecycle::Open),
        "opening" => StateTerm::Part(Lifecycle::Opening),
        "closed" => StateTerm::Part(Lifecycle::Closed),
        "est" => StateTerm::One(State::Tcp(TcpState::Established)),
        _ => StateTerm::One(State::from_name(&name).ok_or_else(|| {
            let names: Vec<_> = State::all_known().map(|state| state.as_str().to_ascii_lowercase()).collect();
            format!("{text:?} is no state (states: {}, open, opening, closed)", names.join(", "))
        })?),
    })
}

fn flag(word: &Word) -> Result<Term, FilterError> {
    let mut flags = each(word, |text| {
        let found =
            Flag::ALL.into_iter().find(|flag| flag.names().into_iter().any(|name| name.eq_ignore_ascii_case(text)));
        found.ok_or_else(|| format!("{text:?} is not one of rising, new, unknown, stale, previous"))
    })?;
    match (flags.pop(), flags.is_empty()) {
        (Some(Flag::Previous), true) => Ok(Term::Row(RowTerm::Previous)),
        (Some(flag), true) => Ok(Term::Group(GroupTerm::Is(flag))),
        _ => Err(word.place.error("is: takes one word; write it once for each")),
    }
}

fn member(word: &Word) -> Result<RowTerm, FilterError> {
    let read = |text: &str| {
        let (key, by) = text.split_once('@')?;
        Some((by.replace('+', ",").parse().ok()?, RowKey(u128::from_str_radix(key, 16).ok()?)))
    };
    match each(word, |text| read(text).ok_or_else(|| format!("{text:?} names no row")))?[..] {
        [(by, key)] => Ok(RowTerm::Member(by, key)),
        _ => Err(word.place.error("row: takes one row")),
    }
}

fn ports(word: &Word) -> Result<RowTerm, FilterError> {
    let compare = Compare::SIGNS.iter().find(|(_, sign)| *sign == word.operator).map(|(compare, _)| *compare);
    let port = |text: &str| text.parse::<u16>().map_err(|_| format!("{text:?} is not a port between 0 and 65535"));
    let range = |text: &str| {
        let (low, high) = match (compare, text.split_once('-')) {
            (None | Some(Compare::Equal), Some((low, high))) => (port(low)?, port(high)?),
            (None | Some(Compare::Equal), None) => (port(text)?, port(text)?),
            (Some(Compare::More), _) => (port(text)?.saturating_add(1), u16::MAX),
            (Some(Compare::AtLeast), _) => (port(text)?, u16::MAX),
            (Some(Compare::Less), _) => (0, port(text)?.saturating_sub(1)),
            (Some(Compare::AtMost), _) => (0, port(text)?),
            (Some(Compare::Unequal), _) => return Err("write -port: for \"not this port\"".to_owned()),
        };
        if low > high { Err(format!("{text:?} runs backwards")) } else { Ok((low, high)) }
    };
    each(word, range).map(RowTerm::Port)
}

fn number(word: &Word, measure: Measure) -> Result<GroupTerm, FilterError> {
    let field = word.field.as_deref().unwrap_or_default();
    let Some((compare, _)) = Compare::SIGNS.iter().find(|(_, sign)| *sign == word.operator) else {
        return Err(word.place.error(format!("{field} is a number; compare it with > >= < <= = or !=")));
    };
    let values = each(word, thousandths)?;
    match values[..] {
        [value] => Ok(GroupTerm::Number(measure, *compare, value)),
        _ => Err(word.place.error(format!("{field} is compared with one number"))),
    }
}

/// `1500`, `1.5k`, `2M`, `50%`; in thousandths.
fn thousandths(text: &str) -> Result<i64, String> {
    let (digits, factor) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1e3),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1e6),
        Some(b'%') => (&text[..text.len() - 1], 1.0),
        _ => (text, 1.0),
    };
    let value: f64 = digits.parse().map_err(|_| format!("{text:?} is not a number"))?;
    let value = value * factor * 1000.0;
    #[expect(clippy::cast_possible_truncation, reason = "checked on this line")]
    if value.is_finite() && value.abs() < 9e15 {
        Ok(value.round() as i64)
    } else {
        Err(format!("{text:?} is too large"))
    }
}
