//! A watch: changes of one resource as lines of JSON, for as long as it was asked to last.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::parameters::{Parameters, refuse, selected, status};
use super::{ApiServer, Streaming};

pub(super) fn watch(server: &ApiServer, resource: &str, parameters: Parameters) -> Response {
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
        "endpointslices" => "EndpointSlice",
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
