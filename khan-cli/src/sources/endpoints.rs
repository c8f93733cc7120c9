//! Who answers for the services that were dialled: asked of the controller beside the agents. Views pass through at once and the
//! endpoints follow; the first view counts as settled once they are there, or the controller has not answered in time. Bounded: in
//! services, in questions at once, and each is asked about once a minute.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use khan_api::Service;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::controller::{Controller, ControllerError};
use crate::feed::{Feed, channel};
use crate::model::balance::dialled;
use crate::model::services::Services;
use crate::model::{Query, View};

/// Services that are asked about: those with the most connections.
const MOST: usize = 200;
/// Questions at the same time.
const AT_ONCE: usize = 8;
/// For how long an answer is good, and a controller that failed is left alone.
const GOOD: Duration = Duration::from_mins(1);
/// How often it is looked which services are dialled.
const REST: Duration = Duration::from_secs(10);
/// How long the answers to one view may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Namespace and name.
type Key = (Arc<str>, Arc<str>);
/// What became of each question; the first failure ends a round.
type Answers = Result<Vec<(Key, Option<Arc<Service>>)>, String>;

/// The same feed, whose views have the endpoints of the services that `query` finds dialled.
pub(crate) fn listed(feed: Feed, controller: Result<Controller, String>, query: Query) -> Feed {
    let Feed { mut views, news, handle, past } = feed;
    let (feeder, Feed { views: shown, .. }) = channel(View::empty(views.borrow().source.clone()));
    tokio::spawn(async move {
        let mut known = Known::default();
        if let Err(reason) = &controller {
            known.failed(reason.clone(), Instant::now());
        }
        let mut round: Option<JoinHandle<Round>> = None;
        loop {
            let (latest, now) = (Arc::clone(&views.borrow_and_update()), Instant::now());
            if let (Ok(controller), None, true) = (&controller, &round, latest.settled && known.is_due(now)) {
                let (controller, view, fresh) = (controller.clone(), Arc::clone(&latest), known.fresh(now));
                round = Some(tokio::spawn(look(controller, view, query.clone(), fresh)));
            }
            feeder.show(known.add(&latest, round.is_some()));
            tokio::select! {
                changed = views.changed() => if changed.is_err() { return },
                answers = async { round.as_mut().expect("a round").await }, if round.is_some() => {
                    round = None;
                    match answers {
                        Ok(round) => known.take(round, Instant::now()),
                        Err(error) => known.failed(error.to_string(), Instant::now()),
                    }
                }
                () = feeder.views.closed() => return,
            }
        }
    });
    Feed { views: shown, news, handle, past }
}

/// What a look at a view has brought.
struct Round {
    /// The services to know.
    looked_at: HashSet<Key>,
    left_out: usize,
    answers: Answers,
}

/// Asks about the services that are dialled in `view`, without those in `fresh`.
async fn look(controller: Controller, view: Arc<View>, query: Query, fresh: HashSet<Key>) -> Round {
    // It goes through every row.
    let dialled = tokio::task::spawn_blocking(move || dialled(&view, &query)).await.unwrap_or_default();
    let left_out = dialled.len().saturating_sub(MOST);
    let looked_at: HashSet<Key> = dialled.into_iter().take(MOST).collect();
    let wanted: Vec<Key> = looked_at.difference(&fresh).cloned().collect();
    let answers = if wanted.is_empty() { Ok(Vec::new()) } else { ask(controller, wanted).await };
    Round { looked_at, left_out, answers }
}

async fn ask(controller: Controller, wanted: Vec<Key>) -> Answers {
    // The first finds the way that the others take.
    let mut answers = Vec::with_capacity(wanted.len());
    let one = async |key: Key| -> Result<_, ControllerError> {
        let service = controller.service(&key.0, &key.1).await?;
        Ok((key, service.map(Arc::new)))
    };
    let all = async {
        let mut wanted = wanted.into_iter();
        if let Some(first) = wanted.next() {
            answers.push(one(first).await?);
        }
        let mut rest = stream::iter(wanted.map(one)).buffer_unordered(AT_ONCE);
        while let Some(answer) = rest.next().await {
            answers.push(answer?);
        }
        Ok::<_, ControllerError>(())
    };
    match timeout(PATIENCE, all).await {
        Ok(Ok(())) => Ok(answers),
        Ok(Err(error)) => Err(match error.remedy() {
            Some(remedy) => format!("{error}; {remedy}"),
            None => error.to_string(),
        }),
        Err(_) => Err(format!("khan-controller has not answered within {} s", PATIENCE.as_secs())),
    }
}

/// What the controller has said.
#[derive(Default)]
struct Known {
    answers: HashMap<Key, (Instant, Option<Arc<Service>>)>,
    failure: Option<(Instant, String)>,
    left_out: usize,
    /// The end of the latest round.
    looked: Option<Instant>,
}

impl Known {
    fn failed(&mut self, reason: String, now: Instant) {
        (self.failure, self.looked) = (Some((now, reason)), Some(now));
    }

    /// Whether it is time to look again.
    fn is_due(&self, now: Instant) -> bool {
        let rest = if self.failure.is_some() { GOOD } else { REST };
        self.looked.is_none_or(|at| now.duration_since(at) >= rest)
    }

    /// What needs no answer yet.
    fn fresh(&self, now: Instant) -> HashSet<Key> {
        let fresh = self.answers.iter().filter(|(_, (at, _))| now.duration_since(*at) < GOOD);
        fresh.map(|(key, _)| key.clone()).collect()
    }

    fn take(&mut self, round: Round, now: Instant) {
        self.left_out = round.left_out;
        self.answers.retain(|key, _| round.looked_at.contains(key));
        match round.answers {
            Ok(answers) => {
                self.answers.extend(answers.into_iter().map(|(key, service)| (key, (now, service))));
                (self.failure, self.looked) = (None, Some(now));
            }
            Err(reason) => self.failed(reason, now),
        }
    }

    /// The view with what is known; not settled while the first answers are on their way.
    fn add(&self, view: &Arc<View>, asking: bool) -> Arc<View> {
        let services = match &self.failure {
            Some((_, reason)) => Services::unknown(reason.clone()),
            None => Services {
                list: self.answers.values().filter_map(|(_, service)| service.clone()).collect(),
                unknown: None,
                left_out: self.left_out,
            },
        };
        let mut with = View::clone(view);
        with.services = Arc::new(services);
        with.settled &= self.looked.is_some() || !asking;
        Arc::new(with)
    }
}

#[cfg(test)]
mod tests;
