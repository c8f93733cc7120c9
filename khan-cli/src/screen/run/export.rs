//! Files that the user exports, never written over others. Like recordings they show which apps talk to each other, so they
//! are readable by their owner alone, whatever the umask says.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use khan_api::Timestamp;

/// Writes into a file that was not there before.
pub(super) fn export(directory: &Path, stamp: Timestamp, extension: &str, text: &str) -> Result<PathBuf, String> {
    let stamp: String = stamp.to_string().chars().filter(char::is_ascii_alphanumeric).take(15).collect();
    for attempt in 0..100_u32 {
        let suffix = if attempt == 0 { String::new() } else { format!("-{attempt}") };
        let path = directory.join(format!("khan-{stamp}{suffix}.{extension}"));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(mut file) => {
                io::Write::write_all(&mut file, text.as_bytes()).map_err(|e| format!("{}: {e}", path.display()))?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("{}: {error}", path.display())),
        }
    }
    Err(format!("{} already holds a hundred exports of this second", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_never_overwrite() {
        let directory = tempfile::tempdir().unwrap();
        let at = "2026-11-22T14:17:03.5Z".parse().unwrap();
        let paths: Vec<_> = (0..2).map(|_| export(directory.path(), at, "csv", "a,b\n").unwrap()).collect();
        let names: Vec<_> = paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["khan-20261122T141703.csv", "khan-20261122T141703-1.csv"]);
        assert!(export(&directory.path().join("absent"), at, "csv", "").is_err());
    }

    #[test]
    fn nobody_else_can_read_an_export() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = export(directory.path(), "2026-11-22T14:17:03Z".parse().unwrap(), "csv", "a,b\n").unwrap();
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
