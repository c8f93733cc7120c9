//! The `khan` command.

use std::process::ExitCode;

use khan_cli::failure::Failure;

fn main() -> ExitCode {
    khan_cli::install_tls();
    let cli = match khan_cli::cli::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
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
