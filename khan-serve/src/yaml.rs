//! YAML in, values out. Errors say where, in one line, and quote no surrounding text: it may hold secrets.

use std::fmt;

use serde::Deserialize;
use serde_saphyr::{DuplicateKeyPolicy, Options, UserMessageFormatter};

/// What is wrong with a text: the field where that is known, the reason, line and column.
#[derive(Debug)]
pub struct Error {
    // Empty for what concerns the whole text.
    field: String,
    // It is large, and rare.
    source: Box<serde_saphyr::Error>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.source.render_with_formatter(&UserMessageFormatter))
    }
}

impl std::error::Error for Error {}

/// Reads a file of one document; one that is empty, or of comments only, is null. A key that stands twice in one map is an
/// error: YAML libraries disagree about which of them counts.
pub fn read<T: for<'de> Deserialize<'de>>(text: &[u8]) -> Result<T, Error> {
    let mut field = String::new();
    let read = serde_saphyr::with_deserializer_from_slice_with_options(text, options(), |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            // `.` is the whole text, `?` a key that could not be read.
            error.path().to_string().trim_end_matches(['.', '?']).clone_into(&mut field);
            error.into_inner()
        })
    });
    read.map_err(|source| Error { field, source: source.into() })
}

/// Reads all documents of a file that may be as large as a cluster; those that are empty are left out.
pub fn read_all<'de, T: Deserialize<'de>>(text: &'de [u8]) -> Result<Vec<T>, Error> {
    let mut options = options();
    options.budget = None;
    let read = serde_saphyr::from_slice_multiple_with_options(text, options);
    read.map_err(|source| Error { field: String::new(), source: source.into() })
}

fn options() -> Options {
    serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        // YAML 1.2, as Kubernetes' own tools write it: a label `no` is text.
        strict_booleans: true,
        with_snippet: false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, Default, PartialEq, Eq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Settings {
        port: u16,
        users: BTreeMap<String, String>,
    }

    #[test]
    fn errors_name_field_and_place_and_quote_nothing_else() {
        let refused = |text: &str| read::<Settings>(text.as_bytes()).unwrap_err().to_string();
        for (text, told) in [
            ("port: 1\ncolour: secret\n", ["unknown field `colour`", "line 2"]),
            ("users:\n  a: secret\n  b: [secret]\n", ["users.b: ", "line 3"]),
            ("users:\n  a: secret\n  a: secret\n", ["users", "`a`"]),
            ("port: 65536\nusers: {a: secret}\n", ["port: ", "line 1"]),
            ("port: 1\nusers: {a: secret\n", ["line ", ""]),
        ] {
            let error = refused(text);
            assert!(told.iter().all(|part| error.contains(part)), "{text}: {error}");
            assert!(!error.contains('\n') && !error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn nothing_is_null_and_words_are_text() {
        assert_eq!(read::<Option<Settings>>(b"# nothing\n").unwrap(), None);
        assert_eq!(read::<Option<Settings>>(b"").unwrap(), None);
        let words: BTreeMap<String, String> = read(b"{no: on, a: 'true'}").unwrap();
        assert_eq!(words, [("a", "true"), ("no", "on")].map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        assert_eq!(read_all::<u8>(b"--- 1\n---\n# nothing\n--- 2\n").unwrap(), [1, 2]);
    }
}
