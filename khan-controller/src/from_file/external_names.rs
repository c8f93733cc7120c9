//! `--external-names`: the operator's names for addresses outside the cluster in, the same index out.

use std::str::Utf8Error;
use std::sync::Arc;

use khan_api::ExternalNames;
use khan_api::external::ExternalNamesError;
use tracing::info;

use crate::metrics::Metrics;
use crate::shared_index::SharedIndex;

/// Why the text cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExternalError {
    /// It is not text.
    #[error("not UTF-8 text")]
    Text(#[from] Utf8Error),
    /// A line is not a CIDR and a name; the error tells which.
    #[error(transparent)]
    Line(#[from] ExternalNamesError),
}

/// Replaces the names that `index` had before.
pub(crate) fn load(bytes: &[u8], index: &SharedIndex, _: &Metrics) -> Result<(), ExternalError> {
    let names = ExternalNames::parse(std::str::from_utf8(bytes)?)?;
    info!(ranges = names.ranges().count(), "Read the external names");
    index.write().name_externals(Arc::new(names));
    Ok(())
}
