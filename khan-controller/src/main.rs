//! The program `khan-controller`.

use std::process::ExitCode;

use khan_controller::app;
use khan_controller::arguments::Arguments;
use khan_controller::watch::WatchSettings;
use khan_serve::exit::{self, Failure};
use khan_serve::shutdown::Shutdown;
use khan_serve::{descriptors, logging, tls_provider};

const NAME: &str = "khan-controller";

fn main() -> ExitCode {
    let arguments: Arguments = exit::parse(NAME);
    exit::report(NAME, run(&arguments))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    descriptors::prepare().map_err(Failure::other)?;
    // kube logs each retry and whole bodies that it cannot read; this program says what matters of it.
    logging::start_without(&arguments.log, &["kube_client", "kube_runtime"]).map_err(Failure::other)?;
    tls_provider::install();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(app::THREADS)
        .enable_all()
        .build()
        .map_err(Failure::other)?;
    runtime.block_on(async {
        let shutdown = Shutdown::on_signals().map_err(Failure::other)?;
        app::start(arguments, WatchSettings::default(), shutdown).await?.finished().await;
        Ok(())
    })
}
