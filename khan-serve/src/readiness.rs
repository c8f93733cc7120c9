//! What a program still waits for before its first answer is a useful one.
//!
//! Each part that has to come up holds a [`Guard`]; dropping it marks the part ready. `/readyz` lists the guards that are
//! still held.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The parts that are not ready yet. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Pending>>);

#[derive(Debug, Default)]
struct Pending {
    // The key of the latest.
    latest: usize,
    // How many parts that count there ever were.
    announced: usize,
    parts: BTreeMap<usize, Part>,
}

#[derive(Debug)]
struct Part {
    name: String,
    detail: String,
    // It will not come by waiting: readiness goes on without it.
    given_up: bool,
    // Whether its coming shows that anything came.
    counts: bool,
}

impl Part {
    fn line(&self) -> String {
        if self.detail.is_empty() { self.name.clone() } else { format!("{}: {}", self.name, self.detail) }
    }
}

impl Readiness {
    /// Nothing is pending.
    pub fn new() -> Self {
        Self::default()
    }

    /// Not ready until the guard is dropped. `name` says what is waited for, e.g. `first scan`.
    pub fn wait_for(&self, name: impl Into<String>) -> Guard {
        self.announce(Part { name: name.into(), detail: String::new(), given_up: false, counts: true })
    }

    /// As [`Self::wait_for`], for something that is not worth being ready for when nothing else comes.
    pub fn wait_for_optional(&self, name: impl Into<String>) -> Guard {
        self.announce(Part { name: name.into(), detail: String::new(), given_up: false, counts: false })
    }

    fn announce(&self, part: Part) -> Guard {
        let key = self.with(|pending| {
            pending.latest += 1;
            pending.announced += usize::from(part.counts);
            pending.parts.insert(pending.latest, part);
            pending.latest
        });
        Guard { readiness: self.clone(), key }
    }

    /// Ready or not, something is amiss that people should read of until the guard is dropped.
    pub fn without(&self, name: impl Into<String>, detail: impl Into<String>) -> Guard {
        self.announce(Part { name: name.into(), detail: detail.into(), given_up: true, counts: false })
    }

    /// Whether nothing is waited for: every guard was dropped, or some were and the others are [done
    /// without](Guard::do_without).
    pub fn is_ready(&self) -> bool {
        self.pending().is_empty()
    }

    /// What is waited for, in the order in which it was announced: `name` or `name: detail`.
    pub fn pending(&self) -> Vec<String> {
        self.with(|pending| {
            let missing = pending.parts.values().filter(|part| part.counts).count();
            let nothing_came = missing > 0 && missing == pending.announced;
            let waited = pending.parts.values().filter(|part| !part.given_up || nothing_came);
            waited.map(Part::line).collect()
        })
    }

    /// What is done without.
    pub fn missing(&self) -> Vec<String> {
        self.with(|pending| pending.parts.values().filter(|part| part.given_up).map(Part::line).collect())
    }

    fn with<T>(&self, f: impl FnOnce(&mut Pending) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Holds readiness back until it is dropped.
#[derive(Debug)]
pub struct Guard {
    readiness: Readiness,
    key: usize,
}

impl Guard {
    /// Says why it takes long, e.g. the last error; replaces what was said before.
    pub fn explain(&self, detail: impl Into<String>) {
        self.revise(detail.into(), false);
    }

    /// Says why it will not come by waiting. Readiness no longer depends on it, unless nothing at all has come.
    pub fn do_without(&self, detail: impl Into<String>) {
        self.revise(detail.into(), true);
    }

    fn revise(&self, detail: String, given_up: bool) {
        self.readiness.with(|pending| {
            if let Some(part) = pending.parts.get_mut(&self.key) {
                (part.detail, part.given_up) = (detail, given_up);
            }
        });
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.readiness.with(|pending| pending.parts.remove(&self.key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_the_last_guard_is_dropped() {
        let readiness = Readiness::new();
        assert!(readiness.is_ready());
        let pods = readiness.wait_for("pods");
        let nodes = readiness.wait_for("nodes");
        pods.explain("connection refused");
        assert_eq!(readiness.pending(), ["pods: connection refused", "nodes"]);
        drop(pods);
        assert_eq!(readiness.pending(), ["nodes"]);
        drop(nodes);
        assert!(readiness.is_ready());
    }

    #[test]
    fn goes_on_without_what_will_not_come_but_not_without_everything() {
        let readiness = Readiness::new();
        let (pods, nodes) = (readiness.wait_for("pods"), readiness.wait_for("nodes"));
        nodes.do_without("forbidden");
        assert_eq!(readiness.pending(), ["pods", "nodes: forbidden"]);
        drop(pods);
        assert!(readiness.is_ready());
        assert_eq!(readiness.missing(), ["nodes: forbidden"]);
        nodes.explain("connection refused");
        assert_eq!(readiness.pending(), ["nodes: connection refused"]);
    }

    #[test]
    fn what_is_optional_is_waited_for_but_is_not_enough() {
        let readiness = Readiness::new();
        let (pods, cidrs) = (readiness.wait_for("pods"), readiness.wait_for_optional("cidrs"));
        pods.do_without("forbidden");
        assert_eq!(readiness.pending(), ["pods: forbidden", "cidrs"]);
        drop(cidrs);
        assert_eq!(readiness.pending(), ["pods: forbidden"]);
        drop(readiness.without("the watch of cidrs", "connection refused"));
        assert_eq!(readiness.pending(), ["pods: forbidden"], "what came and went says nothing of pods");
        let cidrs = readiness.wait_for_optional("cidrs");
        drop(pods);
        assert_eq!(readiness.pending(), ["cidrs"]);
        cidrs.do_without("forbidden");
        assert!(readiness.is_ready());
    }
}
