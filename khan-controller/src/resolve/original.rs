//! `GET /cache`: the map of the original Khan's registry, so that its agents keep working while they are replaced.
//!
//! `{"IP": {"type", "namespace", "name", "app", "nodeIP"}}` (att-cloudnative-labs/khan, `pkg/hosts/types.go`), every field a
//! string. The original's agents look addresses up by their text.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Write;
use std::net::IpAddr;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use khan_api::Kind;
use serde::Serialize;

use super::{Api, JSON};
use crate::index::IdentityView;

const ADDRESSES_A_CHUNK: usize = 512;

#[derive(Serialize)]
struct Host<'a> {
    r#type: Kind,
    namespace: &'a str,
    name: &'a str,
    app: &'a str,
    #[serde(rename = "nodeIP")]
    node_ip: &'a str,
}

pub(super) async fn cache(State(api): State<Api>) -> Response {
    if let Err(refusal) = api.check_ready() {
        return refusal.into_response();
    }
    let (addresses, nodes) = {
        let index = api.directory.read();
        let addresses: Vec<IpAddr> = index.owned().map(|(ip, _)| ip).collect();
        let nodes: HashMap<String, String> =
            index.node_addresses().map(|(name, ip)| (name.to_owned(), ip.to_string())).collect();
        (addresses, nodes)
    };
    let mut opened = false;
    let mut rest = addresses.into_iter();
    let chunks = std::iter::from_fn(move || {
        let some: Vec<IpAddr> = rest.by_ref().take(ADDRESSES_A_CHUNK).collect();
        (!some.is_empty()).then(|| chunk(&api, &some, &nodes, &mut opened))
    });
    let end = std::iter::once_with(|| Bytes::from_static(b"}\n"));
    let all = std::iter::once(Bytes::from_static(b"{")).chain(chunks).chain(end);
    ([JSON], Body::from_stream(futures::stream::iter(all.map(Ok::<_, Infallible>)))).into_response()
}

fn chunk(api: &Api, addresses: &[IpAddr], nodes: &HashMap<String, String>, opened: &mut bool) -> Bytes {
    let mut chunk = Vec::with_capacity(addresses.len() * 160);
    let index = api.directory.read();
    for ip in addresses {
        // One that lost its owner since the list was made is left out.
        let Some(identity) = index.identity(*ip).filter(IdentityView::is_owned) else { continue };
        let comma = if std::mem::replace(opened, true) { "," } else { "" };
        let _ = write!(chunk, "{comma}\"{ip}\":");
        let host = Host {
            r#type: identity.kind,
            namespace: identity.ns,
            name: identity.name,
            app: identity.app,
            node_ip: nodes.get(identity.node).map_or("", String::as_str),
        };
        serde_json::to_writer(&mut chunk, &host).expect("a host is JSON");
    }
    chunk.into()
}
