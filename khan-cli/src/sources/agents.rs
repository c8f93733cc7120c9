//! Agents are asked for their snapshots, each over the way that leads to it; their answers are merged as they come.
//!
//! ```text
//! --agent URL ┐
//!             ├─▶ Targets of Targets ─▶ poll: asks, judges (agent_state), merges ─▶ feed
//! discovery ──┘          └ route: how requests get there
//! ```

pub(crate) mod url;
pub mod route;
pub mod fetch;
pub mod targets;
pub mod discovery;
mod agent_state;
pub(crate) mod details;
pub mod poll;

use std::sync::Arc;

use self::route::{Direct, DirectClient, Route};
use self::targets::{Target, Targets};
use self::url::AgentUrl;
use crate::sources::http_config::{HttpConfig, HttpConfigError};

/// The agents at these URLs, asked with these settings.
pub fn fixed(urls: &[AgentUrl], config: HttpConfig) -> Result<Targets, HttpConfigError> {
    urls.iter().try_for_each(|url| config.check_url(url.url()))?;
    let client = DirectClient::new(config)?;
    let target = |url: &AgentUrl| {
        let route = Arc::new(Route::Url(Direct { url: url.clone(), client: client.clone() }));
        Target { id: url.to_string(), name: url.to_string(), node: url.authority(), route }
    };
    Ok(Targets::fixed(urls.iter().map(target).collect()))
}
