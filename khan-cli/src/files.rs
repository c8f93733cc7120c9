//! What went wrong with a file, in words that say what to do, without the numbers of the system.

use std::io::{Error, ErrorKind};

/// The reason as the rest of a sentence that begins with the path.
pub(crate) fn reason(error: &Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "it does not exist".to_owned(),
        ErrorKind::AlreadyExists => "it exists already, and is not overwritten".to_owned(),
        ErrorKind::IsADirectory => "it is a folder, not a file".to_owned(),
        ErrorKind::NotADirectory => "a part of its path is a file, not a folder".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "its file system is read-only".to_owned(),
        ErrorKind::StorageFull => "its file system is full".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_sentences() {
        let folder = tempfile::tempdir().unwrap();
        let opened = |path: &std::path::Path| reason(&std::fs::File::create(path).unwrap_err());
        assert_eq!(opened(folder.path()), "it is a folder, not a file");
        assert_eq!(opened(&folder.path().join("a/b")), "it does not exist");
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert_eq!(opened(&folder.path().join("file/b")), "a part of its path is a file, not a folder");
    }
}
