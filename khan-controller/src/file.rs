//! `--from-file`: the output of `kubectl get pods,services,nodes -A -o json` or `-o yaml` in, the same index out. Read again
//! when it changes; a version that cannot be read leaves the last good one in place.

mod parse;
mod poll;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use khan_api::Timestamp;
use tracing::{info, warn};

use crate::directory::Directory;
use crate::metrics::Metrics;
use crate::objects::{Object, Resource};

pub use parse::{ParseError, parse};
pub(crate) use poll::FileWatch;

/// Why a cluster file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("cannot read {} (--from-file)", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file holds something else than objects, or an object that cannot be used.
    #[error("{} (--from-file) is not usable", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The place and the reason.
        source: Box<ParseError>,
    },
}

/// A cluster in a file.
#[derive(Debug)]
pub struct ClusterFile {
    path: PathBuf,
    watch: FileWatch,
    directory: Arc<Directory>,
    metrics: Arc<Metrics>,
}

impl ClusterFile {
    /// Reads the file for the first time.
    pub fn open(path: &Path, directory: Arc<Directory>, metrics: Arc<Metrics>) -> Result<Self, FileError> {
        let (watch, bytes) =
            FileWatch::open(path).map_err(|source| FileError::Read { path: path.to_owned(), source })?;
        let mut this = Self { path: path.to_owned(), watch, directory, metrics };
        this.load(&bytes)?;
        Ok(this)
    }

    /// Reads the file again whenever it changes. Never returns.
    pub async fn follow(mut self) {
        loop {
            let result = match self.watch.changed().await {
                Ok(bytes) => self.load(&bytes),
                Err(source) => Err(FileError::Read { path: self.path.clone(), source }),
            };
            self.metrics.reloaded("--from-file", result.is_ok());
            if let Err(error) = result {
                warn!(error = khan_serve::exit::chain(&error), "Kept the cluster as it was");
            }
        }
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let objects =
            parse(bytes).map_err(|source| FileError::Parse { path: self.path.clone(), source: source.into() })?;
        let count = objects.len();
        let now = Timestamp::now();
        let mut index = self.directory.write();
        replace(&mut index, objects, now);
        let addresses: usize = index.counts().addresses.iter().sum();
        info!(path = %self.path.display(), objects = count, addresses, "Read the cluster from a file");
        Ok(())
    }
}

fn replace(index: &mut crate::index::Index, objects: Vec<Object>, now: Timestamp) {
    for resource in Resource::ALL {
        index.reset(resource);
    }
    for object in objects {
        index.apply(object, now);
    }
    for resource in Resource::ALL {
        index.settle(resource, now);
    }
}
