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
    next: u64,
    parts: BTreeMap<u64, Part>,
}

#[derive(Debug)]
struct Part {
    name: String,
    detail: String,
}

impl Readiness {
    /// Nothing is pending.
    pub fn new() -> Self {
        Self::default()
    }

    /// Not ready until the guard is dropped. `name` says what is waited for, e.g. `first scan`.
    pub fn wait_for(&self, name: impl Into<String>) -> Guard {
        let key = self.with(|pending| {
            pending.next += 1;
            pending.parts.insert(pending.next, Part { name: name.into(), detail: String::new() });
            pending.next
        });
        Guard { readiness: self.clone(), key }
    }

    /// Whether no guard is held.
    pub fn is_ready(&self) -> bool {
        self.with(|pending| pending.parts.is_empty())
    }

    /// What is waited for, in the order in which it was announced: `name` or `name: detail`.
    pub fn pending(&self) -> Vec<String> {
        self.with(|pending| {
            pending
                .parts
                .values()
                .map(
                    |part| {
                        if part.detail.is_empty() {
                            part.name.clone()
                        } else {
                            format!("{}: {}", part.name, part.detail)
                        }
                    },
                )
                .collect()
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut Pending) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Holds readiness back until it is dropped.
#[derive(Debug)]
pub struct Guard {
    readiness: Readiness,
    key: u64,
}

impl Guard {
    /// Says why it takes long, e.g. the last error; replaces what was said before.
    pub fn explain(&self, detail: impl Into<String>) {
        self.readiness.with(|pending| {
            if let Some(part) = pending.parts.get_mut(&self.key) {
                part.detail = detail.into();
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
}
