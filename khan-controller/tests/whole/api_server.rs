//! A Kubernetes API server of four resources: lists in pages, watches with resource versions, bookmarks, field selectors,
//! streamed lists, and, when told to, every way to fail that the controller has to live with.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// How the server misbehaves for one resource.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Answer these verbs with 403.
    pub(crate) forbid: Vec<&'static str>,
    /// Answer everything with this status, so many times.
    pub(crate) fail: Option<(u16, usize)>,
    pub(crate) streaming: Streaming,
    /// Open watches say nothing more, not even bookmarks, and never end.
    pub(crate) hang: bool,
    /// Break off the body of this many lists in the middle.
    pub(crate) cut_lists: usize,
    /// Break off this many watches in the middle of an event.
    pub(crate) cut_watches: usize,
    /// Begin lists but never finish them.
    pub(crate) stall_lists: bool,
}

/// What the server does when it is asked to stream a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Streaming {
    #[default]
    Works,
    /// 422, as of a server without the feature.
    Refused,
    /// 500, as of a server whose etcd is too old to tell how far it is (Kubernetes 1.34 and later).
    Unsupported,
    /// 200, and then an event that says 500.
    Fails,
    /// No answer at all.
    Silent,
    /// The connection breaks in the middle of the first event.
    Cut,
    /// The answer ends, in good order, before the list does.
    Short,
    /// The list comes, but never the word that it is complete.
    Endless,
}

/// What was asked of the server for one resource.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) lists: usize,
    pub(crate) watches: usize,
    /// Lists that were to be streamed, refused ones included.
    pub(crate) streamed: usize,
    /// Requests for a resource or a version that the server does not have.
    pub(crate) absent: usize,
    /// Most objects in one answer to a list.
    pub(crate) largest_page: usize,
}

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
    reviews: Vec<(String, Value)>,
    asked_reviews: usize,
}

/// A running server; stops when it is dropped.
#[derive(Clone)]
pub(crate) struct ApiServer {
    shared: Arc<Mutex<Shared>>,
    changed: Arc<Notify>,
    stop: Arc<Notify>,
    pub(crate) address: SocketAddr,
}

impl ApiServer {
    pub(crate) async fn start() -> Self {
        Self::start_on("127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn start_on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let this = Self {
            shared: Arc::default(),
            changed: Arc::default(),
            stop: Arc::default(),
            address: listener.local_addr().unwrap(),
        };
        this.shared.lock().unwrap().version = 1000;
        this.serve(listener);
        this
    }

    /// An address that nobody listens on yet.
    pub(crate) async fn free_address() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    }

    fn serve(&self, listener: TcpListener) {
        let router = Router::new()
            .route("/api/v1/{resource}", get(collection))
            .route("/apis/networking.k8s.io/{version}/servicecidrs", get(service_cidrs))
            .route("/apis/authentication.k8s.io/v1/tokenreviews", post(review))
            .with_state(self.clone());
        let stop = Arc::clone(&self.stop);
        tokio::spawn(async move {
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
                    () = stop.notified() => return,
                }
            }
        });
    }

    /// Cuts every connection and stops listening.
    pub(crate) fn stop(&self) {
        self.stop.notify_one();
    }

    /// Listens again on the same address.
    pub(crate) async fn restart(&self) {
        let listener = loop {
            if let Ok(listener) = TcpListener::bind(self.address).await {
                break listener;
            }
            tokio::task::yield_now().await;
        };
        self.serve(listener);
    }

    pub(crate) fn put(&self, object: Value) {
        self.change(object, false);
    }

    pub(crate) fn delete(&self, object: Value) {
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

    /// Changes the objects of a resource without telling any watch.
    pub(crate) fn forget_silently(&self, object: &Value) {
        let resource = resource_of(object);
        let key = format!("{}/{}", object["metadata"]["namespace"], object["metadata"]["name"]);
        self.shared.lock().unwrap().stocks.entry(resource).or_default().objects.remove(&key);
    }

    /// Tells every watch of `resource` that its version is gone, and forgets all history.
    pub(crate) fn expire(&self, resource: &str) {
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
    pub(crate) fn serve_service_cidrs(&self, version: &'static str) {
        self.shared.lock().unwrap().service_cidrs = version;
    }

    pub(crate) fn faults(&self, resource: &str, change: impl FnOnce(&mut Faults)) {
        change(&mut self.shared.lock().unwrap().stocks.entry(resource.into()).or_default().faults);
    }

    pub(crate) fn asked(&self, resource: &str) -> Asked {
        self.shared.lock().unwrap().stocks.get(resource).map(|stock| stock.asked).unwrap_or_default()
    }

    /// Accepts `token`, with the status of a `TokenReview` as the answer.
    pub(crate) fn accept_token(&self, token: &str, status: Value) {
        self.shared.lock().unwrap().reviews.push((token.into(), status));
    }

    pub(crate) fn revoke_token(&self, token: &str) {
        self.shared.lock().unwrap().reviews.retain(|(known, _)| known != token);
    }

    pub(crate) fn asked_reviews(&self) -> usize {
        self.shared.lock().unwrap().asked_reviews
    }

    /// A kubeconfig for this server.
    pub(crate) fn kubeconfig(&self) -> tempfile::NamedTempFile {
        kubeconfig(self.address)
    }
}

/// A kubeconfig for the server that listens on `address`.
pub(crate) fn kubeconfig(address: SocketAddr) -> tempfile::NamedTempFile {
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

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Parameters {
    watch: bool,
    limit: Option<usize>,
    r#continue: Option<String>,
    resource_version: Option<String>,
    field_selector: Option<String>,
    send_initial_events: bool,
    timeout_seconds: Option<u64>,
    allow_watch_bookmarks: bool,
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message})
}

fn refuse(code: u16, reason: &str, message: &str) -> Response {
    (StatusCode::from_u16(code).unwrap(), axum::Json(status(code, reason, message))).into_response()
}

fn selected(object: &Value, parameters: &Parameters) -> bool {
    let finished = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    match parameters.field_selector.as_deref() {
        None => true,
        Some("status.phase!=Succeeded,status.phase!=Failed") => !finished,
        Some(other) => panic!("unknown field selector {other}"),
    }
}

async fn service_cidrs(
    State(server): State<ApiServer>,
    Path(version): Path<String>,
    parameters: Query<Parameters>,
) -> Response {
    {
        let mut shared = server.shared.lock().unwrap();
        // A real server asks first whether somebody may, and then whether there is such a thing.
        let is_there = shared.service_cidrs == version;
        let stock = shared.stocks.entry("servicecidrs".into()).or_default();
        if stock.faults.forbid.is_empty() && !is_there {
            stock.asked.absent += 1;
            return (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
        }
    }
    collection(State(server), Path("servicecidrs".into()), parameters).await
}

async fn collection(
    State(server): State<ApiServer>,
    Path(resource): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Response {
    let verb = if parameters.watch { "watch" } else { "list" };
    let silent = {
        let mut shared = server.shared.lock().unwrap();
        let stock = shared.stocks.entry(resource.clone()).or_default();
        if stock.faults.forbid.contains(&verb) {
            return refuse(403, "Forbidden", &format!("{resource} is forbidden: User \"test\" cannot {verb} resource"));
        }
        if let Some((code, left)) = &mut stock.faults.fail
            && *left > 0
        {
            *left -= 1;
            return refuse(*code, "Fault", "told to fail");
        }
        stock.asked.streamed += usize::from(parameters.send_initial_events);
        parameters.send_initial_events && stock.faults.streaming == Streaming::Silent
    };
    if silent {
        std::future::pending::<()>().await;
    }
    if parameters.watch { watch(&server, &resource, parameters) } else { list(&server, &resource, &parameters) }
}

fn list(server: &ApiServer, resource: &str, parameters: &Parameters) -> Response {
    let mut shared = server.shared.lock().unwrap();
    let version = shared.version;
    let stock = shared.stocks.entry(resource.into()).or_default();
    // Version 0 makes a real server ignore the limit.
    assert_ne!(parameters.resource_version.as_deref(), Some("0"), "asked for one giant body");
    let limit = parameters.limit.expect("a list without a limit is one giant body");
    let after = parameters.r#continue.clone().unwrap_or_default();
    let mut items: Vec<(&String, &Value)> =
        stock.objects.iter().filter(|(key, object)| **key > after && selected(object, parameters)).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(|(key, _)| (*key).clone()) } else { None };
    let items: Vec<Value> = items.into_iter().map(|(_, object)| object.clone()).collect();
    stock.asked.lists += 1;
    stock.asked.largest_page = stock.asked.largest_page.max(items.len());
    let body = json!({
        "kind": "List",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": version.to_string(), "continue": next},
        "items": items,
    })
    .to_string();
    let (cut, stall) = (stock.faults.cut_lists > 0, stock.faults.stall_lists);
    stock.faults.cut_lists = stock.faults.cut_lists.saturating_sub(1);
    drop(shared);
    if cut || stall {
        let half = Bytes::from(body[..body.len() / 2].to_owned());
        let begin = futures::stream::iter([Ok::<_, std::io::Error>(half)]);
        let end: futures::stream::BoxStream<'static, _> = if cut {
            Box::pin(futures::stream::iter([Err(std::io::Error::other("cut"))]))
        } else {
            Box::pin(futures::stream::pending())
        };
        return Body::from_stream(futures::StreamExt::chain(begin, end)).into_response();
    }
    ([("content-type", "application/json")], body).into_response()
}

fn watch(server: &ApiServer, resource: &str, parameters: Parameters) -> Response {
    let mut shared = server.shared.lock().unwrap();
    let version = shared.version;
    let stock = shared.stocks.entry(resource.into()).or_default();
    stock.asked.watches += 1;
    let mut first = Vec::new();
    let from: u64 = parameters.resource_version.as_deref().unwrap_or_default().parse().unwrap_or_default();
    let streaming = if parameters.send_initial_events { stock.faults.streaming } else { Streaming::Works };
    if parameters.send_initial_events {
        for object in stock.objects.values().filter(|object| selected(object, &parameters)) {
            first.push(json!({"type": "ADDED", "object": object}));
        }
        match streaming {
            Streaming::Refused => {
                let message = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
                return refuse(422, "Invalid", message);
            }
            Streaming::Unsupported => {
                let message = "required storage feature RequestWatchProgress is disabled";
                return refuse(500, "InternalError", message);
            }
            Streaming::Fails => first.push(json!({"type": "ERROR", "object": status(500, "InternalError", "no")})),
            Streaming::Works | Streaming::Cut => first.push(bookmark(resource, version, true)),
            Streaming::Silent | Streaming::Short | Streaming::Endless => {}
        }
    } else if from < stock.oldest {
        return refuse(410, "Expired", "too old resource version");
    }
    let from = if parameters.send_initial_events { version } else { from };
    drop(shared);
    let ends = Duration::from_secs(parameters.timeout_seconds.unwrap_or(3600));
    let state = Watching {
        server: server.clone(),
        resource: resource.into(),
        from,
        first: first.into_iter(),
        ends: tokio::time::Instant::now() + ends,
        cut: false,
        streaming,
        parameters,
    };
    let lines = futures::stream::unfold(state, |mut state| async move {
        if state.cut {
            return Some((Err(std::io::Error::other("cut")), state));
        }
        let mut line = state.next().await?.to_string() + "\n";
        if state.take_cut() {
            line.truncate(line.len() / 2);
        }
        Some((Ok(Bytes::from(line)), state))
    });
    ([("content-type", "application/json")], Body::from_stream(lines)).into_response()
}

fn bookmark(resource: &str, version: u64, end: bool) -> Value {
    let kind = match resource {
        "pods" => "Pod",
        "services" => "Service",
        "servicecidrs" => "ServiceCIDR",
        _ => "Node",
    };
    let mut metadata = json!({"resourceVersion": version.to_string(), "creationTimestamp": null});
    if end {
        metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    json!({"type": "BOOKMARK", "object": {"kind": kind, "apiVersion": "v1", "metadata": metadata}})
}

struct Watching {
    server: ApiServer,
    resource: String,
    from: u64,
    first: std::vec::IntoIter<Value>,
    ends: tokio::time::Instant,
    // Half an event has been sent; nothing comes after it.
    cut: bool,
    streaming: Streaming,
    parameters: Parameters,
}

impl Watching {
    async fn next(&mut self) -> Option<Value> {
        if let Some(event) = self.first.next() {
            return Some(event);
        }
        if self.streaming == Streaming::Short {
            return None;
        }
        loop {
            let server = self.server.clone();
            let changed = server.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.hangs() {
                std::future::pending::<()>().await;
            }
            if let Some(event) = self.step() {
                return Some(event);
            }
            let pause = Duration::from_millis(500);
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(self.ends) => return None,
                () = tokio::time::sleep(pause), if self.parameters.allow_watch_bookmarks => {
                    if !self.hangs() {
                        let version = self.server.shared.lock().unwrap().version;
                        // A change that came at the same moment must not be skipped by the bookmark.
                        if let Some(event) = self.step() {
                            return Some(event);
                        }
                        self.from = self.from.max(version);
                        return Some(bookmark(&self.resource, self.from, false));
                    }
                }
            }
        }
    }

    fn take_cut(&mut self) -> bool {
        let mut shared = self.server.shared.lock().unwrap();
        let left = &mut shared.stocks.entry(self.resource.clone()).or_default().faults.cut_watches;
        self.cut = *left > 0 || self.streaming == Streaming::Cut;
        *left = left.saturating_sub(1);
        self.cut
    }

    fn hangs(&self) -> bool {
        self.server.shared.lock().unwrap().stocks.get(&self.resource).is_some_and(|stock| stock.faults.hang)
    }

    fn step(&mut self) -> Option<Value> {
        let shared = self.server.shared.lock().unwrap();
        let stock = shared.stocks.get(&self.resource)?;
        if self.from < stock.oldest {
            self.from = u64::MAX;
            return Some(json!({"type": "ERROR", "object": status(410, "Expired", "too old resource version")}));
        }
        let change = stock.changes.iter().find(|change| change.version > self.from)?;
        self.from = change.version;
        // A real server tells of an object that no longer matches as if it were deleted.
        let r#type = if selected(&change.object, &self.parameters) { change.r#type } else { "DELETED" };
        Some(json!({"type": r#type, "object": change.object}))
    }
}

async fn review(State(server): State<ApiServer>, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let token = request["spec"]["token"].as_str().unwrap_or_default().to_owned();
    let mut shared = server.shared.lock().unwrap();
    shared.asked_reviews += 1;
    let accepted = shared.reviews.iter().find(|(known, _)| *known == token).map(|(_, status)| status.clone());
    let status = accepted.unwrap_or_else(|| json!({"authenticated": false, "error": "invalid bearer token"}));
    let mut answer = request;
    answer["status"] = status;
    (StatusCode::CREATED, axum::Json(answer)).into_response()
}
