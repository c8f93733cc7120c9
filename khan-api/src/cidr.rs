//! Prefixes: what they are, and the one grammar that they have in flags, files, filters and the controller's answers.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A prefix: all addresses of one family that share its leading bits. Host bits are zero, so equal prefixes are equal values
/// however they are written.
///
/// `::ffff:10.1.2.3` is an IPv6 address of its own here, as in the kernel's table. Where it stands for an IPv4 address, as in
/// texts that people and Kubernetes write, use [`Cidr::canonical`] and [`IpAddr::to_canonical`].
///
/// ```
/// use khan_api::Cidr;
/// let range: Cidr = "10.9.8.7/8".parse().unwrap();
/// assert_eq!(range.to_string(), "10.0.0.0/8");
/// assert!(range.contains("10.1.2.3".parse().unwrap()) && !range.contains("::ffff:10.1.2.3".parse().unwrap()));
/// assert_eq!("::ffff:10.0.0.0/104".parse::<Cidr>().unwrap().canonical(), range);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    // First, so that IPv4 sorts before IPv6.
    is_v6: bool,
    // IPv4 is kept in its IPv4-mapped IPv6 form.
    network: u128,
    // Of that form: 96 more than the text says for IPv4.
    length: u8,
}

impl Cidr {
    /// The range of `length` leading bits around `ip`; `None` when the family has fewer bits.
    pub fn new(ip: IpAddr, length: u8) -> Option<Self> {
        let offset = if ip.is_ipv4() { 96 } else { 0 };
        let length = length.checked_add(offset).filter(|length| *length <= 128)?;
        Some(Self { is_v6: ip.is_ipv6(), network: bits(ip) & mask(length), length })
    }

    /// The IPv4 range that an IPv4-mapped IPv6 range stands for; any other range itself.
    #[must_use]
    pub const fn canonical(self) -> Self {
        let mapped = self.length >= 96 && Ipv6Addr::from_bits(self.network).to_ipv4_mapped().is_some();
        Self { is_v6: self.is_v6 && !mapped, ..self }
    }

    /// Its first address.
    pub const fn network(self) -> IpAddr {
        self.address(self.network)
    }

    /// How many leading bits its addresses share: at most 32 of an IPv4 address, 128 of an IPv6 address.
    pub const fn length(self) -> u8 {
        if self.is_v6 { self.length } else { self.length - 96 }
    }

    /// Its last address.
    pub const fn last(self) -> IpAddr {
        self.address(self.network | !mask(self.length))
    }

    const fn address(self, bits: u128) -> IpAddr {
        match Ipv6Addr::from_bits(bits).to_ipv4_mapped() {
            Some(ip) if !self.is_v6 => IpAddr::V4(ip),
            _ => IpAddr::V6(Ipv6Addr::from_bits(bits)),
        }
    }

    /// Its only address, where it holds no other.
    pub fn single(self) -> Option<IpAddr> {
        (self.length == 128).then(|| self.network())
    }

    /// Whether `ip` is of the range's family and lies in it.
    pub fn contains(self, ip: IpAddr) -> bool {
        ip.is_ipv6() == self.is_v6 && bits(ip) & mask(self.length) == self.network
    }

    /// Whether every address of `other` lies in the range.
    pub fn covers(self, other: Self) -> bool {
        self.length <= other.length && self.contains(other.network())
    }

    /// The range of twice as many addresses around this one; `None` for all addresses of a family.
    pub fn supernet(self) -> Option<Self> {
        let least = if self.is_v6 { 0 } else { 96 };
        let length = self.length.checked_sub(1).filter(|length| *length >= least)?;
        Some(Self { network: self.network & mask(length), length, ..self })
    }

    /// The range of at most `length` leading bits around this one.
    #[must_use]
    pub fn shortened(self, length: u8) -> Self {
        Self::new(self.network(), self.length().min(length)).unwrap_or(self)
    }

    /// The fewest ranges that hold the same addresses, in order, IPv4 first.
    pub fn aggregate(mut ranges: Vec<Self>) -> Vec<Self> {
        ranges.sort_unstable();
        let mut merged: Vec<Self> = Vec::with_capacity(ranges.len());
        for range in ranges {
            if merged.last().is_some_and(|last| last.covers(range)) {
                continue;
            }
            let mut range = range;
            // Two halves become the whole, which may be a half itself.
            while let Some(whole) =
                range.supernet().filter(|whole| merged.last().is_some_and(|l| l.supernet() == Some(*whole)))
            {
                merged.pop();
                range = whole;
            }
            merged.push(range);
        }
        merged
    }

    /// The range around `ip` with this length of the IPv6 form; none where that is no range of the address's family.
    pub(crate) fn at(ip: IpAddr, length: u8) -> Option<Self> {
        let network = bits(ip) & mask(length);
        (length >= 96 || ip.is_ipv6()).then_some(Self { is_v6: ip.is_ipv6(), network, length })
    }

    /// Its length in the IPv6 form.
    pub(crate) const fn mapped_length(self) -> u8 {
        self.length
    }
}

/// The range that holds only this address.
impl From<IpAddr> for Cidr {
    fn from(ip: IpAddr) -> Self {
        Self { is_v6: ip.is_ipv6(), network: bits(ip), length: 128 }
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_prints_as_it_is_written() {
        for text in ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.1/32", "::/0", "2001:db8::/32", "fd00::1/128"] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), text);
        }
        assert_eq!("10.9.8.7/8".parse::<Cidr>().unwrap().to_string(), "10.0.0.0/8");
        for text in ["10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0/8", "::/129", ""] {
            assert_eq!(text.parse::<Cidr>(), Err(ParseCidrError), "{text}");
        }
        for (mapped, plain) in
            [("::ffff:10.0.0.0/104", "10.0.0.0/8"), ("::ffff:10.0.0.1", "10.0.0.1"), ("fd00::/8", "fd00::/8")]
        {
            let [mapped, plain] = [mapped, plain].map(|text| text.parse::<Cidr>().unwrap());
            assert_eq!(mapped.canonical(), plain);
            assert_eq!(mapped == plain, !plain.network().is_ipv4(), "{mapped} is an IPv6 range until it is asked for");
        }
        assert_eq!("::/0".parse::<Cidr>().unwrap().canonical().to_string(), "::/0");
    }

    #[test]
    fn a_range_has_two_ends_and_one_family() {
        for (text, first, last) in [
            ("10.1.0.0/16", "10.1.0.0", "10.1.255.255"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
            ("fd00::/64", "fd00::", "fd00::ffff:ffff:ffff:ffff"),
            ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            let range: Cidr = text.parse().unwrap();
            let [first, last] = [first, last].map(|ip| ip.parse::<IpAddr>().unwrap());
            assert_eq!((range.network(), range.last()), (first, last));
            assert!(range.contains(first) && range.contains(last));
            assert_eq!(range.single(), (first == last).then_some(first));
        }
        let everything: Cidr = "::/0".parse().unwrap();
        assert_eq!((everything.supernet(), "0.0.0.0/0".parse::<Cidr>().unwrap().supernet()), (None, None));
        assert!(
            !everything.contains("10.0.0.1".parse().unwrap())
                && everything.contains("::ffff:10.0.0.1".parse().unwrap())
        );
    }
    fn ranges(texts: &[&str]) -> Vec<Cidr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn halves_merge_and_covered_ranges_go() {
        let merged =
            |texts: &[&str]| Cidr::aggregate(ranges(texts)).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            merged(&["fd00::1", "10.0.3.0/24", "fd00::", "10.0.2.0/24", "10.0.0.0/23", "10.0.1.7", "10.0.4.0/24"]),
            ["10.0.0.0/22", "10.0.4.0/24", "fd00::/127"]
        );
        assert_eq!(
            merged(&["10.0.1.0/24", "10.0.2.0/24"]),
            ["10.0.1.0/24", "10.0.2.0/24"],
            "neighbours, but no halves"
        );
        assert_eq!(merged(&["128.0.0.0/1", "::/1", "0.0.0.0/1", "8000::/1"]), ["0.0.0.0/0", "::/0"]);
        assert_eq!(merged(&["10.0.0.0/8", "10.0.0.0/8"]), ["10.0.0.0/8"]);
    }

    #[test]
    fn a_range_is_shortened_to_a_bound() {
        for (text, length, wanted) in
            [("10.1.2.3", 16, "10.1.0.0/16"), ("10.0.0.0/8", 16, "10.0.0.0/8"), ("fd00::1", 112, "fd00::/112")]
        {
            let range: Cidr = text.parse().unwrap();
            assert_eq!(range.shortened(length).to_string(), wanted);
            assert!(range.shortened(length).covers(range));
        }
    }
}
