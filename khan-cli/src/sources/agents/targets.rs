//! Which agents there are, and the ways to them.

use std::sync::Arc;

use super::route::Route;
use crate::feed::Link;

/// One agent to ask.
#[derive(Clone, Debug)]
pub struct Target {
    /// Tells it from every other, also from an earlier agent on the same node: a URL, or a pod's uid.
    pub id: String,
    /// For people: its URL, or `NAMESPACE/POD`.
    pub name: String,
    /// The node it should speak for; of its address while that is not known.
    pub node: String,
    /// The way there.
    pub route: Arc<Route>,
}

/// The agents known now.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    /// Whether the list is complete, or will not become so.
    pub settled: bool,
    /// The agents.
    pub list: Vec<Target>,
    /// The state of the connection to the API server that lists agents; `None` if agents are given by URL.
    pub link: Option<Link>,
    /// Notes for the user, one sentence each.
    pub notes: Vec<String>,
}

impl Targets {
    /// A list that never changes. Equal ids are taken once.
    pub fn fixed(list: Vec<Target>) -> Self {
        let mut seen = std::collections::HashSet::new();
        let list = list.into_iter().filter(|target| seen.insert(target.id.clone())).collect();
        Self { settled: true, list, ..Self::default() }
    }
}

#[cfg(test)]
impl Target {
    pub(crate) fn fixed(url: &str) -> Self {
        use super::route::{Direct, DirectClient};
        use crate::sources::http_config::HttpConfig;
        let client = DirectClient::new(HttpConfig::default()).unwrap();
        let route = Arc::new(Route::Url(Direct { url: url.parse().unwrap(), client }));
        Self { id: url.into(), name: url.into(), node: url.into(), route }
    }
}
