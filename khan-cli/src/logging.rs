//! The log: what Khan did and why, for debugging. It goes to stderr, to `--log-file`, or nowhere; never to
//! stdout, and never onto the terminal while the terminal interface draws there.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::output_args::OutputArgs;
use crate::files;
use khan_serve::exit::Failure;

/// Installs the log that the flags ask for. `screen` says that the terminal interface is about to open.
pub(crate) fn install(output: &OutputArgs, screen: bool) -> Result<(), Failure> {
    let levels = levels(output.verbose, output.quiet);
    match &output.log_file {
        Some(path) => start(levels, Mutex::new(open(path)?), false),
        None if screen => {}
        None => start(levels, io::stderr, io::IsTerminal::is_terminal(&io::stderr())),
    }
    Ok(())
}

fn open(path: &Path) -> Result<std::fs::File, Failure> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|error| Failure::usage(format_args!("--log-file {}: {}", path.display(), files::reason(&error))))
}

fn start<W>(levels: Targets, writer: W, ansi: bool)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let ansi = ansi && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // A line that cannot be written is lost; to say so on stderr would panic when that is what is closed.
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(ansi).log_internal_errors(false);
    // Only a test installs a second one.
    let _ = tracing_subscriber::registry().with(levels).with(layer).try_init();
}

/// Ours by the number of `-v`; the libraries below, which log in great detail, from the third on.
fn levels(verbose: u8, quiet: bool) -> Targets {
    let (ours, theirs) = match (verbose, quiet) {
        (0, true) => (LevelFilter::ERROR, LevelFilter::OFF),
        (0, false) => (LevelFilter::WARN, LevelFilter::OFF),
        (1, _) => (LevelFilter::INFO, LevelFilter::WARN),
        (2, _) => (LevelFilter::DEBUG, LevelFilter::INFO),
        _ => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    Targets::new().with_default(theirs).with_target("khan_cli", ours)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn each_v_tells_more() {
        let told = |verbose, quiet, target: &str, level| levels(verbose, quiet).would_enable(target, &level);
        assert!(told(0, false, "khan_cli::sources", Level::WARN) && !told(0, false, "khan_cli::sources", Level::INFO));
        assert!(!told(0, true, "khan_cli::sources", Level::WARN));
        assert!(told(1, false, "khan_cli::sources", Level::INFO) && !told(1, false, "kube_client", Level::INFO));
        assert!(told(2, false, "khan_cli::sources", Level::DEBUG) && !told(2, false, "hyper_util", Level::DEBUG));
        assert!(told(3, false, "hyper_util", Level::DEBUG));
    }
}
