//! A view into the configuration file: the text in, the text with the view out. Comments and everything else stay as they are.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::files;
use crate::private_file;

use super::parse;

/// Why a view cannot be saved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaveError {
    /// The file cannot be read or written.
    #[error("{}: {}", .0.display(), files::reason(.1))]
    File(PathBuf, #[source] io::Error),
    /// The file is no configuration, or its views stand in a form that cannot be added to.
    #[error("{} cannot be changed by itself: write under views: {line}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What to write there.
        line: String,
    },
}

/// Saves what a view sets under its name, in place of what it set before.
pub(crate) fn save(path: &Path, name: &str, entries: &[(String, String)]) -> Result<(), SaveError> {
    let failed = |error| SaveError::File(path.to_owned(), error);
    // The file itself, where the path is a link to it.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let old = match fs::read_to_string(&target) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    let line = line(name, entries);
    let text = with_view(old.as_deref().unwrap_or_default(), name, entries);
    let text = text.ok_or_else(|| SaveError::Form { path: path.to_owned(), line })?;
    if old.is_none() {
        if let Some(folder) = target.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        }
        return private_file::create(&target, &text).map_err(failed);
    }
    let mode = fs::metadata(&target).map_err(failed)?.permissions().mode() & 0o777;
    private_file::replace(&target, &text).map_err(failed)?;
    fs::set_permissions(&target, fs::Permissions::from_mode(mode)).map_err(failed)
}

/// The text with the view; `None` where that does not say all that the text said, and the view.
fn with_view(text: &str, name: &str, entries: &[(String, String)]) -> Option<String> {
    let mut expected = parse(text.as_bytes()).ok()?;
    let mut entries = entries.to_vec();
    expected.views.retain(|(other, _)| other != name);
    let new = edit(text, name, &line(name, &entries));
    entries.sort();
    expected.views.push((name.to_owned(), entries));
    expected.views.sort();
    (parse(new.as_bytes()).ok()? == expected).then_some(new)
}

/// Puts the line of a view in place of the lines that it had, or after all others.
fn edit(text: &str, name: &str, line: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let Some(head) = lines.iter().position(|line| line.starts_with("views:")) else {
        let blank = if text.trim().is_empty() { "" } else { "\n" };
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return format!("{text}{end}{blank}views:\n  {line}\n");
    };
    if lines[head].trim_end() == "views: {}" {
        "views:".clone_into(&mut lines[head]);
    }
    let is_content = |line: &String| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let block = lines[head + 1..].iter().take_while(|line| !is_content(line) || line.starts_with(' ')).count();
    let block = head + 1..head + 1 + block;
    let depth = |line: &String| line.len() - line.trim_start_matches(' ').len();
    let indent = lines[block.clone()].iter().find(|line| is_content(line)).map_or(2, depth);
    let line = format!("{}{line}", " ".repeat(indent));
    let is_named = |line: &String| depth(line) == indent && key(line.trim_start()).is_some_and(|key| key == name);
    if let Some(at) = block.clone().find(|at| is_named(&lines[*at])) {
        let deeper = lines[at + 1..block.end].iter().take_while(|line| is_content(line) && depth(line) > indent);
        let end = at + 1 + deeper.count();
        lines.splice(at..end, [line]);
    } else {
        let last = block.clone().rfind(|at| is_content(&lines[*at])).unwrap_or(head);
        lines.insert(last + 1, line);
    }
    lines.join("\n") + "\n"
}

/// The key that a line begins with.
fn key(line: &str) -> Option<String> {
    if line.starts_with('"') {
        return serde_json::Deserializer::from_str(line).into_iter::<String>().next()?.ok();
    }
    Some(line.split(':').next()?.trim_matches('\'').to_owned())
}

/// `slow: {view: edges, filter: "dst:postgres or dst:redis"}`.
fn line(name: &str, entries: &[(String, String)]) -> String {
    let entries: Vec<_> = entries.iter().map(|(entry, value)| format!("{entry}: {}", quoted(value))).collect();
    format!("{}: {{{}}}", quoted(name), entries.join(", "))
}

/// A text that YAML takes for this text. What JSON quotes, YAML reads as well.
fn quoted(text: &str) -> String {
    let plain = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let means_more = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&text);
    if plain(text) && !means_more { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn saved(text: &str) -> Option<String> {
        with_view(text, "slow", &entries(&[("view", "edges"), ("filter", "dst:a or dst:b")]))
    }

    const LINE: &str = "slow: {view: edges, filter: \"dst:a or dst:b\"}";

    #[test]
    fn a_view_joins_the_others_and_comments_stay() {
        assert_eq!(saved("").unwrap(), format!("views:\n  {LINE}\n"));
        assert_eq!(saved("limit: 5").unwrap(), format!("limit: 5\n\nviews:\n  {LINE}\n"));
        let text = "# mine\nviews:\n    # the exits\n    exits: {view: external} # all\n\n# keys\nkeys: {quit: [x]}\n";
        let expected = text.replace("# all\n", &format!("# all\n    {LINE}\n"));
        assert_eq!(saved(text).unwrap(), expected);
        assert_eq!(saved("views: {}\n").unwrap(), format!("views:\n  {LINE}\n"));
        assert_eq!(saved("views:\nlimit: 5\n").unwrap(), format!("views:\n  {LINE}\nlimit: 5\n"));
    }

    #[test]
    fn a_view_takes_the_place_of_what_it_was() {
        let text = "views:\n  slow:\n    view: nodes\n    key: F2\n  zoo: {limit: 5}\n";
        assert_eq!(saved(text).unwrap(), format!("views:\n  {LINE}\n  zoo: {{limit: 5}}\n"));
        let text = "views:\n  \"slow\": {view: nodes}\n";
        assert_eq!(saved(text).unwrap(), format!("views:\n  {LINE}\n"));
    }

    #[test]
    fn what_cannot_be_added_to_is_left_alone() {
        for text in ["views: {zoo: {limit: 5}}\n", "- a\n", "\"views\": {a: {limit: 5}}\n"] {
            assert_eq!(saved(text), None, "{text}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        fs::write(&path, "views: {zoo: {limit: 5}}\n").unwrap();
        let error = save(&path, "slow", &entries(&[("view", "edges")])).unwrap_err().to_string();
        assert!(error.ends_with("cannot be changed by itself: write under views: slow: {view: edges}"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "views: {zoo: {limit: 5}}\n");
    }

    #[test]
    fn a_file_is_made_or_keeps_its_mode_and_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("khan/config.yaml");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        save(&path, "a", &entries(&[("view", "edges")])).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let link = folder.path().join("link.yaml");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        save(&link, "b", &entries(&[("filter", "")])).unwrap();
        assert!(link.is_symlink());
        assert_eq!(
            (fs::read_to_string(&path).unwrap(), mode(&path)),
            ("views:\n  a: {view: edges}\n  b: {filter: \"\"}\n".into(), 0o644)
        );
    }

    proptest! {
        #[test]
        fn whatever_is_typed_is_read_back(name in "[!-~é漢]{1,12}", value in "[ -~é漢]{0,20}", other in "[a-z: #{}\n-]{0,30}") {
            let entries = entries(&[("filter", &value)]);
            let alone = with_view("", &name, &entries).expect("an empty file takes every view");
            for text in [Some(alone), with_view(&other, &name, &entries)].into_iter().flatten() {
                prop_assert!(parse(text.as_bytes()).unwrap().views.contains(&(name.clone(), entries.clone())));
            }
        }
    }
}
