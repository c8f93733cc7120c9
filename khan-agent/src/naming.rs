//! Keeps names up to date: in, the addresses of each scan; out, a controller that is asked, again and again while it does
//! not answer, and log lines that say so.

use std::sync::{Arc, Weak, mpsc as std_mpsc};
use std::time::{Duration, Instant};

use khan_serve::backoff::Backoff;
use khan_serve::readiness::Guard;
use khan_serve::reminder::{Reminder, spoken};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::identities::Held;
use crate::identities::resolver::Resolver;
use crate::schedule::{Ask, Handle};
use crate::self_metrics::SelfMetrics;

/// First and longest pause between attempts that no scan asked for.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// Asks one controller.
#[derive(Debug)]
pub(crate) struct Naming {
    resolver: Resolver,
    metrics: Arc<SelfMetrics>,
    /// Until the first answer: readiness waits for it.
    first: Option<Guard>,
    /// While nobody answers.
    failing: Option<Failing>,
    backoff: Backoff,
}

#[derive(Debug)]
struct Failing {
    /// What to ask about once more.
    held: Held,
    error: String,
    reminder: Reminder,
}

impl Naming {
    /// Drops `first` at the first answer.
    pub(crate) fn new(resolver: Resolver, metrics: Arc<SelfMetrics>, first: Guard) -> Self {
        Self { resolver, metrics, first: Some(first), failing: None, backoff: Backoff::new(PAUSE) }
    }

    /// Works until the scan thread ends. When names come back between two scans, it asks for another one, so that they show.
    pub(crate) async fn run(mut self, mut asked: mpsc::UnboundedReceiver<Ask>, scans: Weak<Handle>) {
        loop {
            let pause = self.failing.is_some().then(|| self.backoff.pause());
            let next = async {
                match pause {
                    Some(pause) => tokio::time::timeout(pause, asked.recv()).await.ok(),
                    None => Some(asked.recv().await),
                }
            };
            match next.await {
                Some(None) => return,
                Some(Some((held, done))) => self.scanned(held, &done).await,
                None => {
                    let held = self.failing.as_ref().map(|failing| failing.held.clone()).unwrap_or_default();
                    if self.ask(held).await {
                        scans.upgrade().map(|scans| scans.request());
                    }
                }
            }
        }
    }

    async fn scanned(&mut self, held: Held, done: &std_mpsc::SyncSender<()>) {
        self.ask(held).await;
        // The scan thread may have stopped waiting.
        let _ = done.try_send(());
    }

    /// Asks once. Whether the controller answered.
    async fn ask(&mut self, held: Held) -> bool {
        let outcome = self.resolver.refresh(&held).await.map_err(|error| khan_serve::exit::chain(&error));
        match outcome {
            Ok(()) => self.answered(),
            Err(error) => self.failed(held, error),
        }
        self.failing.is_none()
    }

    fn answered(&mut self) {
        self.backoff.reset();
        if self.failing.take().is_some() {
            info!("The controller answers again");
        }
        self.first = None;
    }

    fn failed(&mut self, held: Held, error: String) {
        self.metrics.controller_errors.inc();
        let effect = match &self.first {
            Some(guard) => {
                guard.explain(error.clone());
                "no address has a name yet, and the agent is not ready"
            }
            None => "names stay as they were",
        };
        let now = Instant::now();
        let Some(failing) = &mut self.failing else {
            warn!(%error, "The controller does not answer; {effect}");
            self.failing = Some(Failing { held, error, reminder: Reminder::new(now) });
            return;
        };
        if let Some(age) = failing.reminder.due(now) {
            let lasts = spoken(age);
            warn!(%error, "The controller has not answered for {lasts}; {effect}; try khan doctor");
        } else if failing.error != error {
            warn!(%error, "The controller does not answer; {effect}");
        }
        *failing = Failing { held, error, reminder: failing.reminder };
    }
}
