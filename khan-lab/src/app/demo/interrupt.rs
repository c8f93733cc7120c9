//! What Ctrl-C, a closed terminal and SIGTERM do to the demo: the first asks for an orderly end, the second ends at once.

use std::process::ExitStatus;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use khan_lab::{LabError, Program, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

/// Shared by the demo and the thread that waits for signals.
#[derive(Clone, Default)]
pub(super) struct Interrupt {
    code: Arc<AtomicU8>,
    on_screen: Arc<Mutex<Option<Pid>>>,
}

impl Interrupt {
    /// Starts to wait for signals.
    pub(super) fn watch() -> Result<Self> {
        let failed = || LabError::io("cannot wait for signals");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed())?;
        let inside = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed())?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed())?;
        let mut hangup = signal(SignalKind::hangup()).map_err(failed())?;
        drop(inside);
        let this = Self::default();
        let shared = this.clone();
        thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    let signal = tokio::select! {
                        _ = interrupt.recv() => Signal::INT,
                        _ = terminate.recv() => Signal::TERM,
                        _ = hangup.recv() => Signal::HUP,
                    };
                    shared.came(signal);
                }
            });
        });
        Ok(this)
    }

    fn came(&self, signal: Signal) {
        // As a shell reports a program that a signal ended.
        let code = u8::try_from(128 + signal.as_raw()).unwrap_or(u8::MAX);
        if self.code.swap(code, Ordering::SeqCst) != 0 {
            // The kernel ends the children and the namespaces with this process.
            std::process::exit(code.into());
        }
        if let Some(pid) = *self.on_screen() {
            // So that it gives the terminal back. It may just have ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// The exit code that a signal asked for.
    pub(super) fn code(&self) -> Option<u8> {
        Some(self.code.load(Ordering::SeqCst)).filter(|code| *code != 0)
    }

    /// An error once a signal came, for use between two steps.
    pub(super) fn check(&self) -> Result {
        self.code().map_or(Ok(()), |_| Err(LabError::Malformed("interrupted".into())))
    }

    /// Runs a program on this terminal to its end; a signal ends it first.
    pub(super) fn on_this_terminal(&self, program: &Program) -> Result<ExitStatus> {
        // Locked from before the start, so that no signal comes between the start and the note of it.
        let mut on_screen = self.on_screen();
        self.check()?;
        let mut child = program.start_attached()?;
        *on_screen = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        drop(on_screen);
        let ended = child.wait().map_err(LabError::io("cannot wait for the program on the screen"));
        *self.on_screen() = None;
        ended
    }

    fn on_screen(&self) -> MutexGuard<'_, Option<Pid>> {
        self.on_screen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
