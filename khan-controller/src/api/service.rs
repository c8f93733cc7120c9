//! `GET /v1/services/{ns}/{name}`: the endpoints of one service.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use khan_serve::exchange::Exchange;

use super::{Api, JSON, Refusal, answer};

pub(super) async fn service(
    State(api): State<Api>,
    Path((ns, name)): Path<(String, String)>,
    exchange: Exchange,
) -> Response {
    if let Err(refusal) = api.check_ready() {
        return refusal.into_response();
    }
    let pass = match api.gate.enter(&exchange).await {
        Ok(pass) => pass,
        Err(shed) => return Refusal::from(shed).into_response(),
    };
    let (known, service) = {
        let index = api.index.read();
        (index.endpoints_known().is_some(), index.service(&ns, &name))
    };
    let Some(service) = service.filter(|_| known) else {
        let (status, reason) = if known {
            (StatusCode::NOT_FOUND, format!("no EndpointSlice of a service {name:?} in namespace {ns:?}"))
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "EndpointSlices are not known: see /readyz".to_owned())
        };
        return Refusal::new(status, reason).into_response();
    };
    let body = Bytes::from(serde_json::to_vec(&service).expect("a service is JSON"));
    drop(service);
    if let Err(shed) = pass.hold(answer::size(body.len())) {
        return Refusal::from(shed).into_response();
    }
    // What is held of it is given back when it is sent.
    let held = futures::stream::once(async move {
        let _pass = pass;
        Ok::<_, Infallible>(body)
    });
    ([JSON], Body::from_stream(held)).into_response()
}
