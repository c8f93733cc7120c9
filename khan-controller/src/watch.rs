//! The API server's lists and watches in, changes of the index out: one task a resource, on kube's `watcher`.
//!
//! Events go straight into the index; no object is kept. A list is streamed where the server can do that (WatchList), else
//! read page by page, whatever the server answers to the attempt; it is never asked for whole (`resourceVersion=0` would
//! make the server ignore the page size).

mod last_response;
mod connect;
mod reason;
mod listing;
mod watched_object;
mod trouble;
mod follow;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use connect::{Connection, connect};
pub(crate) use last_response::LastResponse;

use khan_serve::readiness::Readiness;

use crate::kubernetes::Resource;
use crate::metrics::Metrics;
use crate::shared_index::SharedIndex;

/// Sizes and deadlines of watches.
#[derive(Clone, Copy, Debug)]
pub struct WatchSettings {
    /// Objects in a page of a list. A page is held twice while it is read: 250 pods of 20 KB are 10 MB.
    pub page: u32,
    /// How long the server may keep one watch open. A watch that says nothing for five seconds longer is dead.
    pub watch: Duration,
    /// Longest silence while a list is read.
    pub silence: Duration,
    /// A streamed list that has not come to its end by then never will: the server takes it for an ordinary watch.
    pub streaming: Duration,
    /// How long to leave alone a resource that the server does not have and need not have.
    pub absent: Duration,
    /// First and longest pause after a failure; it doubles in between.
    pub pause: (Duration, Duration),
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self {
            page: 250,
            watch: Duration::from_mins(2),
            silence: Duration::from_secs(30),
            streaming: Duration::from_mins(5),
            absent: Duration::from_mins(10),
            pause: (Duration::from_millis(500), Duration::from_secs(30)),
        }
    }
}

/// Starts watching every resource. `readiness` waits for the first complete list of each.
pub(crate) fn start(
    connection: &Connection,
    index: &Arc<SharedIndex>,
    metrics: &Arc<Metrics>,
    settings: WatchSettings,
    readiness: &Readiness,
) {
    for resource in Resource::ALL {
        metrics.synced(resource, false);
        let (index, metrics) = (Arc::clone(index), Arc::clone(metrics));
        let follower = follow::Follower::new(resource, connection, index, metrics, settings, readiness.clone());
        tokio::spawn(follower.run());
    }
}
