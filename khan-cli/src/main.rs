//! The `khan` command.

use std::process::ExitCode;

use clap::Parser;
use khan_cli::cli::Cli;
use khan_cli::failure::Failure;

fn main() -> ExitCode {
    khan_cli::install_tls();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return khan_cli::cli::refuse(&error),
    };
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::runtime);
    match runtime.and_then(|runtime| runtime.block_on(khan_cli::app::run(cli))) {
        Ok(code) => code,
        Err(failure) => {
            if !failure.message.is_empty() {
                eprintln!("khan: {failure}");
            }
            ExitCode::from(failure.code)
        }
    }
}
