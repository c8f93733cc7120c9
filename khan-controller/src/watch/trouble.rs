//! A failure that lasts: said when it begins, when its cause changes, and again at a decreasing rate.

use std::time::Duration;

use khan_serve::readiness::Guard;
use khan_serve::reminder::{Reminder, spoken};
use tokio::time::Instant;
use tracing::{info, warn};

use super::reason::Failure;
use crate::kubernetes::Resource;

/// Causes of one failure that are logged as they come; further ones only show in the reminders.
const MOST_CAUSES: usize = 8;

/// What does not work for one resource.
#[derive(Debug)]
pub(super) struct Trouble {
    resource: Resource,
    reminder: Reminder,
    causes: Vec<String>,
    attempts: u32,
    /// When it was last seen.
    pub(super) at: Instant,
    /// On `/readyz`, while old answers are given.
    pub(super) shown: Option<Guard>,
}

impl Trouble {
    pub(super) fn new(resource: Resource) -> Self {
        let now = Instant::now();
        let reminder = Reminder::new(now.into_std());
        Self { resource, reminder, causes: Vec::new(), attempts: 0, at: now, shown: None }
    }

    /// Logs the failure, if it is news or it is time again.
    pub(super) fn failed(&mut self, failure: &Failure, retry_in: Duration) {
        self.at = Instant::now();
        self.attempts += 1;
        let Failure { reason, sentence, .. } = failure;
        let due = self.reminder.due(self.at.into_std());
        if *reason == "gone" {
            // Routine: the server forgets old versions, and a new list brings everything back.
            info!(resource = %self.resource, "Listing again: the server no longer knows the version that was read last");
        } else if let Some(age) = due {
            let (lasts, attempts) = (spoken(age), self.attempts);
            warn!(resource = %self.resource, reason, attempts, ?retry_in, "Still without the API server after {lasts}: {sentence}");
        } else if self.causes.len() < MOST_CAUSES && !self.causes.contains(sentence) {
            self.causes.push(sentence.clone());
            warn!(resource = %self.resource, reason, ?retry_in, "Lost the API server: {sentence}");
        }
    }
}
