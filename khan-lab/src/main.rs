//! `khan-lab`: the traffic of the demo, and the demo itself.

mod app;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match app::run(app::Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("khan-lab: {error}");
            ExitCode::FAILURE
        }
    }
}
