//! The operator's names for ranges outside the cluster: lines of `CIDR NAME`, `#` begins a comment.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;
use khan_api::Kind;

use super::endpoint::Owner;
use super::ranges::bounds;
use crate::flows::Address;

/// Names of CIDRs, the longest prefix first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalNames(Vec<(Address, Address, Arc<Owner>)>);

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum ExternalNamesError {
    /// It cannot be read.
    #[error("cannot read --external-names {path}")]
    Read {
        /// The file.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A line is not `CIDR NAME`.
    #[error("--external-names {path}, line {line}: expected `CIDR NAME`, such as `203.0.113.0/24 office`")]
    Line {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
    },
}

impl ExternalNames {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, ExternalNamesError> {
        let name = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|source| ExternalNamesError::Read { path: name.clone(), source })?;
        Self::parse(&text).map_err(|line| ExternalNamesError::Line { path: name, line })
    }

    /// Parses the text; an error is the number of the bad line.
    fn parse(text: &str) -> Result<Self, usize> {
        let mut nets = Vec::new();
        for (number, line) in (1usize..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (cidr, name) = line.split_once(char::is_whitespace).ok_or(number)?;
            let net: IpNet = cidr.parse().or_else(|_| cidr.parse::<IpAddr>().map(IpNet::from)).map_err(|_| number)?;
            let (first, last) = bounds(net);
            let owner = Owner { kind: Kind::External, name: name.trim().into(), ..Owner::default() };
            nets.push((last.bits() - first.bits(), first, last, Arc::new(owner)));
        }
        // The narrowest first; the sort is stable, so the first of two names for one CIDR holds.
        nets.sort_by_key(|net| net.0);
        Ok(Self(nets.into_iter().map(|(_, first, last, owner)| (first, last, owner)).collect()))
    }

    /// Who has an address of the longest prefix that holds this one.
    pub fn owner(&self, address: Address) -> Option<&Arc<Owner>> {
        self.0.iter().find(|(first, last, _)| (*first..=*last).contains(&address)).map(|(_, _, owner)| owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_names_an_address() {
        let names = ExternalNames::parse(
            "# ours\n203.0.113.0/24 office\n203.0.113.7 printer room # third floor\n\n2001:db8::/32 lab\n0.0.0.0/0 internet\n",
        )
        .unwrap();
        let name =
            |text: &str| names.owner(text.parse::<std::net::IpAddr>().unwrap().into()).map(|owner| owner.name.as_str());
        assert_eq!(name("203.0.113.7"), Some("printer room"));
        assert_eq!(name("203.0.113.8"), Some("office"));
        assert_eq!(name("8.8.8.8"), Some("internet"));
        assert_eq!(name("2001:db8::1"), Some("lab"));
        assert_eq!(name("2001:db9::1"), None);
    }

    #[test]
    fn a_bad_line_is_named() {
        assert_eq!(ExternalNames::parse("10.0.0.0/8 ours\n10.0.0.0/33 x\n"), Err(2));
        assert_eq!(ExternalNames::parse("10.0.0.0/8\n"), Err(1));
    }
}
