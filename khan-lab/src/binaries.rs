//! The workspace's own programs, built from the sources that the test was built from.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::{LabError, Result};

/// Names a folder whose programs are used as they are, for instance those that go into an image.
pub const BIN_FOLDER: &str = "KHAN_BIN_DIR";

/// Path of a workspace program such as `khan-agent`, in the profile of the calling test. Cargo is asked once per
/// process and program, because a binary that happens to be there may be older than the sources.
pub fn path(program: &str) -> Result<PathBuf> {
    static BUILT: OnceLock<Mutex<HashMap<String, PathBuf>>> = OnceLock::new();
    if let Some(folder) = env::var_os(BIN_FOLDER) {
        let path = Path::new(&folder).join(program);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(LabError::Missing(format!("{BIN_FOLDER} is set, but there is no {}", path.display())))
        };
    }
    let mut built = BUILT.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = built.get(program) {
        return Ok(path.clone());
    }
    let path = build("--bin", program)?;
    built.insert(program.to_owned(), path.clone());
    Ok(path)
}

/// Path of a helper program that stands in a crate's `examples/`, because it needs that crate, and serves tests only.
pub fn helper(program: &str) -> Result<PathBuf> {
    build("--example", program)
}

/// The folder of the profile (`target/debug`); none when this program was not built by cargo.
pub fn build_folder() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let folder = program.parent()?;
    let folder = if folder.ends_with("deps") || folder.ends_with("examples") { folder.parent()? } else { folder };
    folder.parent()?.join("CACHEDIR.TAG").is_file().then(|| folder.to_owned())
}

fn build(kind: &str, program: &str) -> Result<PathBuf> {
    let folder = build_folder().ok_or_else(|| {
        LabError::Missing(format!("not started by cargo: set {BIN_FOLDER} to the folder of {program}"))
    })?;
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let target = folder.parent().unwrap_or(&folder);
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    // Build scripts that look at these would run again, and what depends on them would be built again, for each crate whose tests
    // come here.
    let of_crate = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_crate)) {
        command.env_remove(name);
    }
    let output = command
        // Of the whole workspace, so that cargo chooses the features with which everything is built already.
        .args(["build", "--quiet", "--workspace", "--profile", profile, kind, program, "--target-dir"])
        .arg(target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .map_err(LabError::io(format!("cannot run {}", cargo.display())))?;
    let path = if kind == "--example" { folder.join("examples").join(program) } else { folder.join(program) };
    if !output.status.success() || !path.is_file() {
        return Err(LabError::Command {
            command: format!("cargo build {kind} {program}"),
            status: output.status.to_string(),
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(path)
}
