//! `GET /v1/identities/{ip}`: everything that is known of one address, for people.

use std::net::IpAddr;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use khan_api::{Identity, Kind, OwnerRef};
use serde::Serialize;

use super::{Api, JSON, Refusal};
use crate::index::IdentityRef;

/// An [`Identity`] and what only people ask for.
#[derive(Serialize)]
struct Story<'a> {
    ip: IpAddr,
    #[serde(flatten)]
    identity: IdentityRef<'a>,
    /// Everything that claims the address, the owner first; more than one is worth a look.
    claimants: Vec<OwnerRef<'a>>,
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
    let stranger = || {
        let kind = if index.is_in_ranges(ip) { Kind::Unknown } else { Kind::External };
        Identity { owner: OwnerRef { kind, ..OwnerRef::default() }, ..Identity::default() }
    };
    let mut identity = index.identity(ip).unwrap_or_else(stranger);
    identity.dialled = index.dialled(ip);
    let story = Story { ip, identity, claimants: index.claimants(ip) };
    let body = serde_json::to_vec(&story).expect("an identity is JSON");
    ([JSON], body).into_response()
}
