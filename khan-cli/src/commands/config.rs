//! `khan config`: where the configuration file is, what it says, and one to begin with.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;

use crate::args::{Cli, ConfigAction};
use crate::config;
use crate::files;
use khan_serve::exit::Failure;

/// Prints, or writes a file.
pub(crate) fn run(cli: &Cli, action: ConfigAction) -> Result<(), Failure> {
    let path = config::path(cli.output.config.as_deref());
    match action {
        ConfigAction::Path => match path {
            Some(path) => Ok(writeln!(io::stdout(), "{}", path.display())?),
            None => Err(Failure::usage("there is no home directory to look in: give --config FILE")),
        },
        ConfigAction::View => view(path.as_deref()),
        ConfigAction::Init => init(path.as_deref()),
    }
}

fn view(path: Option<&Path>) -> Result<(), Failure> {
    let settings = config::read(path).map_err(Failure::configuration)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    match path {
        Some(path) if path.exists() => writeln!(out, "# {}", path.display())?,
        Some(path) => writeln!(out, "# {} does not exist; these are its settings if it were empty", path.display())?,
        None => {}
    }
    for (name, values) in &settings.flags {
        writeln!(out, "{name}: {}", serde_json::to_string(values).unwrap_or_default())?;
    }
    for (name, value) in config::overriding() {
        writeln!(out, "# {name}={value} (environment) comes before the file")?;
    }
    Ok(out.flush()?)
}

fn init(path: Option<&Path>) -> Result<(), Failure> {
    let path = path.ok_or_else(|| Failure::usage("there is no home directory to write to: give --config FILE"))?;
    let wrong = |error: io::Error| Failure::usage(format_args!("{}: {}", path.display(), files::reason(&error)));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(wrong)?;
    }
    let mut file = std::fs::File::create_new(path).map_err(wrong)?;
    file.write_all(config::template(&Cli::command()).as_bytes()).map_err(wrong)?;
    Ok(writeln!(io::stdout(), "{}", path.display())?)
}
