//! The commands of the command line that take a value. They are called as the flags that do the same.

/// What a command's value is chosen from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// A filter.
    Filter,
    /// Namespaces of the view, with commas.
    Namespaces,
    /// Contexts of the kubeconfig.
    Contexts,
    /// Words of a grouping, with commas.
    Groups,
    /// An order.
    Orders,
    /// Columns, with commas.
    Columns,
    /// A theme.
    Themes,
    /// A saved view, or one of the program's own.
    Views,
    /// A saved view, or a new name.
    Saved,
    /// Any text, for which these are examples.
    Examples(&'static [&'static str]),
}

/// A command with a value.
#[derive(Debug)]
pub struct Command {
    /// Its name: that of the flag.
    pub name: &'static str,
    /// Shorter names.
    pub short: &'static [&'static str],
    /// What its value is.
    pub value: &'static str,
    /// What it does.
    pub help: &'static str,
    /// An example of its value.
    pub example: &'static str,
    /// What its value is chosen from.
    pub values: Values,
    /// Whether it means something without a value.
    pub bare: bool,
}

impl Command {
    /// Whether it is called so.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.short.contains(&name)
    }
}

/// Durations that are offered.
const SPANS: Values = Values::Examples(&["1m", "5m", "15m", "30m", "1h"]);

/// Every command with a value.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    Command { name: "filter", short: &[], value: "EXPRESSION", help: "show only what matches; nothing clears it", example: "src:shop/* port:5432", values: Values::Filter, bare: true },
    Command { name: "namespace", short: &["ns"], value: "NAMES", help: "only these namespaces; * for all", example: "shop,data", values: Values::Namespaces, bare: true },
    Command { name: "context", short: &["ctx"], value: "NAME", help: "connect to another context", example: "prod", values: Values::Contexts, bare: true },
    Command { name: "group-by", short: &["group"], value: "WORDS", help: "what makes a row", example: "src,dst,port", values: Values::Groups, bare: false },
    Command { name: "sort-by", short: &["sort"], value: "ORDER", help: "the order; - before it reverses", example: "-conns", values: Values::Orders, bare: false },
    Command { name: "columns", short: &[], value: "NAMES", help: "columns to show", example: "source,conns,idle", values: Values::Columns, bare: false },
    Command { name: "limit", short: &["top"], value: "N", help: "rows to list at most; 0 for all", example: "500", values: Values::Examples(&["50", "200", "1000", "0"]), bare: false },
    Command { name: "window", short: &["span"], value: "DURATION", help: "how far back changes look", example: "5m", values: SPANS, bare: false },
    Command { name: "interval", short: &[], value: "DURATION", help: "how old data may be", example: "10s", values: Values::Examples(&["1s", "2s", "5s", "10s", "30s", "1m"]), bare: false },
    Command { name: "theme", short: &[], value: "NAME", help: "colours", example: "cvd", values: Values::Themes, bare: false },
    Command { name: "since", short: &[], value: "DURATION", help: "look back as far as Prometheus knows", example: "6h", values: Values::Examples(&["1h", "6h", "1d"]), bare: false },
    Command { name: "at", short: &[], value: "TIME", help: "look back to a moment", example: "14:05", values: Values::Examples(&[]), bare: false },
    Command { name: "view", short: &[], value: "NAME", help: "a saved view, or edges, sources, ...", example: "leaks", values: Values::Views, bare: false },
    Command { name: "save", short: &[], value: "NAME", help: "save what is shown as a view, for :view NAME", example: "slow", values: Values::Saved, bare: false },
    Command { name: "export", short: &[], value: "FILE", help: "write what is shown; the ending decides the form", example: "edges.csv", values: Values::Examples(&[]), bare: false },
];

/// The command of this name.
pub fn command(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.is_called(name))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn commands_are_called_as_flags_are() {
        let khan = crate::args::Cli::command();
        let top = khan.find_subcommand("top").expect("khan top");
        let flags: Vec<_> = khan.get_arguments().chain(top.get_arguments()).filter_map(clap::Arg::get_long).collect();
        // What these do has no flag.
        let alone = ["export", "save", "view", "at"];
        for command in COMMANDS.iter().filter(|command| !alone.contains(&command.name)) {
            assert!(flags.contains(&command.name), "there is no flag --{}", command.name);
        }
        for (i, command) in COMMANDS.iter().enumerate() {
            let names = || std::iter::once(command.name).chain(command.short.iter().copied());
            assert!(COMMANDS[..i].iter().all(|other| !names().any(|name| other.is_called(name))), "{}", command.name);
        }
    }
}
