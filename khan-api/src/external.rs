//! Names that the operator gives to addresses outside the cluster: one CIDR and one name a line, and perhaps how many
//! connections there may be.
//!
//! ```text
//! # partners and ourselves
//! 203.0.113.0/24   office     # third floor
//! 198.51.100.7     payment-provider
//! 198.51.100.9     warehouse db khan/max-connections=100
//! 2001:db8::/32    partner-net
//! ```

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;

use crate::cidr::Cidr;
use crate::limit::{self, MAX_CONNECTIONS};

/// The operator's names, by CIDR; or, once they are [mapped](ExternalNames::map), what a program makes of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalNames<T = ExternalName> {
    names: HashMap<Cidr, T>,
    // Lengths in use as in the IPv6 form, longest first.
    lengths: Vec<u8>,
}

/// What the operator says of a CIDR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalName {
    /// The name.
    pub name: Box<str>,
    /// How many connections all of its addresses together can take.
    pub limit: Option<NonZeroU32>,
}

impl<T> Default for ExternalNames<T> {
    /// Names nothing.
    fn default() -> Self {
        Self { names: HashMap::new(), lengths: Vec::new() }
    }
}

/// A line that is not a CIDR and a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalNamesError {
    /// Counted from 1.
    pub line: usize,
    reason: String,
}

impl fmt::Display for ExternalNamesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for ExternalNamesError {}

impl ExternalNames {
    /// Reads the file's text: `CIDR NAME` a line, the name being the rest of the line, without a last word
    /// `khan/max-connections=N`. A `#` at the beginning of a line or after a space begins a comment; inside a word of the
    /// name it is part of the name.
    pub fn parse(text: &str) -> Result<Self, ExternalNamesError> {
        let mut this = Self::default();
        let mut lines: HashMap<Cidr, usize> = HashMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let fail = |reason: String| ExternalNamesError { line: number, reason };
            let line = without_comment(line).trim();
            if line.is_empty() {
                continue;
            }
            let (cidr, name) = line.split_once(char::is_whitespace).map_or((line, ""), |(c, n)| (c, n.trim()));
            let range: Cidr = cidr.parse().map_err(|error| fail(format!("{cidr:?} is {error}")))?;
            let range = range.canonical();
            let (name, limit) = split_limit(name).map_err(fail)?;
            if name.is_empty() {
                return Err(fail(format!("no name after {cidr}")));
            }
            if let Some(first) = lines.insert(range, number) {
                return Err(fail(format!("{range} is named in line {first} already")));
            }
            this.names.insert(range, ExternalName { name: name.into(), limit });
            this.lengths.push(range.mapped_length());
        }
        this.lengths.sort_unstable_by(|a, b| b.cmp(a));
        this.lengths.dedup();
        Ok(this)
    }

    /// The name of the longest CIDR that holds `ip`.
    pub fn name(&self, ip: IpAddr) -> Option<&str> {
        self.get(ip).map(|external| &*external.name)
    }
}

impl<T> ExternalNames<T> {
    /// What there is of the longest CIDR that holds `ip`.
    pub fn get(&self, ip: IpAddr) -> Option<&T> {
        let ip = ip.to_canonical();
        self.lengths.iter().find_map(|length| self.names.get(&Cidr::at(ip, *length)?))
    }

    /// The same CIDRs, with something else in place of each name.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> ExternalNames<U> {
        let names = self.names.into_iter().map(|(range, name)| (range, f(name))).collect();
        ExternalNames { names, lengths: self.lengths }
    }

    /// Every CIDR that has a name, in no order.
    pub fn ranges(&self) -> impl Iterator<Item = Cidr> {
        self.names.keys().copied()
    }

    /// What there is of each CIDR, in no order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.names.values()
    }

    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// The name, and the limit in its last word.
fn split_limit(text: &str) -> Result<(&str, Option<NonZeroU32>), String> {
    let (name, last) = text.rsplit_once(char::is_whitespace).unwrap_or(("", text));
    let Some(value) = last.strip_prefix(MAX_CONNECTIONS).and_then(|rest| rest.strip_prefix('=')) else {
        return Ok((text, None));
    };
    let limit = limit::parse(value).map_err(|error| format!("{MAX_CONNECTIONS} is {value:?}, {error}"))?;
    Ok((name.trim_end(), Some(limit)))
}

fn without_comment(line: &str) -> &str {
    let begins = |(at, _): &(usize, &str)| line[..*at].chars().next_back().is_none_or(char::is_whitespace);
    line.match_indices('#').find(begins).map_or(line, |(at, _)| &line[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_longest_prefix_wins() {
        let names = ExternalNames::parse(
            "# comment\n\n203.0.113.0/24 office\n203.0.113.7\tprinter room 2\n2001:db8::/32 partner\n::/0 all of v6\n",
        )
        .unwrap();
        assert_eq!(names.name(ip("203.0.113.7")), Some("printer room 2"));
        assert_eq!(names.name(ip("203.0.113.8")), Some("office"));
        assert_eq!(names.name(ip("::ffff:203.0.113.8")), Some("office"));
        assert_eq!(names.name(ip("203.0.114.8")), None, "::/0 holds no IPv4");
        assert_eq!(names.name(ip("2001:db8::1")), Some("partner"));
        assert_eq!(names.name(ip("2001:db9::1")), Some("all of v6"));
    }

    #[test]
    fn a_comment_begins_outside_a_name() {
        let names = ExternalNames::parse(
            "  # ours\n10.0.0.1 room #3\n10.0.0.2 room#3\t# third floor\n10.0.0.3 a # b # c\n#10.0.0.4 d\n",
        )
        .unwrap();
        let of = |text: &str| names.name(ip(text));
        assert_eq!([of("10.0.0.1"), of("10.0.0.2"), of("10.0.0.3")], [Some("room"), Some("room#3"), Some("a")]);
        assert_eq!(of("10.0.0.4"), None);
        assert_eq!(ExternalNames::parse("10.0.0.1 # room").unwrap_err().to_string(), "line 1: no name after 10.0.0.1");
    }

    #[test]
    fn a_line_may_end_with_a_limit() {
        let names = ExternalNames::parse(
            "198.51.100.9 warehouse db  khan/max-connections=100 # ours\n10.0.0.1 khan/max-connections=7 is a name\n",
        )
        .unwrap();
        let of = |text: &str| names.get(ip(text)).map(|known| (&*known.name, known.limit.map(NonZeroU32::get)));
        assert_eq!(of("198.51.100.9"), Some(("warehouse db", Some(100))));
        assert_eq!(of("10.0.0.1"), Some(("khan/max-connections=7 is a name", None)));
        for (text, message) in [
            (
                "10.0.0.1 db khan/max-connections=many",
                "line 1: khan/max-connections is \"many\", not a whole number from 1 to 4294967295",
            ),
            ("10.0.0.1 khan/max-connections=5", "line 1: no name after 10.0.0.1"),
        ] {
            assert_eq!(ExternalNames::parse(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn everything_can_be_named() {
        let names = ExternalNames::parse("0.0.0.0/0 internet").unwrap();
        assert_eq!(names.name(ip("8.8.8.8")), Some("internet"));
        assert_eq!(names.name(ip("2001:db8::1")), None);
    }

    #[test]
    fn a_bad_line_is_named_by_number() {
        for (text, message) in [
            (
                "10.0.0.0/33 x",
                "line 1: \"10.0.0.0/33\" is not a CIDR such as 203.0.113.0/24 or 2001:db8::/32, nor an address",
            ),
            ("\n10.0.0.0/8", "line 2: no name after 10.0.0.0/8"),
            ("10.0.0.0/8 a\n10.1.0.0/8 b", "line 2: 10.0.0.0/8 is named in line 1 already"),
        ] {
            assert_eq!(ExternalNames::parse(text).unwrap_err().to_string(), message);
        }
    }
}
