//! Stopping: the first SIGTERM or SIGINT asks every part to finish what it is doing, the second ends the process at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::stderr;

/// The whole process must be gone this long after the first signal.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// Told when the process is to stop. Clones share the request.
#[derive(Clone, Debug)]
pub struct Shutdown {
    requested: watch::Receiver<bool>,
    // Keeps `requested` open for as long as somebody may wait on it.
    sender: Arc<watch::Sender<bool>>,
}

impl Shutdown {
    /// A request that only [`Shutdown::request`] makes: for tests and for programs in a program.
    pub fn new() -> Self {
        let (sender, requested) = watch::channel(false);
        Self { requested, sender: Arc::new(sender) }
    }

    /// A request that the first SIGTERM or SIGINT makes. A second signal ends the process with 128 + its number, and so
    /// does the first one's [`DEADLINE`] with 1. Must be called inside a tokio runtime.
    pub fn on_signals() -> std::io::Result<Self> {
        let shutdown = Self::new();
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let asked = shutdown.clone();
        tokio::spawn(async move {
            loop {
                let (name, number) = tokio::select! {
                    _ = terminate.recv() => ("SIGTERM", 15),
                    _ = interrupt.recv() => ("SIGINT", 2),
                };
                if asked.is_requested() {
                    warn!(signal = name, "Stopping at once because of a second signal");
                    std::process::exit(128 + number);
                }
                info!(signal = name, "Stopping; a second signal stops at once");
                asked.request();
                exit_at_deadline();
            }
        });
        Ok(shutdown)
    }

    /// Asks every part to stop.
    pub fn request(&self) {
        self.sender.send_replace(true);
    }

    /// Whether stopping was asked for.
    pub fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }

    /// Waits until stopping is asked for.
    pub async fn requested(&self) {
        let mut requested = self.requested.clone();
        // The sender lives in `self`, so the channel cannot close while this waits.
        let _ = requested.wait_for(|requested| *requested).await;
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

/// A thread rather than a task: it fires even when the runtime is stuck.
#[expect(clippy::disallowed_methods, reason = "a deadline is a time, and no condition ends the wait")]
fn exit_at_deadline() {
    std::thread::spawn(|| {
        std::thread::sleep(DEADLINE);
        stderr::line(format_args!("stopped at the deadline of {} s", DEADLINE.as_secs()));
        std::process::exit(1);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everyone_is_told_also_those_who_ask_later() {
        let shutdown = Shutdown::new();
        let waiter = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.requested().await }
        });
        assert!(!shutdown.is_requested());
        shutdown.request();
        waiter.await.unwrap();
        shutdown.requested().await;
        assert!(shutdown.is_requested());
    }
}
