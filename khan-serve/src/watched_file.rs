//! Notices that a file has changed, also when it is replaced by a rename or through a symbolic link, as Kubernetes does with
//! a mounted `ConfigMap`, and on file systems without change notices.

use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often a file is worth a look.
pub const PERIOD: Duration = Duration::from_secs(1);
/// File systems keep times in steps; a file that changed this recently may change again without a new time.
const TIME_STEP: Duration = Duration::from_secs(2);

/// One file, and what was last seen of it.
#[derive(Debug)]
pub struct WatchedFile {
    path: PathBuf,
    seen: Option<Stamp>,
    // Of the content that was last handed out.
    digest: Option<u64>,
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

impl WatchedFile {
    /// A file of which nothing has been seen: the first [`WatchedFile::look`] reads it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), seen: None, digest: None, failure: None }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content when it is new, an error when it begins or its kind changes, and `None` when nothing is new.
    pub fn look(&mut self) -> Option<io::Result<Vec<u8>>> {
        match self.read() {
            Ok(content) => {
                self.failure = None;
                content.map(Ok)
            }
            Err(error) => {
                let before = self.failure.replace(error.kind());
                (before != Some(error.kind())).then_some(Err(error))
            }
        }
    }

    /// Waits until [`WatchedFile::look`], once a [`PERIOD`], has something new.
    pub async fn changed(&mut self) -> io::Result<Vec<u8>> {
        loop {
            tokio::time::sleep(PERIOD).await;
            if let Some(news) = self.look() {
                return news;
            }
        }
    }

    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        // Before the content: what changes in between is seen by the next look.
        let stamp = Stamp::of(&self.path)?;
        if self.seen == Some(stamp) && stamp.settled {
            return Ok(None);
        }
        let content = std::fs::read(&self.path)?;
        self.seen = Some(stamp);
        let mut hasher = DefaultHasher::new();
        hasher.write(&content);
        let digest = Some(hasher.finish());
        Ok((std::mem::replace(&mut self.digest, digest) != digest).then_some(content))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_once_however_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("file"), folder.path().join("other"));
        let mut file = WatchedFile::new(&path);
        assert_eq!(file.look().unwrap().unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(file.look().is_none(), "the same error is no news");
        std::fs::write(&path, "one").unwrap();
        assert_eq!(file.look().unwrap().unwrap(), b"one");
        assert!(file.look().is_none());
        // The same length, most likely in the same step of the file system's time.
        std::fs::write(&path, "two").unwrap();
        assert_eq!(file.look().unwrap().unwrap(), b"two");
        std::fs::write(&other, "two").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(file.look().is_none(), "another file with the same content");
        std::fs::remove_file(&path).unwrap();
        assert!(file.look().unwrap().is_err());
        std::fs::write(&path, "two").unwrap();
        assert!(file.look().is_none(), "it came back as it was");
        std::os::unix::fs::symlink(&path, &other).unwrap();
        let mut link = WatchedFile::new(&other);
        assert_eq!(link.look().unwrap().unwrap(), b"two");
        std::fs::write(folder.path().join("third"), "three").unwrap();
        std::fs::remove_file(&other).unwrap();
        std::os::unix::fs::symlink("third", &other).unwrap();
        assert_eq!(link.look().unwrap().unwrap(), b"three");
    }
}
