//! The operator's names for ranges outside the cluster, in the grammar of [`khan_api::external`], as owners.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use khan_api::{Kind, Owner};

use crate::flows::Address;

/// The owners that the operator named, by CIDR, and their limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalNames(khan_api::ExternalNames<(Arc<Owner>, Option<NonZeroU32>)>);

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
    /// A line is not `CIDR NAME`, or names a CIDR again.
    #[error("--external-names {path}")]
    Line {
        /// The file.
        path: String,
        /// The line and the reason.
        source: khan_api::external::ExternalNamesError,
    },
}

impl ExternalNames {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, ExternalNamesError> {
        let name = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|source| ExternalNamesError::Read { path: name.clone(), source })?;
        let names =
            khan_api::ExternalNames::parse(&text).map_err(|source| ExternalNamesError::Line { path: name, source })?;
        Ok(Self(names.map(|external| {
            let name = (*external.name).into();
            (Arc::new(Owner { kind: Kind::External, name, ..Owner::default() }), external.limit)
        })))
    }

    /// The owner of an address: that of the longest CIDR that holds it.
    pub fn owner(&self, address: Address) -> Option<&Arc<Owner>> {
        self.0.get(address.ip()).map(|(owner, _)| owner)
    }

    /// How many connections that owner can take.
    pub fn limit(&self, address: Address) -> Option<NonZeroU32> {
        self.0.get(address.ip()).and_then(|(_, limit)| *limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ExternalNames, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let told = |error: ExternalNamesError| {
            khan_serve::exit::chain(&error).replace(&file.path().display().to_string(), "FILE")
        };
        ExternalNames::read(file.path()).map_err(told)
    }

    #[test]
    fn the_longest_prefix_names_an_address() {
        let names = read(
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
    fn a_bad_line_is_named_as_the_controller_names_it() {
        let refused = |text: &str| read(text).unwrap_err();
        assert_eq!(refused("10.0.0.0/8\n"), "--external-names FILE: line 1: no name after 10.0.0.0/8");
        assert_eq!(
            refused("10.0.0.0/8 a\n# again\n10.1.0.0/8 b\n"),
            "--external-names FILE: line 3: 10.0.0.0/8 is named in line 1 already"
        );
    }
}
