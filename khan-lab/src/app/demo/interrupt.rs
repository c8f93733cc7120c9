//! What Ctrl-C, a closed terminal and SIGTERM do to the demo: the first signal shuts it down in order, the second at once.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use khan_lab::{LabError, Program, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::held;

/// Shared by the demo and the thread that receives signals.
#[derive(Clone, Default)]
pub(super) struct Interrupt {
    code: Arc<AtomicU8>,
    on_screen: Arc<Mutex<Option<Pid>>>,
}

impl Interrupt {
    /// Follows the pipe from the [outer process](held). This process is its namespace's first, which no signal ends, so that
    /// Ctrl-C, which the terminal sends to everybody, is heard once.
    ///
    /// When the outer process is gone, removes `folder` and ends; every other process here ends with this one.
    pub(super) fn follow(mut pipe: File, folder: PathBuf) -> Self {
        let this = Self::default();
        let shared = this.clone();
        thread::spawn(move || {
            let mut number = [0];
            while pipe.read_exact(&mut number).is_ok() {
                shared.came(number[0]);
            }
            // Nobody is left who could be told that it failed.
            let _ = std::fs::remove_dir_all(folder);
            std::process::exit(shared.code().unwrap_or(held::of_signal(9)).into());
        });
        this
    }

    fn came(&self, number: u8) {
        self.code.store(held::of_signal(number), Ordering::SeqCst);
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
