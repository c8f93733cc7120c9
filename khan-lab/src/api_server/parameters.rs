//! The parameters of a request for a collection: which objects it selects, and how it is refused.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Parameters {
    pub(super) watch: bool,
    pub(super) limit: Option<usize>,
    pub(super) r#continue: Option<String>,
    pub(super) resource_version: Option<String>,
    pub(super) field_selector: Option<String>,
    pub(super) send_initial_events: bool,
    pub(super) timeout_seconds: Option<u64>,
    pub(super) allow_watch_bookmarks: bool,
}

pub(super) fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message})
}

pub(super) fn refuse(code: u16, reason: &str, message: &str) -> Response {
    (StatusCode::from_u16(code).unwrap(), axum::Json(status(code, reason, message))).into_response()
}

pub(super) fn selected(object: &Value, parameters: &Parameters) -> bool {
    let finished = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    match parameters.field_selector.as_deref() {
        None => true,
        Some("status.phase!=Succeeded,status.phase!=Failed") => !finished,
        Some(other) => panic!("unknown field selector {other}"),
    }
}
