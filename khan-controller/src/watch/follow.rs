//! Follows one resource for as long as the process lives.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use khan_api::Timestamp;
use khan_serve::readiness::{Guard, Readiness};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

use super::WatchSettings;
use super::backoff::Backoff;
use super::connect::Connection;
use super::heard::Heard;
use super::reason::Failure;
use super::slim::Slim;
use crate::directory::Directory;
use crate::metrics::Metrics;
use crate::objects::{Manifest, Object, Resource};

/// How often it is looked at whether a failure has passed.
const HEARING_PERIOD: Duration = Duration::from_millis(500);

/// How the initial list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listing {
    /// As the first events of a watch (WatchList): the server and we hold one object at a time.
    Streamed,
    /// Page by page.
    Paged,
}

/// Why a stream was given up.
enum End {
    /// The server does not stream lists.
    NoStreaming,
    /// Nothing came for too long.
    Silence,
}

/// What one task needs to follow one resource.
pub(super) struct Follower {
    resource: Resource,
    client: Client,
    heard: Arc<Heard>,
    directory: Arc<Directory>,
    metrics: Arc<Metrics>,
    settings: WatchSettings,
    readiness: Readiness,
    backoff: Backoff,
    // Until the first list is complete.
    pending: Option<Guard>,
    // While it does not work.
    trouble: Option<Trouble>,
    refused: Refused,
}

/// A failure that was logged and has not passed.
struct Trouble {
    sentence: String,
    at: Instant,
    _shown: Option<Guard>,
}

impl Follower {
    pub(super) fn new(
        resource: Resource,
        connection: &Connection,
        directory: Arc<Directory>,
        metrics: Arc<Metrics>,
        settings: WatchSettings,
        readiness: Readiness,
    ) -> Self {
        Self {
            resource,
            client: connection.client.clone(),
            heard: Arc::clone(&connection.heard),
            directory,
            metrics,
            settings,
            backoff: Backoff::new(settings.pause),
            pending: Some(readiness.wait_for(format!("the list of {resource}"))),
            readiness,
            trouble: None,
            refused: Refused::default(),
        }
    }

    pub(super) async fn run(mut self) {
        let api: Api<Slim> = Api::all_with(self.client.clone(), &self.resource);
        let mut listing = Listing::Streamed;
        loop {
            let events = watcher(api.clone(), self.config(listing));
            match self.follow(pin!(events), listing).await {
                End::NoStreaming => {
                    info!(resource = %self.resource, "Lists page by page: the server does not stream lists");
                    self.metrics.restarted(self.resource, "no_streaming");
                    listing = Listing::Paged;
                }
                End::Silence => self.failed("silence", format!("the list of {} does not go on", self.resource)).await,
            }
        }
    }

    fn config(&self, listing: Listing) -> watcher::Config {
        let seconds = u32::try_from(self.settings.watch.as_secs()).unwrap_or(u32::MAX).max(1);
        let mut config = watcher::Config::default().page_size(self.settings.page).timeout(seconds);
        if self.resource == Resource::Pods {
            // Finished pods own nothing. The server tells of a pod that finishes as if it were deleted.
            config = config.fields("status.phase!=Succeeded,status.phase!=Failed");
        }
        if listing == Listing::Streamed { config.streaming_lists() } else { config }
    }

    async fn follow(
        &mut self,
        mut events: impl Stream<Item = watcher::Result<Event<Slim>>> + Unpin,
        listing: Listing,
    ) -> End {
        // While a list is being read: when it must be complete.
        let mut complete_by = Some(Instant::now() + self.settings.streaming);
        // A server that has not even begun to answer tells nothing about what it can do.
        let mut begun = false;
        loop {
            let event = match complete_by {
                None => tokio::select! {
                    event = events.next() => event,
                    // kube reconnects without an event, so a quiet resource would look lost for as long as it is quiet.
                    () = sleep(HEARING_PERIOD), if self.trouble.is_some() => {
                        if self.trouble.as_ref().is_some_and(|t| self.heard.age(self.resource) < t.at.elapsed()) {
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
                        Err(_) if listing == Listing::Streamed && begun => return End::NoStreaming,
                        Err(_) => return End::Silence,
                    }
                }
            };
            match event.expect("a watcher never ends") {
                Ok(event) => {
                    match event {
                        Event::Init => {
                            complete_by = Some(Instant::now() + self.settings.streaming);
                            begun = true;
                        }
                        Event::InitDone => complete_by = None,
                        _ => {}
                    }
                    self.take(event);
                }
                Err(error) => {
                    let failure = Failure::new(self.resource, &error);
                    if listing == Listing::Streamed && complete_by.is_some() && failure.is_refusal {
                        return End::NoStreaming;
                    }
                    self.failed(failure.reason, failure.sentence).await;
                    complete_by = complete_by.map(|_| Instant::now() + self.settings.streaming);
                }
            }
        }
    }

    fn take(&mut self, event: Event<Slim>) {
        let now = Timestamp::now();
        match event {
            Event::Init => {
                self.directory.write().reset(self.resource);
                return;
            }
            Event::InitApply(slim) | Event::Apply(slim) => self.apply(slim.manifest, now),
            Event::InitDone => {
                self.directory.write().settle(self.resource, now);
                self.metrics.synced(self.resource, true);
                if self.pending.take().is_some() {
                    info!(resource = %self.resource, "Read the first complete list");
                }
            }
            Event::Delete(slim) => {
                // Whatever is wrong with the rest of it, its uid says what is gone.
                if let Some(uid) = slim.manifest.uid(self.resource) {
                    self.directory.write().delete(uid, now);
                }
            }
        }
        self.works();
    }

    fn apply(&mut self, manifest: Manifest, now: Timestamp) {
        let (uid, title) = (manifest.uid(self.resource), manifest.title());
        match Object::read(self.resource, manifest) {
            Ok(object) => self.directory.write().apply(object, now),
            Err(error) => {
                self.metrics.refused(self.resource);
                if self.refused.is_news(&title) {
                    warn!(resource = %self.resource, object = title, %error, "Skipped an object");
                }
                if let Some(uid) = uid {
                    self.directory.write().keep(uid);
                }
            }
        }
    }

    async fn failed(&mut self, reason: &'static str, sentence: String) {
        self.metrics.restarted(self.resource, reason);
        if let Some(guard) = &self.pending {
            if reason == "forbidden" {
                // It will not get better by waiting, and the other resources are worth having.
                guard.do_without(sentence.clone());
            } else {
                guard.explain(sentence.clone());
            }
        }
        let pause = self.backoff.pause();
        if reason == "gone" {
            // Routine: the server forgets old versions, and a new list brings everything back.
            info!(resource = %self.resource, "Lists anew: the server no longer knows the version that was read last");
        } else if self.trouble.as_ref().is_none_or(|trouble| trouble.sentence != sentence) {
            warn!(resource = %self.resource, reason, retry_in = ?pause, "Lost the API server: {sentence}");
        }
        let shown = self.pending.is_none().then(|| {
            let detail = format!("{sentence}; answers are from before");
            self.readiness.without(format!("the watch of {}", self.resource), detail)
        });
        self.trouble = Some(Trouble { sentence, at: Instant::now(), _shown: shown });
        sleep(pause).await;
    }

    fn works(&mut self) {
        self.backoff.reset();
        if self.trouble.take().is_some() {
            info!(resource = %self.resource, "Hears the API server again");
        }
    }
}

/// Objects that were complained about, so that each is named once and not with each of its updates.
#[derive(Debug, Default)]
struct Refused(std::collections::HashSet<String>);

impl Refused {
    const MOST: usize = 1000;

    fn is_news(&mut self, title: &str) -> bool {
        if self.0.len() >= Self::MOST {
            self.0.clear();
        }
        self.0.insert(title.to_owned())
    }
}
