//! A Kubernetes API server of five resources: lists in pages, watches with resource versions, bookmarks, field selectors,
//! streamed lists, token reviews, and, when told to, every way to fail that the controller has to live with.
//!
//! Every test of the controller against an API server uses this one. Only its benchmark does not: that generates 150,000
//! objects on demand, which together are larger than memory.

mod faults;
mod parameters;
mod watch;
mod requests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

pub use faults::{Asked, Faults, Streaming};

use crate::{Host, LabError, Result};

#[derive(Clone, Debug)]
struct Change {
    version: u64,
    r#type: &'static str,
    object: Value,
}

#[derive(Debug, Default)]
struct Stock {
    objects: BTreeMap<String, Value>,
    changes: Vec<Change>,
    // Watches from below this get 410.
    oldest: u64,
    faults: Faults,
    asked: Asked,
}

#[derive(Debug, Default)]
struct Shared {
    version: u64,
    stocks: BTreeMap<String, Stock>,
    // In which version the server has ServiceCIDRs; empty when it has none.
    service_cidrs: &'static str,
    // Tokens that are accepted, each with the status of its review.
    tokens: Vec<(String, Value)>,
    // Every token that was reviewed, in this order.
    reviewed: Vec<String>,
}

/// A running server. It ends with the runtime or the process that it was started in, or at [`stop`](Self::stop).
#[derive(Clone, Debug)]
pub struct ApiServer {
    shared: Arc<Mutex<Shared>>,
    changed: Arc<Notify>,
    stop: Arc<Notify>,
    /// The address that it listens on, over plain HTTP.
    pub address: SocketAddr,
}

impl ApiServer {
    /// Starts on a free port, in the calling task's runtime.
    pub async fn start() -> Self {
        Self::start_on("127.0.0.1:0".parse().unwrap()).await
    }

    /// Starts on this address, in the calling task's runtime.
    pub async fn start_on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let this = Self::new(listener.local_addr().unwrap());
        tokio::spawn(this.clone().serve(listener));
        this
    }

    /// Starts inside a host, on a thread of its own that ends with the process.
    pub fn start_in(host: &Host) -> Result<Self> {
        let failed = || LabError::io(format!("cannot start an API server in {}", host.name()));
        let listener = host.enter(|| std::net::TcpListener::bind("127.0.0.1:0")).map_err(failed())?;
        listener.set_nonblocking(true).map_err(failed())?;
        let this = Self::new(listener.local_addr().map_err(failed())?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed())?;
        let server = this.clone();
        std::thread::spawn(move || {
            runtime.block_on(async { server.serve(TcpListener::from_std(listener).unwrap()).await });
        });
        Ok(this)
    }

    /// An address that nobody listens on yet.
    pub async fn free_address() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    }

    fn new(address: SocketAddr) -> Self {
        let shared = Shared { version: 1000, ..Shared::default() };
        Self { shared: Arc::new(Mutex::new(shared)), changed: Arc::default(), stop: Arc::default(), address }
    }

    async fn serve(self, listener: TcpListener) {
        let router = requests::router(self.clone());
        let mut connections = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, _) = accepted.unwrap();
                    let service = hyper_util::service::TowerToHyperService::new(router.clone());
                    connections.spawn(async move {
                        let io = hyper_util::rt::TokioIo::new(stream);
                        let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
                    });
                }
                () = self.stop.notified() => return,
            }
        }
    }

    /// Cuts every connection and stops listening.
    pub fn stop(&self) {
        self.stop.notify_one();
    }

    /// Listens again on the same address.
    pub async fn restart(&self) {
        let listener = loop {
            if let Ok(listener) = TcpListener::bind(self.address).await {
                break listener;
            }
            tokio::task::yield_now().await;
        };
        tokio::spawn(self.clone().serve(listener));
    }

    /// Creates or changes an object, and tells every watch.
    pub fn put(&self, object: Value) {
        self.change(object, false);
    }

    /// Deletes an object, and tells every watch.
    pub fn delete(&self, object: Value) {
        self.change(object, true);
    }

    fn change(&self, mut object: Value, delete: bool) {
        let resource = resource_of(&object);
        let mut shared = self.shared.lock().unwrap();
        shared.version += 1;
        let version = shared.version;
        if object["metadata"].is_object() {
            object["metadata"]["resourceVersion"] = version.to_string().into();
        }
        let stock = shared.stocks.entry(resource).or_default();
        let key = format!("{}/{}", object["metadata"]["namespace"], object["metadata"]["name"]);
        let r#type = if delete {
            stock.objects.remove(&key);
            "DELETED"
        } else if stock.objects.insert(key, object.clone()).is_some() {
            "MODIFIED"
        } else {
            "ADDED"
        };
        stock.changes.push(Change { version, r#type, object });
        drop(shared);
        self.changed.notify_waiters();
    }

    /// Deletes an object without telling any watch.
    pub fn forget_silently(&self, object: &Value) {
        let resource = resource_of(object);
        let key = format!("{}/{}", object["metadata"]["namespace"], object["metadata"]["name"]);
        self.shared.lock().unwrap().stocks.entry(resource).or_default().objects.remove(&key);
    }

    /// Tells every watch of `resource` that its version has expired, and forgets all history.
    pub fn expire(&self, resource: &str) {
        let mut shared = self.shared.lock().unwrap();
        shared.version += 1;
        let version = shared.version;
        let stock = shared.stocks.entry(resource.into()).or_default();
        stock.changes.clear();
        stock.oldest = version;
        drop(shared);
        self.changed.notify_waiters();
    }

    /// From now on the server has `ServiceCIDR`s in this version, or none of them with an empty one.
    pub fn serve_service_cidrs(&self, version: &'static str) {
        self.shared.lock().unwrap().service_cidrs = version;
    }

    /// Changes how the server misbehaves for a resource such as `pods`.
    pub fn faults(&self, resource: &str, change: impl FnOnce(&mut Faults)) {
        change(&mut self.shared.lock().unwrap().stocks.entry(resource.into()).or_default().faults);
    }

    /// What it was asked for a resource so far.
    pub fn asked(&self, resource: &str) -> Asked {
        self.shared.lock().unwrap().stocks.get(resource).map(|stock| stock.asked).unwrap_or_default()
    }

    /// Accepts `token`, with the status of a `TokenReview` as the answer.
    pub fn accept_token(&self, token: &str, status: Value) {
        self.shared.lock().unwrap().tokens.push((token.into(), status));
    }

    /// Accepts `token` no longer.
    pub fn revoke_token(&self, token: &str) {
        self.shared.lock().unwrap().tokens.retain(|(known, _)| known != token);
    }

    /// How many token reviews it was asked for.
    pub fn asked_reviews(&self) -> usize {
        self.shared.lock().unwrap().reviewed.len()
    }

    /// Whether it was asked about this token.
    pub fn was_asked(&self, token: &str) -> bool {
        self.shared.lock().unwrap().reviewed.iter().any(|reviewed| reviewed == token)
    }

    /// A kubeconfig for this server.
    pub fn kubeconfig(&self) -> tempfile::NamedTempFile {
        kubeconfig(self.address)
    }
}

/// A kubeconfig for the server that listens on `address`.
pub fn kubeconfig(address: SocketAddr) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": format!("http://{address}")}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "users": [{"name": "test", "user": {}}],
    });
    std::fs::write(file.path(), text.to_string()).unwrap();
    file
}

fn resource_of(object: &Value) -> String {
    object["kind"].as_str().unwrap().to_lowercase() + "s"
}
