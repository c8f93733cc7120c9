//! A child's output, collected while it runs.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Which of a child's streams.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    Out,
    Err,
}

#[derive(Debug, Default)]
struct State {
    text: [String; 2],
    open: usize,
}

/// Both streams of one child.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<(Mutex<State>, Condvar)>);

impl Log {
    /// Collects until the stream ends.
    pub(super) fn follow(&self, stream: Stream, mut pipe: impl Read + Send + 'static) {
        self.state().open += 1;
        let log = self.clone();
        thread::spawn(move || {
            let mut chunk = [0; 8192];
            loop {
                let length = pipe.read(&mut chunk).unwrap_or(0);
                let mut state = log.state();
                if length == 0 {
                    state.open -= 1;
                } else {
                    state.text[stream as usize].push_str(&String::from_utf8_lossy(&chunk[..length]));
                }
                drop(state);
                log.0.1.notify_all();
                if length == 0 {
                    return;
                }
            }
        });
    }

    pub(super) fn text(&self, stream: Stream) -> String {
        self.state().text[stream as usize].clone()
    }

    /// The first whole line that `find` accepts; `Err(true)` when both streams ended, `Err(false)` when the deadline
    /// passed.
    pub(super) fn wait_for_line<T>(
        &self,
        deadline: Duration,
        find: impl Fn(&str) -> Option<T>,
    ) -> std::result::Result<T, bool> {
        let end = Instant::now() + deadline;
        let mut state = self.state();
        loop {
            let whole =
                state.text.iter().flat_map(|text| text.split_inclusive('\n')).filter(|line| line.ends_with('\n'));
            if let Some(found) = whole.map(str::trim_end).find_map(&find) {
                return Ok(found);
            }
            if state.open == 0 {
                return Err(true);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(false);
            }
            state = self.0.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Returns when both streams have ended.
    pub(super) fn wait_for_end(&self) {
        let mut state = self.state();
        while state.open > 0 {
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
