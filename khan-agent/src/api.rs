//! In: HTTP requests. Out: the page, the snapshot, single connections, health.

mod body;
pub mod connections;
mod page;
mod snapshot;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get;
use khan_api::routes;
use khan_serve::health;
use khan_serve::readiness::Readiness;

use crate::budget::Budget;
use crate::identities::Identities;
use crate::latest::Latest;
use crate::schedule::Handle;
use crate::self_metrics::SelfMetrics;
use crate::snapshot::Origin;

/// What requests are answered from.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    /// The latest snapshot.
    pub(crate) latest: Arc<Latest>,
    /// The agent's metrics about itself.
    pub(crate) metrics: Arc<SelfMetrics>,
    /// The scan thread.
    pub(crate) scans: Arc<Handle>,
    /// The node and process that answers come from.
    pub(crate) origin: Origin,
    /// What reading the table may cost.
    pub(crate) budget: Arc<Budget>,
    /// Who addresses are.
    pub(crate) identities: Arc<Mutex<Identities>>,
}

/// All routes of the agent.
pub(crate) fn router(api: Api, readiness: Readiness) -> std::io::Result<Router> {
    let scans = Arc::clone(&api.scans);
    let liveness = Arc::new(move || scans.alive());
    let connections = connections::Sampler::new(&api)?;
    Ok(Router::new()
        .route(routes::METRICS, get(page::answer))
        .route(routes::KHAN, get(page::answer))
        .route(routes::SNAPSHOT, get(snapshot::answer))
        .with_state(Arc::new(api))
        .route(routes::CONNECTIONS, get(connections::answer).with_state(Arc::new(connections)))
        .merge(health::routes(liveness, readiness)))
}

/// Whether a client takes gzip (RFC 9110 section 12.5.3).
fn takes_gzip(headers: &http::HeaderMap) -> bool {
    let lists = headers.get_all(http::header::ACCEPT_ENCODING).into_iter().filter_map(|list| list.to_str().ok());
    let mut any = None;
    for item in lists.flat_map(|list| list.split(',')) {
        let mut parts = item.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let wanted = parts.all(|part| {
            let quality = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            quality.is_none_or(|q| q.trim().parse::<f32>().is_ok_and(|q| q > 0.0))
        });
        if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            return wanted;
        }
        if coding == "*" {
            any = Some(wanted);
        }
    }
    any.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_encoding_is_understood() {
        let takes = |text: &str| {
            let mut headers = http::HeaderMap::new();
            headers.insert(http::header::ACCEPT_ENCODING, text.parse().unwrap());
            takes_gzip(&headers)
        };
        for yes in ["gzip", "deflate, gzip;q=0.5", "GZIP", "*", "br, *;q=0.1"] {
            assert!(takes(yes), "{yes}");
        }
        for no in ["", "identity", "gzip;q=0", "gzip; q=0.0, *", "deflate", "*;q=0"] {
            assert!(!takes(no), "{no}");
        }
        assert!(!takes_gzip(&http::HeaderMap::new()));
    }
}
