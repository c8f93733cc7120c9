//! `GET /cache`: the map of the original Khan's registry, so that its agents keep working while they are replaced.
//!
//! `{"IP": {"type", "namespace", "name", "app", "nodeIP"}}` (att-cloudnative-labs/khan, `pkg/hosts/types.go`), every field a
//! string. The original's agents look addresses up by their text.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use khan_api::Kind;
use khan_serve::exchange::Exchange;
use khan_serve::gate::Pass;
use serde::Serialize;

use super::{Api, JSON, Refusal};

const OBJECTS_A_CHUNK: usize = 128;

#[derive(Serialize)]
struct Host<'a> {
    r#type: Kind,
    namespace: &'a str,
    name: &'a str,
    app: &'a str,
    #[serde(rename = "nodeIP")]
    node_ip: &'a str,
}

/// A map in the making: it walks the index by place, so that it holds no list of addresses.
struct Map {
    api: Api,
    nodes: HashMap<Arc<str>, IpAddr>,
    next: usize,
    opened: bool,
    _pass: Pass,
}

pub(super) async fn cache(State(api): State<Api>, exchange: Exchange) -> Response {
    if let Err(refusal) = api.check_ready() {
        return refusal.into_response();
    }
    let pass = match api.gate.enter(&exchange).await {
        Ok(pass) => pass,
        Err(shed) => return Refusal::from(shed).into_response(),
    };
    let nodes: HashMap<Arc<str>, IpAddr> = api.index.read().node_addresses().collect();
    if let Err(shed) = pass.hold(super::answer::size(nodes.capacity() * size_of::<(Arc<str>, IpAddr)>())) {
        return Refusal::from(shed).into_response();
    }
    let mut map = Map { api, nodes, next: 0, opened: false, _pass: pass };
    let chunks = std::iter::from_fn(move || map.chunk());
    let end = std::iter::once_with(|| Bytes::from_static(b"}\n"));
    let all = std::iter::once(Bytes::from_static(b"{")).chain(chunks).chain(end);
    ([JSON], Body::from_stream(futures::stream::iter(all.map(Ok::<_, Infallible>)))).into_response()
}

impl Map {
    fn chunk(&mut self) -> Option<Bytes> {
        let api = self.api.clone();
        let index = api.index.read();
        let mut chunk = Vec::with_capacity(OBJECTS_A_CHUNK * 160);
        // Of many objects in a row none may own an address, and an empty chunk would end nothing.
        while chunk.is_empty() {
            let owned = index.owned_between(self.next, self.next + OBJECTS_A_CHUNK)?;
            self.next += OBJECTS_A_CHUNK;
            for (ip, owner) in owned {
                let comma = if std::mem::replace(&mut self.opened, true) { "," } else { "" };
                let _ = write!(chunk, "{comma}\"{ip}\":");
                let node_ip = self.nodes.get(owner.node).map(ToString::to_string);
                let host = Host {
                    r#type: owner.kind,
                    namespace: owner.ns,
                    name: owner.name,
                    app: owner.app,
                    node_ip: node_ip.as_deref().unwrap_or_default(),
                };
                serde_json::to_writer(&mut chunk, &host).expect("a host is JSON");
            }
        }
        Some(chunk.into())
    }
}
