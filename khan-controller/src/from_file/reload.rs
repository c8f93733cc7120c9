//! A file of the operator's in, loaded at the start and again whenever it changes. A version that cannot be used leaves what
//! was loaded before in place.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use khan_serve::watched_file::WatchedFile;
use tracing::warn;

use crate::metrics::Metrics;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    /// It cannot be read.
    #[error("cannot read {} ({flag})", path.display())]
    Read {
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It holds something else than it should.
    #[error("{} ({flag}) is not usable", path.display())]
    Load {
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// The place and the reason.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// A file and what takes its content in.
pub(crate) struct ReloadedFile<L> {
    flag: &'static str,
    file: WatchedFile,
    load: L,
    metrics: Arc<Metrics>,
}

impl<L, E> ReloadedFile<L>
where
    L: FnMut(&[u8]) -> Result<(), E>,
    E: Error + Send + Sync + 'static,
{
    /// Loads the file that `flag` names for the first time.
    pub(crate) fn open(flag: &'static str, path: &Path, metrics: Arc<Metrics>, load: L) -> Result<Self, ReloadError> {
        let mut this = Self { flag, file: WatchedFile::new(path), load, metrics };
        let content = this.file.look().expect("the first look at a file is news");
        this.take(content)?;
        Ok(this)
    }

    /// Loads the file again whenever it changes. Never returns.
    pub(crate) async fn follow(mut self) {
        loop {
            let content = self.file.changed().await;
            let result = self.take(content);
            self.metrics.reloaded(self.flag, result.is_ok());
            if let Err(error) = result {
                warn!(error = khan_serve::exit::chain(&error), "Kept what was read before");
            }
        }
    }

    fn take(&mut self, content: io::Result<Vec<u8>>) -> Result<(), ReloadError> {
        let (flag, path) = (self.flag, || self.file.path().to_owned());
        let content = content.map_err(|source| ReloadError::Read { flag, path: path(), source })?;
        (self.load)(&content).map_err(|source| ReloadError::Load { flag, path: path(), source: source.into() })
    }
}
