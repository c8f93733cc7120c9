//! Flags to the khan-controller that belongs to a source.

use std::sync::Arc;

use crate::args::Cli;
use crate::connect;
use crate::feed::Feed;
use crate::model::{Query, SourceKind};
use crate::sources::agents::route::DirectClient;
use crate::sources::controller::{Controller, SERVICE};
use crate::sources::endpoints;
use crate::sources::exchange::Bounds;
use crate::sources::http_config::HttpConfig;

/// `--controller`, else the one in the cluster when agents were found through the API server; else why there is none.
pub(crate) async fn of(cli: &Cli, source: SourceKind, mut http: HttpConfig) -> Result<Controller, String> {
    let bounds = Bounds { deadline: cli.source.agent_timeout, ..Bounds::default() };
    if let Some(url) = &cli.source.controller {
        let client = DirectClient::new(http).map_err(|error| error.to_string())?;
        return Controller::at(url, client, bounds).map_err(|error| format!("--controller {error}"));
    }
    if source != SourceKind::Agents || !cli.source.agent.is_empty() {
        return Err("khan-controller is not known: give --controller URL".to_owned());
    }
    // Its certificate bears the name of its service, and a port-forward has none.
    http.tls_config.server_name.get_or_insert_with(|| SERVICE.to_owned());
    let client = DirectClient::new(http).map_err(|error| error.to_string())?;
    let cluster = connect::cluster(&cli.kube).await.map_err(|failure| failure.to_string())?;
    Ok(Controller::of(Arc::new(cluster), cli.source.khan_namespace.clone(), client, bounds))
}

/// The same feed, whose views say who answers for the services that `query` finds dialled, where agents are its source.
pub(super) async fn with_endpoints(cli: &Cli, feed: Feed, query: &Query) -> Feed {
    let source = feed.views.borrow().source.kind;
    if source != SourceKind::Agents {
        return feed;
    }
    let controller = match connect::credentials::controller(cli) {
        Ok(http) => of(cli, source, http).await,
        Err(failure) => Err(failure.to_string()),
    };
    endpoints::listed(feed, controller, query.clone())
}
