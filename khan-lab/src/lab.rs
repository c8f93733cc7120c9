//! One test's bench: its hosts and its folder.

use std::env;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{Host, LabError, Result, binaries, privilege};

/// Creates hosts and holds files; everything is removed when it and its hosts are dropped.
#[derive(Debug)]
pub struct Lab {
    folder: TempDir,
}

impl Lab {
    /// Creates a bench. In a process without the needed privileges, the first one replaces the process with one in a user
    /// namespace, so create it before anything else.
    pub fn new() -> Result<Self> {
        privilege::ensure()?;
        // Cargo's own place for tests' files. Whoever may only run what another user has built has to go elsewhere.
        let ours = binaries::build_folder().and_then(|folder| Some(folder.parent()?.join("tmp")));
        let folder = ours.and_then(|parent| make_folder(&parent).ok());
        let folder = match folder {
            Some(folder) => folder,
            None => {
                make_folder(&env::temp_dir()).map_err(LabError::io("cannot make a folder for the bench's files"))?
            }
        };
        Ok(Self { folder })
    }

    /// A new network namespace, holding nothing but a loopback interface that is up. The name is for messages only.
    pub fn host(&self, name: &str) -> Result<Host> {
        Host::new(name)
    }

    /// A folder for this bench's files, inside the build folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the [folder](Self::folder); replaces it at once, so that a reader never sees half of it.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.folder().join(name);
        let fresh = self.folder().join(format!(".{name}.new"));
        std::fs::write(&fresh, content)
            .and_then(|()| std::fs::rename(&fresh, &path))
            .map_err(LabError::io(format!("cannot write {}", path.display())))?;
        Ok(path)
    }
}

fn make_folder(parent: &Path) -> io::Result<TempDir> {
    std::fs::create_dir_all(parent)?;
    tempfile::Builder::new().prefix(&format!("khan-{}-", std::process::id())).tempdir_in(parent)
}
