//! `--external-names`: the operator's names for addresses outside the cluster, read again when the file changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use khan_api::ExternalNames;
use khan_api::external::ExternalNamesError;
use tracing::{info, warn};

use crate::directory::Directory;
use crate::file::FileWatch;
use crate::metrics::Metrics;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    /// It cannot be read.
    #[error("cannot read {} (--external-names)", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// It is not text.
    #[error("{} (--external-names) is not UTF-8 text", path.display())]
    Text {
        /// The file.
        path: PathBuf,
    },
    /// A line is not a CIDR and a name.
    #[error("{} (--external-names)", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, and what is wrong with it.
        source: ExternalNamesError,
    },
}

/// The file of names.
#[derive(Debug)]
pub struct ExternalNamesFile {
    path: PathBuf,
    watch: FileWatch,
    directory: Arc<Directory>,
    metrics: Arc<Metrics>,
}

impl ExternalNamesFile {
    /// Reads the file for the first time.
    pub fn open(path: &Path, directory: Arc<Directory>, metrics: Arc<Metrics>) -> Result<Self, ExternalError> {
        let read = FileWatch::open(path);
        let (watch, bytes) = read.map_err(|source| ExternalError::Read { path: path.to_owned(), source })?;
        let this = Self { path: path.to_owned(), watch, directory, metrics };
        this.load(&bytes)?;
        Ok(this)
    }

    /// Reads the file again whenever it changes; a version that cannot be read changes nothing. Never returns.
    pub async fn follow(mut self) {
        loop {
            let result = match self.watch.changed().await {
                Ok(bytes) => self.load(&bytes),
                Err(source) => Err(ExternalError::Read { path: self.path.clone(), source }),
            };
            self.metrics.reloaded("--external-names", result.is_ok());
            if let Err(error) = result {
                warn!(error = khan_serve::exit::chain(&error), "Kept the external names as they were");
            }
        }
    }

    fn load(&self, bytes: &[u8]) -> Result<(), ExternalError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ExternalError::Text { path: self.path.clone() })?;
        let names =
            ExternalNames::parse(text).map_err(|source| ExternalError::Line { path: self.path.clone(), source })?;
        info!(path = %self.path.display(), ranges = names.ranges().count(), "Read the external names");
        self.directory.write().name_externals(Arc::new(names));
        Ok(())
    }
}
