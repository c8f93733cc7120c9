//! `GET /v1/identities/{ip}`: everything that is known of one address, for people.

use std::net::IpAddr;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use khan_api::Kind;
use serde::Serialize;

use super::{Api, JSON, Refusal};
use crate::index::IdentityView;

/// An [`Identity`](khan_api::Identity) and what only people ask for.
#[derive(Serialize)]
struct Story<'a> {
    ip: IpAddr,
    #[serde(flatten)]
    identity: IdentityView<'a>,
    /// Everything that claims the address, the owner first; more than one is worth a look.
    claimants: Vec<Claimant<'a>>,
}

#[derive(Serialize)]
struct Claimant<'a> {
    r#type: Kind,
    ns: &'a str,
    name: &'a str,
    node: &'a str,
}

pub(super) async fn identity(State(api): State<Api>, Path(ip): Path<String>) -> Response {
    let Ok(ip) = ip.parse::<IpAddr>() else {
        let reason = format!("{ip:?} is not an IP address");
        return Refusal::new(StatusCode::BAD_REQUEST, reason).into_response();
    };
    if let Err(refusal) = api.check_ready() {
        return refusal.into_response();
    }
    let index = api.index.read();
    let claimants = index
        .claimants(ip)
        .into_iter()
        .map(|view| Claimant { r#type: view.kind, ns: view.ns, name: view.name, node: view.node })
        .collect();
    let stranger = || if index.is_in_ranges(ip) { IdentityView::NOTHING } else { IdentityView::EXTERNAL };
    let identity = index.identity(ip).unwrap_or_else(stranger);
    let body = serde_json::to_vec(&Story { ip, identity, claimants }).expect("an identity is JSON");
    ([JSON], body).into_response()
}
