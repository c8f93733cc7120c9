//! Waiting for a condition instead of a guess at how long it takes.

use std::thread;
use std::time::{Duration, Instant};

use crate::{LabError, Result};

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Asks until there is an answer, with growing pauses; an error once `deadline` has passed.
///
/// `what` completes the sentence "waited 5.0 s in vain for ...", so name the process, row or file.
#[expect(clippy::disallowed_methods, reason = "the place where everything else awaits its condition")]
pub fn until<T>(what: &str, deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> Result<T> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        let waited = start.elapsed();
        if waited >= deadline {
            return Err(LabError::Deadline { what: what.to_owned(), seconds: waited.as_secs_f64() });
        }
        thread::sleep(pause.min(deadline.saturating_sub(waited)));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
