//! Signals as events, and stopping as a shell expects it.

use std::io;

use rustix::process::{Signal as Number, getpid, kill_process};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// A signal that the screen acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP.
    HangUp,
    /// SIGTSTP from outside; Ctrl-z is a key in raw mode.
    Stop,
    /// SIGCONT.
    Continue,
}

/// The signals, listened to.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Stream,
    terminate: Stream,
    hang_up: Stream,
    stop: Stream,
    proceed: Stream,
}

impl Signals {
    /// Begins to listen.
    pub(crate) fn listen() -> io::Result<Self> {
        // The numbers of SIGTSTP and SIGCONT differ between systems; rustix knows them.
        let raw = |number: Number| signal(SignalKind::from_raw(number.as_raw()));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            stop: raw(Number::TSTP)?,
            proceed: raw(Number::CONT)?,
        })
    }

    /// The next signal.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.hang_up.recv() => Signal::HangUp,
            _ = self.stop.recv() => Signal::Stop,
            _ = self.proceed.recv() => Signal::Continue,
        }
    }

    /// Stops the process and ends when it is continued.
    pub(crate) async fn stop(&mut self) {
        // SIGSTOP and not SIGTSTP: this process listens to the latter, and an orphaned group would ignore it.
        if kill_process(getpid(), Number::STOP).is_ok() {
            self.proceed.recv().await;
        }
    }
}
