//! The `khan` command.

use std::process::ExitCode;

use khan_cli::failure::Failure;
use khan_cli::stderr;
use rustix::process::{Resource, getrlimit};

/// The runtime and the signals take about ten, and it panics without; each node that is asked takes one more.
const LEAST_FILES: u64 = 32;

fn main() -> ExitCode {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if files < LEAST_FILES {
        stderr::line(format_args!(
            "khan: this process may open {files} files only (ulimit -n); at least {LEAST_FILES} are needed"
        ));
        return ExitCode::FAILURE;
    }
    khan_cli::install_tls();
    let cli = match khan_cli::args::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::runtime);
    match runtime.and_then(|runtime| runtime.block_on(khan_cli::app::run(cli))) {
        Ok(code) => code,
        Err(failure) => {
            if !failure.message.is_empty() {
                stderr::line(format_args!("khan: {failure}"));
            }
            ExitCode::from(failure.code)
        }
    }
}
