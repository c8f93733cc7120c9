//! `/livez` and `/readyz`, as Kubernetes probes ask for them.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::readiness::Readiness;

/// Path of the liveness probe.
pub const LIVEZ: &str = "/livez";
/// Path of the readiness probe.
pub const READYZ: &str = "/readyz";

/// Whether a request for `path` is a probe, which is answered before all others and asks for no password.
pub(crate) fn is_probe(path: &str) -> bool {
    matches!(path, LIVEZ | READYZ)
}

/// Says why the process no longer does its work; `Ok` while it does.
pub type Liveness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// `GET /livez`: 200 `alive`, or 503 with the reason. `GET /readyz`: 200 `ready`, or 503 with what is pending, one a line;
/// what the program does without is listed either way.
pub fn routes(liveness: Liveness, readiness: Readiness) -> Router {
    let live = move || {
        let state = liveness();
        async move {
            match state {
                Ok(()) => (StatusCode::OK, "alive\n".to_owned()),
                Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
            }
            .into_response()
        }
    };
    let ready = move || {
        let (pending, missing) = (readiness.pending(), readiness.missing());
        async move {
            if pending.is_empty() {
                let without: String =
                    missing.iter().fold("ready\n".into(), |text, part| text + "without " + part + "\n");
                return (StatusCode::OK, without).into_response();
            }
            let lines = format!("waiting for {}\n", pending.join("\nwaiting for "));
            (StatusCode::SERVICE_UNAVAILABLE, lines).into_response()
        }
    };
    Router::new().route(LIVEZ, get(live)).route(READYZ, get(ready))
}
