//! A file of the operator's in, loaded at the start and again whenever it changes. A version that cannot be used leaves what
//! was loaded before in place.

mod poll;

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::warn;

use crate::metrics::Metrics;
use poll::FileWatch;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
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
pub struct ReloadedFile<L> {
    flag: &'static str,
    path: PathBuf,
    watch: FileWatch,
    load: L,
    metrics: Arc<Metrics>,
}

impl<L, E> ReloadedFile<L>
where
    L: FnMut(&[u8]) -> Result<(), E>,
    E: Error + Send + Sync + 'static,
{
    /// Loads the file that `flag` names for the first time.
    pub fn open(flag: &'static str, path: &Path, metrics: Arc<Metrics>, load: L) -> Result<Self, ReloadError> {
        let path = path.to_owned();
        match FileWatch::open(&path) {
            Ok((watch, bytes)) => {
                let mut this = Self { flag, path, watch, load, metrics };
                this.load(&bytes)?;
                Ok(this)
            }
            Err(source) => Err(ReloadError::Read { flag, path, source }),
        }
    }

    /// Loads the file again whenever it changes. Never returns.
    pub async fn follow(mut self) {
        loop {
            let result = match self.watch.changed().await {
                Ok(bytes) => self.load(&bytes),
                Err(source) => Err(ReloadError::Read { flag: self.flag, path: self.path.clone(), source }),
            };
            self.metrics.reloaded(self.flag, result.is_ok());
            if let Err(error) = result {
                warn!(error = khan_serve::exit::chain(&error), "Kept what was read before");
            }
        }
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), ReloadError> {
        (self.load)(bytes).map_err(|source| {
            let (flag, path, source) = (self.flag, self.path.clone(), source.into());
            ReloadError::Load { flag, path, source }
        })
    }
}
