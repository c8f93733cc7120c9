//! Notices that a file has changed, also when it is replaced by a rename or through a symbolic link, as Kubernetes does with
//! a mounted `ConfigMap`, and on file systems without change notices.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const PERIOD: Duration = Duration::from_secs(1);
/// File systems keep times in steps; a file that changed this recently may change again without a new time.
const TIME_STEP: Duration = Duration::from_secs(2);

/// One file, looked at once a second.
#[derive(Debug)]
pub(super) struct FileWatch {
    path: PathBuf,
    seen: Option<Stamp>,
    // Of the content that was handed out last.
    digest: u64,
    failure: Option<io::ErrorKind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
    // Whether the content may still change under the same time.
    settled: bool,
}

impl FileWatch {
    /// Reads the file for the first time.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<u8>)> {
        let seen = Stamp::of(path)?;
        let bytes = std::fs::read(path)?;
        let digest = digest(&bytes);
        Ok((Self { path: path.to_owned(), seen: Some(seen), digest, failure: None }, bytes))
    }

    /// Waits until the content is another, and hands it out. An error is handed out when it begins, not each second.
    pub(super) async fn changed(&mut self) -> io::Result<Vec<u8>> {
        loop {
            tokio::time::sleep(PERIOD).await;
            match self.look() {
                Ok(None) => self.failure = None,
                Ok(Some(bytes)) => {
                    self.failure = None;
                    return Ok(bytes);
                }
                Err(error) if self.failure == Some(error.kind()) => {}
                Err(error) => {
                    self.failure = Some(error.kind());
                    return Err(error);
                }
            }
        }
    }

    fn look(&mut self) -> io::Result<Option<Vec<u8>>> {
        let stamp = Stamp::of(&self.path)?;
        if self.seen == Some(stamp) && stamp.settled {
            return Ok(None);
        }
        let bytes = std::fs::read(&self.path)?;
        self.seen = Some(stamp);
        let digest = digest(&bytes);
        Ok((std::mem::replace(&mut self.digest, digest) != digest).then_some(bytes))
    }
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        let modified = metadata.modified().ok();
        let age = modified.and_then(|time| time.elapsed().ok());
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified,
            settled: age.is_some_and(|age| age > TIME_STEP),
        })
    }
}

fn digest(bytes: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
