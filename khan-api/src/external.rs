//! Names that the operator gives to addresses outside the cluster: one CIDR and one name a line.
//!
//! ```text
//! # partners and ourselves
//! 203.0.113.0/24   office     # third floor
//! 198.51.100.7     payment-provider
//! 2001:db8::/32    partner-net
//! ```

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A range of addresses. IPv4 is kept as its IPv4-mapped IPv6 form, so one order holds for both families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    // Host bits are zero.
    network: u128,
    // Of the 128-bit form: 96 more than the text says for IPv4.
    length: u8,
}

impl Cidr {
    /// The range of `length` leading bits around `ip`; `None` when the family has fewer bits.
    pub fn new(ip: IpAddr, length: u8) -> Option<Self> {
        let (bits, offset) = match ip {
            IpAddr::V4(ip) => (ip.to_ipv6_mapped().to_bits(), 96),
            IpAddr::V6(ip) => (ip.to_bits(), 0),
        };
        let length = length.checked_add(offset).filter(|length| *length <= 128)?;
        Some(Self { network: bits & mask(length), length })
    }

    /// Its first address.
    pub const fn network(self) -> IpAddr {
        let ip = Ipv6Addr::from_bits(self.network);
        match ip.to_ipv4_mapped() {
            Some(ip) if self.length >= 96 => IpAddr::V4(ip),
            _ => IpAddr::V6(ip),
        }
    }

    /// How many leading bits its addresses share: at most 32 of an IPv4 address, 128 of an IPv6 address.
    pub const fn length(self) -> u8 {
        if self.network().is_ipv4() { self.length - 96 } else { self.length }
    }

    /// Whether `ip` lies in the range. An IPv4-mapped IPv6 address is its IPv4 address.
    pub fn contains(self, ip: IpAddr) -> bool {
        bits(ip) & mask(self.length) == self.network && (self.length >= 96 || !is_v4(ip))
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn is_v4(ip: IpAddr) -> bool {
    ip.to_canonical().is_ipv4()
}

const fn mask(length: u8) -> u128 {
    if length == 0 { 0 } else { u128::MAX << (128 - length) }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network(), self.length())
    }
}

/// The text is not a CIDR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseCidrError;

impl fmt::Display for ParseCidrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a CIDR such as 203.0.113.0/24 or 2001:db8::/32, nor an address")
    }
}

impl std::error::Error for ParseCidrError {}

/// A bare address is the range that holds only itself. Host bits are cleared.
impl FromStr for Cidr {
    type Err = ParseCidrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (ip, length) = text.split_once('/').map_or((text, None), |(ip, length)| (ip, Some(length)));
        let ip: IpAddr = ip.parse().map_err(|_| ParseCidrError)?;
        let whole = if ip.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => whole,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().map_err(|_| ParseCidrError)?,
            Some(_) => return Err(ParseCidrError),
        };
        Self::new(ip, length).ok_or(ParseCidrError)
    }
}

/// The operator's names, by CIDR; or, once they are [mapped](ExternalNames::map), what a program makes of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalNames<T = Box<str>> {
    names: HashMap<Cidr, T>,
    // Lengths in use, longest first.
    lengths: Vec<u8>,
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
    /// Reads the file's text: `CIDR NAME` a line, the name being the rest of the line. A `#` at the beginning of a line or
    /// after a space begins a comment; inside a word of the name it is part of the name.
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
            if name.is_empty() {
                return Err(fail(format!("no name after {cidr}")));
            }
            if let Some(first) = lines.insert(range, number) {
                return Err(fail(format!("{range} is named in line {first} already")));
            }
            this.names.insert(range, name.into());
            this.lengths.push(range.length);
        }
        this.lengths.sort_unstable_by(|a, b| b.cmp(a));
        this.lengths.dedup();
        Ok(this)
    }

    /// The name of the longest CIDR that holds `ip`.
    pub fn name(&self, ip: IpAddr) -> Option<&str> {
        self.get(ip).map(|name| &**name)
    }
}

impl<T> ExternalNames<T> {
    /// What there is of the longest CIDR that holds `ip`.
    pub fn get(&self, ip: IpAddr) -> Option<&T> {
        let (bits, v4) = (bits(ip), is_v4(ip));
        self.lengths
            .iter()
            .filter(|length| !v4 || **length >= 96)
            .find_map(|length| self.names.get(&Cidr { network: bits & mask(*length), length: *length }))
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

    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
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

    #[test]
    fn a_range_prints_as_it_is_written() {
        for text in ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.1/32", "::/0", "2001:db8::/32", "fd00::1/128"] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), text);
        }
        assert_eq!("10.9.8.7/8".parse::<Cidr>().unwrap().to_string(), "10.0.0.0/8");
        for text in ["10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0/8", "::/129", ""] {
            assert_eq!(text.parse::<Cidr>(), Err(ParseCidrError), "{text}");
        }
        assert!("10.0.0.0/8".parse::<Cidr>().unwrap().contains(ip("::ffff:10.2.3.4")));
    }
}
