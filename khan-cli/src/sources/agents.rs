//! Agents are asked for their snapshots, each over the way that leads to it; their answers are merged as they come.
//!
//! ```text
//! --agent URL ┐
//!             ├─▶ Roster of Targets ─▶ poll: asks, judges (watched), merges ─▶ feed
//! discovery ──┘          └ route: how requests get there
//! ```

pub mod url;
pub mod route;
pub mod fetch;
pub mod roster;
pub mod discovery;
mod watched;
pub(crate) mod details;
pub mod poll;

use std::sync::Arc;

use self::roster::{Roster, Target};
use self::route::{Direct, DirectClient, Route};
use self::url::AgentUrl;
use crate::sources::http_config::{HttpConfig, HttpConfigError};

/// The agents at these URLs, asked with these settings.
pub fn fixed(urls: &[AgentUrl], config: HttpConfig) -> Result<Roster, HttpConfigError> {
    urls.iter().try_for_each(|url| config.check_url(url.url()))?;
    let client = DirectClient::new(config)?;
    let target = |url: &AgentUrl| {
        let route = Arc::new(Route::Url(Direct { url: url.clone(), client: client.clone() }));
        Target { id: url.to_string(), name: url.to_string(), node: url.authority(), route }
    };
    Ok(Roster::fixed(urls.iter().map(target).collect()))
}
