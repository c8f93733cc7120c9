//! How long a server takes to answer where two cores are shared with whatever else is being built and tested: by the clock, and
//! without the time that the serving thread and the asking one spent waiting for a core. A thread that used up its slice waits for
//! all the others before it gets the next.

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The thread that answers.
#[derive(Clone, Debug)]
pub struct ServingThread(PathBuf);

impl ServingThread {
    /// The main thread of a process.
    pub fn main_of(pid: u32) -> Self {
        Self(format!("/proc/{pid}/task/{pid}").into())
    }

    /// The calling thread.
    pub fn this() -> Self {
        let (process, thread) = (std::process::id(), rustix::thread::gettid().as_raw_nonzero());
        Self(format!("/proc/{process}/task/{thread}").into())
    }

    /// How long it has waited for a core since it began (`/proc/PID/schedstat`, the second number).
    fn waited(&self) -> Duration {
        let schedstat = std::fs::read_to_string(self.0.join("schedstat")).expect("CONFIG_SCHED_INFO");
        let nanos = schedstat.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok());
        Duration::from_nanos(nanos.expect("three numbers"))
    }
}

/// Times to an answer.
#[derive(Clone, Debug, Default)]
pub struct AnswerTimes {
    by_the_clock: Vec<Duration>,
    /// Less what the serving thread or the asking one waited for a core, whichever waited longer.
    by_the_server: Vec<Duration>,
}

impl AnswerTimes {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.by_the_clock.len()
    }

    /// Takes the time of one answer.
    pub fn take<T>(&mut self, server: &ServingThread, answer: impl FnOnce() -> T) -> T {
        let here = ServingThread::this();
        let waited = || [server.waited(), here.waited()];
        let (begun, before) = (Instant::now(), waited());
        let answer = answer();
        let (took, after) = (begun.elapsed(), waited());
        let waited = (after[0].saturating_sub(before[0])).max(after[1].saturating_sub(before[1]));
        self.by_the_clock.push(took);
        self.by_the_server.push(took.saturating_sub(waited));
        answer
    }

    /// Half of the answers have to come within `bound` without the time that threads waited for a core, and every one within `worst`
    /// by the clock, other threads' work included: that says more of the machine than of the server.
    ///
    /// # Panics
    ///
    /// When they do not.
    pub fn check(mut self, what: &str, bound: Duration, worst: Duration) {
        self.by_the_clock.sort_unstable();
        self.by_the_server.sort_unstable();
        let [clock, server] = [&self.by_the_clock, &self.by_the_server].map(|times| times[(times.len() - 1) / 2]);
        let slowest = self.by_the_clock[self.by_the_clock.len() - 1];
        println!(
            "{what}: half of {} within {clock:?}, of it {server:?} the server's; the slowest {slowest:?}",
            self.count()
        );
        assert!(server <= bound, "{what}: half of the answers took longer than {server:?}, and by the clock {clock:?}");
        assert!(slowest <= worst, "{what}: an answer took {slowest:?}");
    }
}
