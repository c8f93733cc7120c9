//! Files that the user exports.

use std::io;
use std::path::{Path, PathBuf};

use crate::private_file;
use crate::screen::msg::NotWritten;

/// Writes a file that is called so from `directory`; over another one only if that is meant.
pub(super) fn export(directory: &Path, name: &str, overwrite: bool, text: &str) -> Result<PathBuf, NotWritten> {
    let path = match (name.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => directory.join(name),
    };
    let written = if overwrite { private_file::replace(&path, text) } else { private_file::create(&path, text) };
    match written {
        Ok(()) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(NotWritten::Exists),
        Err(error) => Err(NotWritten::Failed(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_exists_is_asked_about() {
        let directory = tempfile::tempdir().unwrap();
        let export = |name: &str, overwrite| export(directory.path(), name, overwrite, "a,b\n");
        let path = directory.path().join("a.csv");
        assert_eq!(export("a.csv", false), Ok(path.clone()));
        assert_eq!(export("a.csv", false), Err(NotWritten::Exists));
        assert_eq!(export(path.to_str().unwrap(), true), Ok(path));
        assert!(matches!(export("absent/a.csv", false), Err(NotWritten::Failed(_))));
    }
}
