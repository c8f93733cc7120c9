//! kube's reflector store of whole pods, in a process of its own, to compare with.

use std::path::Path;
use std::process::{Command, Stdio};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Client, Config};

use crate::process::status;

/// Runs this program again as a reflector; gives its peak and its last resident memory in MiB.
pub(crate) async fn measure(kubeconfig: &Path) -> (f64, f64) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--reflector", kubeconfig.to_str().unwrap()]).stdout(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (peak, settled) = text.trim().split_once(' ').unwrap();
    (peak.parse().unwrap(), settled.parse().unwrap())
}

/// Reads every pod into a store, prints peak and resident memory in MiB, and ends.
pub(crate) async fn run(kubeconfig: &Path) {
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(Kubeconfig::read_from(kubeconfig).unwrap(), &options);
    let client = Client::try_from(config.await.unwrap()).unwrap();
    let (store, writer) = reflector::store();
    let pods = watcher(Api::<Pod>::all(client), watcher::Config::default().page_size(250));
    let stream = reflector(writer, pods).default_backoff();
    tokio::spawn(stream.for_each(|_| std::future::ready(())));
    store.wait_until_ready().await.unwrap();
    let own = |field| status("/proc/self/status", field);
    println!("{} {}", own("VmHWM"), own("VmRSS"));
}
