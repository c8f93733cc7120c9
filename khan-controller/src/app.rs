//! Wires everything: the only module that knows all the others.

use std::convert::Infallible;
use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use axum::routing::get;
use khan_api::{Timestamp, routes};
use khan_serve::exit::Failure;
use khan_serve::limits::Limits;
use khan_serve::readiness::Readiness;
use khan_serve::server::{Bound, Server};
use khan_serve::shutdown::Shutdown;
use khan_serve::web_config::WebConfig;
use khan_serve::{accept, health, listen};
use tracing::info;

use crate::api;
use crate::arguments::Arguments;
use crate::auth::Authenticator;
use crate::from_file::{ReloadedFile, cluster, external_names};
use crate::index::{Index, Settings};
use crate::kubernetes::Resource;
use crate::metrics::Metrics;
use crate::shared_index::SharedIndex;
use crate::watch::{self, LastResponse, WatchSettings};

/// How often previous owners are looked through for those whose time is over.
const EXPIRY_PERIOD: Duration = Duration::from_mins(1);

/// Threads of the runtime: one reads what the API server sends while the other answers agents.
pub const THREADS: usize = 2;

/// Starts the whole program; it stops when `shutdown` is requested. Configuration that cannot work is refused here.
pub async fn start(arguments: &Arguments, watching: WatchSettings, shutdown: Shutdown) -> Result<Bound, Failure> {
    let web = arguments.web_config.as_deref().map(WebConfig::open).transpose().map_err(Failure::configuration)?;
    let settings = Settings { app_labels: app_labels(arguments)?, ..Settings::default() };
    let index = Arc::new(SharedIndex::new(Index::new(settings, epoch())));
    let metrics = Arc::new(Metrics::new());
    let readiness = Readiness::new();

    if let Some(path) = &arguments.external_names {
        reload("--external-names", path, &index, &metrics, external_names::load)?;
    }
    if let Some(reason) = audience_conflict(arguments, web.as_ref()) {
        return Err(Failure::configuration(reason));
    }
    let (mut last_response, mut authenticator) = (None, None);
    if let Some(path) = &arguments.from_file {
        reload("--from-file", path, &index, &metrics, cluster::load)?;
    } else {
        let connection = watch::connect(arguments.kubeconfig.as_deref()).await.map_err(Failure::configuration)?;
        info!(url = connection.url, "Watching a cluster");
        watch::start(&connection, &index, &metrics, watching, &readiness);
        authenticator = arguments.require_token_audience.clone().map(|audience| {
            Authenticator::new(connection.client, audience, arguments.token_review_ttl, Arc::clone(&metrics))
        });
        last_response = Some(connection.last_response);
    }
    tokio::spawn(expire(Arc::clone(&index)));

    let api = api::routes(Arc::clone(&index), Arc::clone(&metrics), readiness.clone());
    let router = match authenticator {
        Some(authenticator) => authenticator.guard(api),
        None => api,
    };
    let router = router
        .route(
            routes::METRICS,
            get(async move |request: HeaderMap| page(&request, Arc::clone(&index), &metrics, last_response.as_deref())),
        )
        .merge(health::routes(Arc::new(|| Ok(())), readiness));
    let listener = listen::bind("--listen", arguments.listen).await.map_err(Failure::other)?;
    // Every agent keeps a connection, and there are up to 5,000.
    let limits = Limits { connections: 10_000, threads: THREADS, ..Limits::default() };
    Server::new(router).limits(limits).web_config(web).start(listener, shutdown).map_err(Failure::other)
}

/// A number that no two starts share, replicas that start together included: the time, and 20 random bits.
fn epoch() -> u64 {
    let millis = u64::try_from(Timestamp::now().millis()).unwrap_or_default();
    millis << 20 | RandomState::new().hash_one(std::process::id()) >> 44
}

fn app_labels(arguments: &Arguments) -> Result<Vec<String>, Failure> {
    let labels: Vec<String> = arguments.app_labels.iter().map(|label| label.trim().to_owned()).collect();
    if labels.iter().any(String::is_empty) {
        return Err(Failure::configuration("--app-labels holds an empty label"));
    }
    Ok(labels)
}

fn audience_conflict(arguments: &Arguments, web: Option<&WebConfig>) -> Option<&'static str> {
    arguments.require_token_audience.as_ref()?;
    if arguments.from_file.is_some() {
        return Some("--require-token-audience needs a cluster to ask, not --from-file");
    }
    web.filter(|web| web.with_users()).map(|_| {
        "--require-token-audience and basic_auth_users (--web-config) exclude each other: a request has one \
         Authorization header"
    })
}

/// Loads a file into the index, now and whenever it changes.
fn reload<E: Error + Send + Sync + 'static>(
    flag: &'static str,
    path: &Path,
    index: &Arc<SharedIndex>,
    metrics: &Arc<Metrics>,
    load: fn(&[u8], &SharedIndex, &Metrics) -> Result<(), E>,
) -> Result<(), Failure> {
    let (index, counted) = (Arc::clone(index), Arc::clone(metrics));
    let file = ReloadedFile::open(flag, path, Arc::clone(metrics), move |bytes| load(bytes, &index, &counted));
    tokio::spawn(file.map_err(Failure::configuration)?.follow());
    Ok(())
}

async fn expire(index: Arc<SharedIndex>) {
    loop {
        tokio::time::sleep(EXPIRY_PERIOD).await;
        index.write().expire(Timestamp::now());
    }
}

fn page(
    request: &HeaderMap,
    index: Arc<SharedIndex>,
    metrics: &Metrics,
    last_response: Option<&LastResponse>,
) -> impl IntoResponse + use<> {
    if let Some(last_response) = last_response {
        for resource in Resource::ALL {
            if let Some(age) = last_response.age(resource) {
                metrics.watch_age(resource, age);
            }
        }
    }
    let exposition = accept::exposition(request);
    let mut page = Vec::new();
    exposition.append(&mut page, &metrics.page(&index.read()));
    exposition.append(&mut page, &Metrics::external_limits(&index.read()));
    // There may be tens of thousands of services, so the rest is made while it is being read.
    let parts = parts(Arc::clone(&index), Metrics::limits).chain(parts(index, Metrics::endpoints));
    let parts = parts.map(move |lines| {
        let mut chunk = Vec::with_capacity(lines.len());
        exposition.append(&mut chunk, &lines);
        chunk
    });
    let end = std::iter::once_with(move || {
        let mut end = Vec::new();
        exposition.end(&mut end);
        end
    });
    let chunks = std::iter::once(page).chain(parts).chain(end).filter(|chunk| !chunk.is_empty());
    let body = Body::from_stream(futures::stream::iter(chunks.map(Ok::<_, Infallible>)));
    ([(header::CONTENT_TYPE, exposition.content_type()), (header::VARY, "Accept")], body)
}

/// Some lines of the page, and after what the next ones come.
type Next<K> = fn(&Index, Option<&K>) -> Option<(Vec<u8>, K)>;

/// Lines of the page, some more with each step; `next` tells those after the last of the step before.
fn parts<K>(index: Arc<SharedIndex>, next: Next<K>) -> impl Iterator<Item = Vec<u8>> {
    let mut last = None;
    std::iter::from_fn(move || {
        let (lines, reached) = next(&index.read(), last.as_ref())?;
        last = Some(reached);
        Some(lines)
    })
}
