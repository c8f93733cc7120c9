//! `khan-agent`: parse, log, run, exit code.

use std::process::ExitCode;

use khan_agent::arguments::Arguments;
use khan_serve::exit;

const NAME: &str = "khan-agent";

fn main() -> ExitCode {
    let arguments = exit::parse::<Arguments>(NAME);
    exit::report(NAME, khan_agent::app::run(&arguments))
}
