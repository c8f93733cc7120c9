//! `khan replay`: which recordings there are, and what is in them.

use std::path::{Path, PathBuf};

use super::printer::Printer;
use crate::args::{Cli, ReplayArgs};
use crate::report::recordings::{Recorded, report};
use crate::shell::quote;
use crate::sources::recording::{is_recording, survey};
use khan_serve::exit::Failure;

/// Prints one row per recording: the files that are named, and what is found in the folders that are.
pub(crate) fn run(cli: &Cli, args: &ReplayArgs) -> Result<(), Failure> {
    let mut printer = Printer::new(cli)?;
    let here = [PathBuf::from(".")];
    let places = if args.files.is_empty() { &here[..] } else { &args.files[..] };
    let mut files = Vec::new();
    for place in places {
        if place.is_dir() {
            files.extend(within(place)?);
        } else {
            files.push(place.clone());
        }
    }
    let found: Vec<_> = files.iter().map(|file| look(file)).collect();
    let named: Vec<_> = args.files.iter().map(|place| place.display().to_string()).collect();
    let places = if named.is_empty() { "this folder".to_owned() } else { named.join(", ") };
    printer.print(&report(&found, &places))?;
    if let Some(one) = found.iter().find(|one| one.contents.is_ok()) {
        printer.note(&format!("note: khan top --replay {} plays it", quote(&one.file)));
    }
    let unreadable = found.iter().filter(|one| one.contents.is_err()).count();
    if unreadable > 0 {
        return Err(Failure::runtime(format_args!("{unreadable} of {} files cannot be replayed", found.len())));
    }
    Ok(())
}

/// The recordings in a folder, by name.
fn within(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error| Failure::usage(format_args!("{}: {error}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        // What is no plain file may never end.
        if path.is_file() && is_recording(&path) {
            files.push(path.strip_prefix(".").map(Path::to_owned).unwrap_or(path));
        }
    }
    files.sort();
    Ok(files)
}

fn look(file: &Path) -> Recorded {
    Recorded { file: file.display().to_string(), contents: survey(file) }
}
