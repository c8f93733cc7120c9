//! The open connections, and which of them makes room for a new one: of the peer that has most, the one that has kept the
//! server waiting for longest.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::exchange::{Phase, State};
use crate::peer::Peer;
use crate::shed::{self, How};

/// Open connections by number.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    states: BTreeMap<u64, Arc<State>>,
    peers: HashMap<Peer, Vec<u64>>,
    next: u64,
}

impl Connections {
    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    pub(crate) fn add(&mut self, state: Arc<State>) -> u64 {
        self.next += 1;
        self.peers.entry(state.peer()).or_default().push(self.next);
        self.states.insert(self.next, state);
        shed::opened();
        self.next
    }

    /// One has ended; it may have been displaced before.
    pub(crate) fn remove(&mut self, number: u64) -> Option<Arc<State>> {
        let state = self.states.remove(&number)?;
        if let Some(numbers) = self.peers.get_mut(&state.peer()) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.peers.remove(&state.peer());
            }
        }
        shed::closed();
        Some(state)
    }

    /// Some that have ended without a word: their tasks panicked and gave the state back.
    pub(crate) fn remove_orphans(&mut self) {
        let held = |state: &Arc<State>| Arc::strong_count(state) > 1;
        let orphans: Vec<u64> =
            self.states.iter().filter(|(_, state)| !held(state)).map(|(number, _)| *number).collect();
        for number in orphans {
            self.remove(number);
        }
    }

    /// Closes one in favour of another.
    pub(crate) fn displace(&mut self) {
        let Some(numbers) = self.peers.values().max_by_key(|numbers| numbers.len()) else { return };
        // Among those that keep nobody waiting the oldest exchange goes, and one whose request is still to be read only when
        // no other is being served: it may be a probe.
        let slowest = numbers.iter().copied().max_by_key(|number| {
            let state = &self.states[number];
            let (phase, since) = state.phase();
            (state.kept_waiting(), phase == Phase::Serving, std::cmp::Reverse(since))
        });
        if let Some(state) = slowest.and_then(|number| self.remove(number)) {
            state.close();
            shed::count("connections", How::Cut);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn open(connections: &mut Connections, address: &str) -> (u64, Arc<State>) {
        let state = State::new(address.parse().unwrap());
        state.enter(Phase::Serving);
        (connections.add(Arc::clone(&state)), state)
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_still_to_be_read_stays_while_others_are_served() {
        let mut connections = Connections::default();
        let probe = connections.add(State::new("10.0.0.1".parse().unwrap()));
        tokio::time::advance(Duration::from_millis(10)).await;
        let (served, _state) = open(&mut connections, "10.0.0.1");
        connections.displace();
        assert!(connections.remove(served).is_none() && connections.remove(probe).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_most_makes_room_and_the_slowest_of_these_first() {
        let mut connections = Connections::default();
        let (honest, waiting) = open(&mut connections, "10.0.0.1");
        waiting.awaits_reading();
        let (busy, _state) = open(&mut connections, "10.0.0.2");
        tokio::time::advance(Duration::from_secs(1)).await;
        let (deaf, state) = open(&mut connections, "10.0.0.2");
        state.awaits_reading();
        tokio::time::advance(Duration::from_secs(1)).await;
        connections.displace();
        state.closed().await;
        assert!(connections.remove(deaf).is_none());
        let (late, _state) = open(&mut connections, "10.0.0.2");
        connections.displace();
        assert!(connections.remove(busy).is_none(), "of those that keep nobody waiting the oldest went");
        assert!(connections.remove(honest).is_some() && connections.remove(late).is_some());
        assert_eq!((connections.len(), connections.peers.len()), (0, 0));
    }
}
