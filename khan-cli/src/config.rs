//! The configuration file: flags by their long names, in YAML. A flag beats its variable, which beats the file.

pub(crate) mod views;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Command;
use serde::Deserialize;

/// Where the file is: what was given, else `khan/config.yaml` in the configuration folder of the user.
pub(crate) fn path(given: Option<&Path>) -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = || variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
    given.map(Path::to_owned).or_else(|| Some(folder()?.join("khan/config.yaml")))
}

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Values by a flag's long name.
    pub flags: BTreeMap<String, Vec<String>>,
    /// Keys of the terminal interface by an action's name.
    pub keys: Vec<(String, Vec<String>)>,
    /// Saved views by name: what each sets.
    pub views: Vec<(String, Vec<(String, String)>)>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// It cannot be read.
    #[error("configuration file {path}: {1}", path = .0.display())]
    File(PathBuf, std::io::Error),
    /// It is no map from names to values.
    #[error("configuration file {path}: {1}", path = .0.display())]
    Yaml(PathBuf, khan_serve::yaml::Error),
    /// No such flag.
    #[error("configuration file {path}: there is no flag --{1}", path = .0.display())]
    Unknown(PathBuf, String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Flag(bool),
    Whole(i64),
    Number(f64),
    Text(String),
    List(Vec<String>),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    keys: Option<BTreeMap<String, Vec<String>>>,
    views: Option<BTreeMap<String, BTreeMap<String, Value>>>,
    #[serde(flatten)]
    flags: BTreeMap<String, Value>,
}

/// Reads the file; one that does not exist says nothing.
pub(crate) fn read(path: Option<&Path>) -> Result<Settings, ConfigError> {
    let Some(path) = path else { return Ok(Settings::default()) };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Settings::default()),
        Err(error) => return Err(ConfigError::File(path.to_owned(), error)),
    };
    parse(text.as_bytes()).map_err(|error| ConfigError::Yaml(path.to_owned(), error))
}

/// What a text says; an empty one says nothing.
fn parse(text: &[u8]) -> Result<Settings, khan_serve::yaml::Error> {
    let file: Option<File> = khan_serve::yaml::read(text)?;
    let file = file.unwrap_or_default();
    let texts = |value: Value| match value {
        Value::Flag(value) => vec![value.to_string()],
        Value::Whole(value) => vec![value.to_string()],
        Value::Number(value) => vec![value.to_string()],
        Value::Text(value) => vec![value],
        Value::List(values) => values,
    };
    let flags = file.flags.into_iter().map(|(name, value)| (name, texts(value))).collect();
    let one = |entries: BTreeMap<String, Value>| {
        entries.into_iter().map(|(name, value)| (name, texts(value).join(","))).collect()
    };
    let views = file.views.into_iter().flatten().map(|(name, entries)| (name, one(entries))).collect();
    Ok(Settings { flags, keys: file.keys.into_iter().flatten().collect(), views })
}

/// Gives flags the file's values as their defaults, in every command that has them.
pub(crate) fn apply(mut command: Command, settings: &Settings, path: &Path) -> Result<Command, ConfigError> {
    for (name, values) in &settings.flags {
        let mut known = false;
        command = default(command, name, values, &mut known);
        if !known {
            return Err(ConfigError::Unknown(path.to_owned(), name.clone()));
        }
    }
    Ok(command)
}

fn default(mut command: Command, name: &str, values: &[String], known: &mut bool) -> Command {
    let ids: Vec<_> =
        command.get_arguments().filter(|arg| arg.get_long() == Some(name)).map(|arg| arg.get_id().clone()).collect();
    for id in ids {
        *known = true;
        command = command.mut_arg(id, |arg| arg.default_values(values.to_vec()));
    }
    let names: Vec<_> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for sub in names {
        command = command.mut_subcommand(sub, |sub| default(sub, name, values, known));
    }
    command
}

/// Variables that come before the file.
pub(crate) fn overriding() -> Vec<(String, String)> {
    let secret = |name: &str| name.contains("TOKEN") || name.contains("HEADER");
    let ours = std::env::vars().filter(|(name, _)| name.starts_with("KHAN_"));
    let mut ours: Vec<_> =
        ours.map(|(name, value)| if secret(&name) { (name, "...".into()) } else { (name, value) }).collect();
    ours.sort();
    ours
}

/// A file in which every flag is named, explained, and commented out.
pub(crate) fn template(command: &Command) -> String {
    let mut text = String::from("# Configuration of khan. A flag beats its KHAN_ variable, which beats this file.\n");
    let top = command.find_subcommand("top");
    let arguments = command.get_arguments().chain(top.into_iter().flat_map(Command::get_arguments));
    for arg in
        arguments.filter(|arg| !matches!(arg.get_long(), None | Some("config" | "help" | "help-all" | "version")))
    {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let default: Vec<_> =
            arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
        let value = if default.is_empty() { "...".to_owned() } else { default.join(",") };
        let name = arg.get_long().unwrap_or_default();
        text.extend(["\n# ", &help, "\n# ", name, ": ", &value, "\n"]);
    }
    text.push_str("\n# Keys of the terminal interface by action (khan top, then ?)\n# keys:\n#   quit: [q]\n");
    text.push_str(
        "\n# Saved views, for :view NAME and the key v: what each sets, and perhaps a key of its own; :save NAME adds one\n# views:\n#   \
         slow: {key: F2, view: edges, filter: 'dst:postgres or dst:redis', sort-by: delta}\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;
    use crate::args::{Cli, Command as Ours};

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "interval: 9s\nnamespace: [a, b]\nascii: true\nlimit: 7\nkeys: {quit: [x]}\nviews: {pay: {limit: 5, columns: [a, b]}}\n")
            .unwrap();
        let settings = read(Some(file.path())).unwrap();
        assert_eq!(settings.keys, [("quit".to_owned(), vec!["x".to_owned()])]);
        let entries = [("columns", "a,b"), ("limit", "5")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(settings.views, [("pay".to_owned(), entries.to_vec())]);
        let parse = |words: &[&str]| {
            let command = apply(Cli::command(), &settings, file.path()).unwrap();
            Cli::from_arg_matches(&command.try_get_matches_from(words).unwrap()).unwrap()
        };
        let cli = parse(&["khan", "top"]);
        assert_eq!((cli.source.interval.as_secs(), cli.output.ascii), (9, true));
        assert_eq!(cli.kube.namespace, ["a", "b"]);
        let Ours::Top(top) = &cli.command else { panic!("top") };
        assert_eq!(top.query.limit, Some(7));
        let cli = parse(&["khan", "top", "--interval", "3s", "-n", "c"]);
        assert_eq!((cli.source.interval.as_secs(), &*cli.kube.namespace), (3, &["c".to_owned()][..]));
    }

    #[test]
    fn unknown_flags_and_bad_files_are_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "intervall: 9s\n").unwrap();
        let settings = read(Some(file.path())).unwrap();
        let error = apply(Cli::command(), &settings, file.path()).unwrap_err().to_string();
        assert!(error.ends_with("there is no flag --intervall"), "{error}");
        std::fs::write(file.path(), "- a\n").unwrap();
        assert!(matches!(read(Some(file.path())), Err(ConfigError::Yaml(..))));
        assert_eq!(read(Some(Path::new("/does/not/exist"))).unwrap(), Settings::default());
    }
}
