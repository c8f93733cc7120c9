//! Where the API server is and how to talk to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use super::last_response::{LastResponse, LastResponseLayer};

/// Why there is no API server to talk to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// `--kubeconfig` names a file that cannot be used.
    #[error("cannot use {} (--kubeconfig)", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: KubeconfigError,
    },
    /// Not in a pod, and no usual kubeconfig.
    #[error("no cluster: not in a pod, and no kubeconfig where kubectl looks; give --kubeconfig or --from-file")]
    Nowhere(#[source] kube::config::InferConfigError),
    /// The configuration names certificates, proxies or credentials that do not work.
    #[error("cannot make a client for the API server")]
    Client(#[source] kube::Error),
}

/// A client, and when the server last responded to it.
#[derive(Clone)]
pub(crate) struct Connection {
    /// For requests.
    pub client: Client,
    /// When something last came from the server.
    pub last_response: Arc<LastResponse>,
    /// The server's URL, for messages.
    pub url: String,
}

/// Uses the kubeconfig file, or the pod's service account, or the kubeconfig that kubectl would use. Talks to nobody yet.
pub(crate) async fn connect(kubeconfig: Option<&Path>) -> Result<Connection, ConnectError> {
    let mut config = match kubeconfig {
        Some(path) => {
            let fail = |source| ConnectError::Kubeconfig { path: path.to_owned(), source };
            let kubeconfig = Kubeconfig::read_from(path).map_err(fail)?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(fail)?
        }
        // In a pod the service account comes first: a kubeconfig that happens to lie in the image is not meant.
        None => match Config::incluster() {
            Ok(config) => config,
            Err(_) => Config::infer().await.map_err(ConnectError::Nowhere)?,
        },
    };
    // Failures have to be seen here to be logged and counted; kube would retry silently for minutes.
    config.default_retry = false;
    let url = config.cluster_url.to_string();
    let last_response = LastResponse::new();
    let builder = ClientBuilder::try_from(config).map_err(ConnectError::Client)?;
    let client = builder.with_layer(&LastResponseLayer(Arc::clone(&last_response))).build();
    Ok(Connection { client, last_response, url })
}
