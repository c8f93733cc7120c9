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
use crate::flows::Choice;
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
    /// Which tables single connections are read from.
    pub(crate) tables: Choice,
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
