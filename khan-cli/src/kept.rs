//! What the screen keeps of each context until the next time: one small JSON file that only its owner may read.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::private_file;

/// Bytes that the file may have; it has some hundred for each context.
const LARGEST: u64 = 1 << 20;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeptError {
    /// It cannot be read.
    #[error("cannot read {path}: {1}", path = .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// It is not what was written.
    #[error("{path} is damaged ({1}): what it keeps is not used, and nothing is kept until it is removed", path = .0.display())]
    Damaged(PathBuf, String),
    /// It cannot be written.
    #[error("cannot write {path}: {1}", path = .0.display())]
    Write(PathBuf, #[source] io::Error),
}

/// Settings by name.
type Settings = BTreeMap<String, String>;

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    contexts: BTreeMap<String, Settings>,
}

/// Where the file is: `khan/screen.json` in the folder of the user's state.
pub(crate) fn path() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = variable("XDG_STATE_HOME").filter(|folder| folder.is_absolute());
    let folder = folder.or_else(|| Some(variable("HOME")?.join(".local/state")))?;
    Some(folder.join("khan/screen.json"))
}

/// What was kept of `context`; nothing where nothing was.
pub(crate) fn read(path: &Path, context: &str) -> Result<Settings, KeptError> {
    Ok(file(path)?.contexts.remove(context).unwrap_or_default())
}

/// Keeps this of `context`, and what is kept of the others.
pub(crate) fn write(path: &Path, context: &str, settings: &[(&str, String)]) -> Result<(), KeptError> {
    let mut file = file(path)?;
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    file.contexts.insert(context.to_owned(), settings);
    let wrong = |error| KeptError::Write(path.to_owned(), error);
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(wrong)?;
    }
    let text = serde_json::to_string_pretty(&file).map_err(|error| wrong(error.into()))?;
    private_file::replace(path, &text).map_err(wrong)
}

fn file(path: &Path) -> Result<File, KeptError> {
    let damaged = |reason: String| KeptError::Damaged(path.to_owned(), reason);
    let mut text = String::new();
    match fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text)) {
        Ok(_) if text.len() as u64 > LARGEST => return Err(damaged("it is too large".to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(File::default()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(damaged("it is no text".to_owned())),
        Err(error) => return Err(KeptError::Read(path.to_owned(), error)),
    }
    serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn settings(order: &str) -> [(&'static str, String); 2] {
        [("view", "edges".to_owned()), ("sort-by", order.to_owned())]
    }

    #[test]
    fn each_context_keeps_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("khan/screen.json");
        assert_eq!(read(&path, "prod").unwrap(), Settings::new());
        write(&path, "prod", &settings("delta")).unwrap();
        write(&path, "staging", &settings("idle")).unwrap();
        write(&path, "prod", &settings("conns")).unwrap();
        assert_eq!(read(&path, "prod").unwrap()["sort-by"], "conns");
        assert_eq!(read(&path, "staging").unwrap()["sort-by"], "idle");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn a_damaged_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("screen.json");
        for bad in [&b"{"[..], b"[]", b"\xff", &vec![b' '; 2 << 20]] {
            fs::write(&path, bad).unwrap();
            assert!(matches!(read(&path, "prod"), Err(KeptError::Damaged(..))));
            assert!(matches!(write(&path, "prod", &settings("conns")), Err(KeptError::Damaged(..))));
            assert_eq!(fs::read(&path).unwrap(), bad);
        }
    }
}
