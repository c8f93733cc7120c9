//! Follows one resource for as long as the process lives.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use khan_api::Timestamp;
use khan_serve::backoff::Backoff;
use khan_serve::readiness::{Guard, Readiness};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

use super::WatchSettings;
use super::connect::Connection;
use super::last_response::LastResponse;
use super::listing::{Listing, Streaming};
use super::reason::Failure;
use super::trouble::Trouble;
use super::watched_object::{Version, WatchedObject};
use crate::kubernetes::{Manifest, Object, Resource};
use crate::metrics::Metrics;
use crate::shared_index::SharedIndex;

/// How often to check whether a failure has passed.
const RECOVERY_PERIOD: Duration = Duration::from_millis(500);

/// Why following ended; a new list comes next.
enum End {
    /// The list could not be read.
    Unlisted(Failure),
    /// The server no longer knows the version from which the watch should go on.
    Lost(Failure),
}

/// What one task needs to follow one resource.
pub(super) struct Follower {
    resource: Resource,
    client: Client,
    last_response: Arc<LastResponse>,
    index: Arc<SharedIndex>,
    metrics: Arc<Metrics>,
    settings: WatchSettings,
    readiness: Readiness,
    backoff: Backoff,
    // Until the first list is complete.
    pending: Option<Guard>,
    streaming: Streaming,
    // Of the resource's versions, the one that is asked for, and how many in a row the server did not have.
    version: usize,
    absent: usize,
    // While it does not work.
    trouble: Option<Trouble>,
    refused: Named,
    // With limits that are none.
    flawed: Named,
}

impl Follower {
    pub(super) fn new(
        resource: Resource,
        connection: &Connection,
        index: Arc<SharedIndex>,
        metrics: Arc<Metrics>,
        settings: WatchSettings,
        readiness: Readiness,
    ) -> Self {
        Self {
            resource,
            client: connection.client.clone(),
            last_response: Arc::clone(&connection.last_response),
            index,
            metrics,
            settings,
            backoff: Backoff::new(settings.pause),
            pending: Some(if resource.definition().optional {
                readiness.wait_for_optional(format!("the list of {resource}"))
            } else {
                readiness.wait_for(format!("the list of {resource}"))
            }),
            readiness,
            streaming: Streaming::default(),
            version: 0,
            absent: 0,
            trouble: None,
            refused: Named::default(),
            flawed: Named::default(),
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let version =
                Version { resource: self.resource, version: self.resource.definition().versions[self.version] };
            let api: Api<WatchedObject> = Api::all_with(self.client.clone(), &version);
            let listing = self.streaming.listing(Instant::now().into_std());
            let events = watcher(api, self.config(listing));
            match self.follow(pin!(events), listing).await {
                End::Unlisted(failure) if self.is_absent(&failure) => self.absent().await,
                End::Unlisted(failure) if self.streaming.failed(listing, &failure) => {
                    self.metrics.restarted(self.resource, "no_streaming");
                    info!(resource = %self.resource, "Reading the list page by page because it cannot be streamed: {}", failure.sentence);
                    if let Some(guard) = &self.pending {
                        guard.explain(failure.sentence);
                    }
                }
                End::Unlisted(failure) | End::Lost(failure) => self.failed(failure).await,
            }
        }
    }

    fn config(&self, listing: Listing) -> watcher::Config {
        let seconds = u32::try_from(self.settings.watch.as_secs()).unwrap_or(u32::MAX).max(1);
        let mut config = watcher::Config::default().page_size(self.settings.page).timeout(seconds);
        let selector = self.resource.definition().selector;
        if !selector.is_empty() {
            config = config.fields(selector);
        }
        if listing == Listing::Streamed { config.streaming_lists() } else { config }
    }

    /// Takes one list and what is watched from there on.
    async fn follow(
        &mut self,
        mut events: impl Stream<Item = watcher::Result<Event<WatchedObject>>> + Unpin,
        listing: Listing,
    ) -> End {
        // While the list is being read: when it must be complete.
        let mut complete_by = Some(Instant::now() + self.settings.streaming);
        let mut begun = false;
        loop {
            let event = match complete_by {
                None => tokio::select! {
                    event = events.next() => event,
                    // kube reconnects without an event, so a quiet resource would look lost for as long as it is quiet.
                    () = sleep(RECOVERY_PERIOD), if self.trouble.is_some() => {
                        if self.trouble.as_ref().is_some_and(|t| self.last_response.age(self.resource).is_some_and(|age| age < t.at.elapsed())) {
                            self.works();
                        }
                        continue;
                    }
                },
                Some(complete_by) => {
                    let mut deadline = Instant::now() + self.settings.silence;
                    if listing == Listing::Streamed {
                        deadline = deadline.min(complete_by);
                    }
                    match timeout_at(deadline, events.next()).await {
                        Ok(event) => event,
                        Err(_) => return End::Unlisted(Failure::silence(self.resource)),
                    }
                }
            };
            match event.expect("a watcher never ends") {
                // kube begins again, at once and for ever, when a streamed list just ends.
                Ok(Event::Init) if begun => return End::Unlisted(Failure::unfinished(self.resource)),
                Ok(event) => {
                    match event {
                        Event::Init => begun = true,
                        Event::InitDone => {
                            complete_by = None;
                            self.absent = 0;
                            if self.streaming.complete(listing, Instant::now().into_std()) {
                                info!(resource = %self.resource, "The server does not stream lists; reading them page by page from now on");
                            }
                        }
                        _ => {}
                    }
                    self.take(event);
                }
                Err(error) => {
                    let failure = Failure::new(self.resource, &error);
                    if complete_by.is_some() || self.is_absent(&failure) {
                        return End::Unlisted(failure);
                    }
                    // After these kube would list by itself, and only in the way that it was configured with.
                    if failure.reason == "gone" || matches!(error, watcher::Error::NoResourceVersion) {
                        return End::Lost(failure);
                    }
                    self.failed(failure).await;
                }
            }
        }
    }

    fn take(&mut self, event: Event<WatchedObject>) {
        let now = Timestamp::now();
        match event {
            Event::Init => {
                self.index.write().reset(self.resource);
                return;
            }
            Event::InitApply(object) | Event::Apply(object) => self.apply(object.manifest, now),
            Event::InitDone => {
                self.index.write().settle(self.resource, now);
                self.knows(true);
                self.metrics.synced(self.resource, true);
                if self.pending.take().is_some() {
                    info!(resource = %self.resource, "Read the first complete list");
                }
            }
            Event::Delete(object) => {
                // Whatever is wrong with the rest of it, its uid says what is gone.
                if let Some(uid) = object.manifest.uid(self.resource) {
                    self.index.write().delete(uid, now);
                }
            }
        }
        self.works();
    }

    fn apply(&mut self, manifest: Manifest, now: Timestamp) {
        let (uid, title) = (manifest.uid(self.resource), manifest.title());
        match Object::read(self.resource, manifest) {
            Ok(object) => {
                let flaw = object.flaw();
                self.index.write().apply(object, now);
                if let Some(flaw) = flaw {
                    self.metrics.flawed(self.resource);
                    if self.flawed.is_news(&title) {
                        warn!(resource = %self.resource, object = title, error = %flaw, "Passed over a limit");
                    }
                }
            }
            Err(error) => {
                self.metrics.refused(self.resource);
                if self.refused.is_news(&title) {
                    warn!(resource = %self.resource, object = title, %error, "Skipped an object");
                }
                if let Some(uid) = uid {
                    self.index.write().keep(uid);
                }
            }
        }
    }

    /// Whether the server does not have the resource, and need not.
    fn is_absent(&self, failure: &Failure) -> bool {
        failure.reason == "not_found" && self.resource.definition().optional
    }

    /// Tries the next version at once, and after the last one the first one, after a while: servers are upgraded.
    async fn absent(&mut self) {
        let versions = self.resource.definition().versions.len();
        self.version = (self.version + 1) % versions;
        self.absent += 1;
        if self.absent < versions {
            return;
        }
        self.absent = 0;
        {
            let mut index = self.index.write();
            index.reset(self.resource);
            index.settle(self.resource, Timestamp::now());
        }
        self.knows(false);
        self.last_response.absent(self.resource);
        self.metrics.absent(self.resource);
        self.trouble = None;
        self.backoff.reset();
        if self.pending.take().is_some() {
            info!(resource = %self.resource, "The server does not have this resource, and names are complete without it");
        }
        sleep(self.settings.absent).await;
    }

    async fn failed(&mut self, failure: Failure) {
        self.metrics.restarted(self.resource, failure.reason);
        self.knows(false);
        let pause = self.backoff.pause();
        let trouble = self.trouble.get_or_insert_with(|| Trouble::new(self.resource));
        trouble.failed(&failure, pause);
        let Failure { reason, sentence, .. } = failure;
        match &self.pending {
            // It will not get better by waiting, and the other resources are worth having.
            Some(guard) if reason == "forbidden" || self.resource.definition().optional => guard.do_without(sentence),
            Some(guard) => guard.explain(sentence),
            None => {
                let name = format!("the watch of {}", self.resource);
                trouble.shown = Some(self.readiness.without(name, format!("{sentence}; serving stale data")));
            }
        }
        sleep(pause).await;
    }

    fn works(&mut self) {
        self.backoff.reset();
        if self.trouble.take().is_some() {
            info!(resource = %self.resource, "The API server responds again");
            self.knows(self.pending.is_none());
        }
    }

    /// Who is no endpoint is told only while the list of all endpoints is complete and current.
    fn knows(&self, known: bool) {
        if self.resource == Resource::EndpointSlices {
            self.index.write().know_endpoints(known, Timestamp::now());
        }
    }
}

/// Objects that a warning named, so that each is named once and not with each of its updates.
#[derive(Debug, Default)]
struct Named(std::collections::HashSet<String>);

impl Named {
    const MOST: usize = 1000;

    fn is_news(&mut self, title: &str) -> bool {
        if self.0.len() >= Self::MOST {
            self.0.clear();
        }
        self.0.insert(title.to_owned())
    }
}
