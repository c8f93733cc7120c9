//! An API server of the made-up cluster over TLS: pages, streamed lists, watches, churn.

use std::collections::VecDeque;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::generate::{Sizes, node, pod, service, slice, slice_of};

/// Events that a watch may lag behind.
const LOG: usize = 40_000;

const PODS: &str = "pods";
const SLICES: &str = "endpointslices";

pub(crate) struct Cluster {
    pub(crate) sizes: Sizes,
    pub(crate) streaming: AtomicBool,
    version: AtomicU64,
    lives: Mutex<Vec<u32>>,
    log: Mutex<VecDeque<(u64, &'static str, Bytes)>>,
    expired: AtomicU64,
    changed: Notify,
    pub(crate) sent: AtomicU64,
    // Deletes the file with the cluster.
    certificate: tempfile::TempPath,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Parameters {
    watch: bool,
    limit: Option<usize>,
    r#continue: Option<usize>,
    resource_version: Option<u64>,
    send_initial_events: bool,
}

impl Cluster {
    /// Serves on a free port; gives a kubeconfig as well.
    pub(crate) async fn start(sizes: Sizes) -> (Arc<Self>, tempfile::NamedTempFile) {
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let mut certificate = tempfile::NamedTempFile::new().unwrap();
        certificate.write_all(certified.cert.pem().as_bytes()).unwrap();
        let cluster = Arc::new(Self {
            sizes,
            streaming: AtomicBool::new(true),
            version: AtomicU64::new(1000),
            lives: Mutex::new(vec![0; sizes.pods]),
            log: Mutex::default(),
            expired: AtomicU64::new(0),
            changed: Notify::new(),
            sent: AtomicU64::new(0),
            certificate: certificate.into_temp_path(),
        });
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/api/v1/{resource}", get(collection))
            .route("/apis/discovery.k8s.io/v1/{resource}", get(collection))
            .with_state(Arc::clone(&cluster));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, router) = (acceptor.clone(), router.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = hyper_util::service::TowerToHyperService::new(router);
                    let io = hyper_util::rt::TokioIo::new(stream);
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
                });
            }
        });
        let kubeconfig = kubeconfig(address, &cluster.certificate);
        (cluster, kubeconfig)
    }

    /// Replaces a pod by its successor: the old one is deleted and leaves its slice, the new one gets its address and joins it.
    pub(crate) fn replace(&self, n: usize) -> u32 {
        let mut lives = self.lives.lock().unwrap();
        lives[n] += 1;
        let life = lives[n];
        let mut log = self.log.lock().unwrap();
        let next = || self.version.fetch_add(1, Ordering::Relaxed) + 1;
        for (kind, life, away) in [("DELETED", life - 1, Some(n)), ("ADDED", life, None)] {
            let version = next();
            log.push_back((version, PODS, line(kind, &pod(n, life, version))));
            if slice_of(n) < self.sizes.slices() {
                let version = next();
                log.push_back((version, SLICES, line("MODIFIED", &slice(slice_of(n), &lives, away, version))));
            }
        }
        drop(lives);
        while log.len() > LOG {
            log.pop_front();
        }
        drop(log);
        self.changed.notify_waiters();
        life
    }

    /// Tells every watch of pods that its version is gone.
    pub(crate) fn expire(&self) {
        self.expired.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    fn object(&self, resource: &str, n: usize) -> String {
        let version = self.version.load(Ordering::Relaxed);
        match resource {
            PODS => pod(n, self.lives.lock().unwrap()[n], version),
            SLICES => slice(n, &self.lives.lock().unwrap(), None, version),
            "services" => service(n, version),
            _ => node(n, version),
        }
    }

    fn count(&self, resource: &str) -> usize {
        match resource {
            PODS => self.sizes.pods,
            SLICES => self.sizes.slices(),
            "services" => self.sizes.services,
            _ => self.sizes.nodes,
        }
    }
}

fn line(kind: &str, object: &str) -> Bytes {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n").into()
}

fn kubeconfig(address: SocketAddr, certificate: &std::path::Path) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let text = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bench",
        "clusters": [{"name": "bench", "cluster": {
            "server": format!("https://localhost:{}", address.port()),
            "certificate-authority": certificate,
        }}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "users": [{"name": "bench", "user": {}}],
    });
    file.write_all(text.to_string().as_bytes()).unwrap();
    file
}

async fn collection(
    State(cluster): State<Arc<Cluster>>,
    Path(resource): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Response {
    let version = cluster.version.load(Ordering::Relaxed);
    if !parameters.watch {
        let (from, limit) = (parameters.r#continue.unwrap_or(0), parameters.limit.expect("never one giant body"));
        let to = (from + limit).min(cluster.count(&resource));
        let items: Vec<String> = (from..to).map(|n| cluster.object(&resource, n)).collect();
        let next = if to < cluster.count(&resource) { to.to_string() } else { String::new() };
        let body = format!(
            r#"{{"kind":"List","apiVersion":"v1","metadata":{{"resourceVersion":"{version}","continue":"{next}"}},"items":[{}]}}"#,
            items.join(",")
        );
        cluster.sent.fetch_add(body.len() as u64, Ordering::Relaxed);
        return body.into_response();
    }
    if parameters.send_initial_events && !cluster.streaming.load(Ordering::Relaxed) {
        let status =
            r#"{"kind":"Status","status":"Failure","code":422,"reason":"Invalid","message":"WatchList is off"}"#;
        return (StatusCode::UNPROCESSABLE_ENTITY, status).into_response();
    }
    let next = if parameters.send_initial_events { 0 } else { usize::MAX };
    let seen = if parameters.send_initial_events { version } else { parameters.resource_version.unwrap_or(version) };
    let expired = cluster.expired.load(Ordering::Relaxed);
    let watching = Watching { cluster, resource, next, seen, expired, over: false };
    let lines = futures::stream::unfold(watching, |mut watching| async move {
        Some((Ok::<_, std::convert::Infallible>(watching.next().await?), watching))
    });
    Body::from_stream(lines).into_response()
}

struct Watching {
    cluster: Arc<Cluster>,
    resource: String,
    // Of the initial list; past its end once that is told.
    next: usize,
    seen: u64,
    expired: u64,
    over: bool,
}

impl Watching {
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        let count = self.cluster.count(&self.resource);
        if self.next < count {
            let chunk: Vec<u8> = (self.next..count.min(self.next + 8))
                .flat_map(|n| line("ADDED", &self.cluster.object(&self.resource, n)))
                .collect();
            self.next += 8;
            self.cluster.sent.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            if self.next >= count {
                self.next = count;
            }
            return Some(chunk.into());
        }
        if self.next == count {
            self.next = usize::MAX;
            let end = format!(
                r#"{{"kind":"x","apiVersion":"v1","metadata":{{"resourceVersion":"{}","annotations":{{"k8s.io/initial-events-end":"true"}}}}}}"#,
                self.seen
            );
            return Some(line("BOOKMARK", &end));
        }
        loop {
            let cluster = Arc::clone(&self.cluster);
            let changed = cluster.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let PODS | SLICES = &*self.resource {
                if self.resource == PODS && cluster.expired.load(Ordering::Relaxed) > self.expired {
                    self.over = true;
                    return Some(line(
                        "ERROR",
                        r#"{"kind":"Status","status":"Failure","code":410,"reason":"Expired","message":"expired"}"#,
                    ));
                }
                let lines: Vec<u8> = {
                    let log = cluster.log.lock().unwrap();
                    let from = log.partition_point(|(version, ..)| *version <= self.seen);
                    self.seen = log.back().map_or(self.seen, |(version, ..)| self.seen.max(*version));
                    let mine = log.range(from..).filter(|(_, resource, _)| *resource == self.resource);
                    mine.flat_map(|(.., line)| line.to_vec()).collect()
                };
                if !lines.is_empty() {
                    return Some(lines.into());
                }
            }
            changed.await;
        }
    }
}
