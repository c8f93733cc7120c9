//! The `khan` command.

use std::process::ExitCode;

use khan_cli::{Cli, app};
use khan_serve::exit::{self, Failure};
use khan_serve::{descriptors, tls_provider};

/// The runtime and the signals take about ten, and it panics without; each node that is asked takes one more.
const LEAST_FILES: u64 = 32;

fn main() -> ExitCode {
    if khan_cli::answer_shell() {
        return ExitCode::SUCCESS;
    }
    match khan_cli::parse() {
        Ok(cli) => exit::report("khan", run(cli)),
        Err(code) => code,
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    descriptors::require(LEAST_FILES).map_err(Failure::other)?;
    tls_provider::install();
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::other)?;
    runtime.block_on(app::run(cli))
}
