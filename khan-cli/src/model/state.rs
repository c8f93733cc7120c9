//! The states that connections are counted by, and counts by state.

use std::ops::Deref;
use std::sync::OnceLock;

use khan_api::{Label, Lifecycle, TcpState};

use super::hash;

/// State of a connection: one of those that this version knows, another that a newer agent knows, or `UNTOLD`.
pub type State = khan_api::State<Other>;

/// The state of connections whose source sends none.
pub(crate) const UNTOLD: State = State::Other(Other(0));

/// Number of states that are counted separately.
const COUNT: usize = State::KNOWN + OTHERS;
const OTHERS: usize = 2 + NAMES.0.len();

/// A state that this version does not know, by number: 0 is untold, those between have the names of [`NAMES`], and the last
/// stands for all that came after these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Other(u8);

/// Names in the order in which they first came. Connections are many and states are few, so a state is one byte and its
/// name is kept once. An agent that makes names up fills the places, and then what it counts has no name of its own.
struct Names([OnceLock<Label>; 4]);

static NAMES: Names = Names([const { OnceLock::new() }; 4]);

impl Names {
    /// The place of `name`; the first free one where it has none, and none where all are taken.
    fn place(&self, name: &Label) -> Option<usize> {
        self.0.iter().position(|known| known.get_or_init(|| name.clone()) == name)
    }
}

impl Other {
    const UNTOLD: &str = "-";

    fn named(name: &Label) -> Self {
        if name.is_empty() || *name == Self::UNTOLD {
            return Self(0);
        }
        let number = NAMES.place(name).map_or(OTHERS - 1, |place| place + 1);
        Self(u8::try_from(number).unwrap_or(u8::MAX))
    }

    fn name(self) -> &'static str {
        match usize::from(self.0).checked_sub(1) {
            None => Self::UNTOLD,
            Some(place) => NAMES.0.get(place).and_then(OnceLock::get).map_or("OTHER", |name| name),
        }
    }
}

impl Deref for Other {
    type Target = str;

    fn deref(&self) -> &str {
        self.name()
    }
}

/// The state as it is counted.
pub(crate) fn counted(state: khan_api::State) -> State {
    state.map(|name| Other::named(&name))
}

/// As snapshots write it; `-` when untold.
pub(crate) fn name(state: State) -> &'static str {
    state.known_name().unwrap_or_else(|other| other.name())
}

/// Part of a row's key, so it never changes: the number of a known state plus one, the hash of another's name.
pub(crate) fn key(state: State) -> u128 {
    match state.number() {
        Ok(number) => number as u128 + 1,
        Err(Other(0)) => State::KNOWN as u128 + 1,
        Err(other) => hash::name(&[&other]),
    }
}

/// Dense number. That of a state that this version does not know is another in the next process.
pub(crate) fn number(state: State) -> usize {
    state.number().unwrap_or_else(|other| State::KNOWN + usize::from(other.0))
}

/// Every state that can be counted, by number.
fn all() -> impl Iterator<Item = State> {
    let others = (0..).take(OTHERS).map(|number| State::Other(Other(number)));
    State::all_known().chain(others)
}

/// Connections by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateCounts([u64; COUNT]);

impl StateCounts {
    /// Adds `n` connections in `state`.
    pub fn add(&mut self, state: State, n: u64) {
        self.0[number(state)] += n;
    }

    /// Adds every count of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// Connections in `state`.
    pub fn get(&self, state: State) -> u64 {
        self.0[number(state)]
    }

    /// Names of the states with at least one connection, most connections first.
    pub fn ranked(&self) -> Vec<(&'static str, u64)> {
        let mut counts: Vec<_> = all().map(|state| (state, self.get(state))).filter(|(_, n)| *n > 0).collect();
        counts.sort_by_key(|(state, n)| (std::cmp::Reverse(*n), number(*state)));
        counts.into_iter().map(|(state, n)| (name(state), n)).collect()
    }

    /// Established or offloaded connections.
    pub fn established(&self) -> u64 {
        self.get(State::Tcp(TcpState::Established)) + self.get(State::Offload)
    }

    /// Connections whose handshake is not complete: `SYN_SENT`, `SYN_SENT2`, `SYN_RECV` and unanswered UDP and SCTP.
    pub fn opening(&self) -> u64 {
        let waiting = self.get(State::Tcp(TcpState::SynRecv));
        waiting + all().filter(|s| s.lifecycle() == Lifecycle::Opening).map(|s| self.get(s)).sum::<u64>()
    }

    /// Connections whose state the source told.
    pub fn told(&self) -> u64 {
        self.0.iter().sum::<u64>() - self.get(UNTOLD)
    }

    /// Established share of the TCP connections with a known state, in percent; `None` when there is none. Other transports
    /// have no such state.
    pub fn established_percent(&self) -> Option<u8> {
        let tcp: u64 = self.0[..=number(State::Offload)].iter().sum();
        (tcp > 0).then(|| u8::try_from((self.established() * 100 + tcp / 2) / tcp).unwrap_or(100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_number_of_its_own() {
        assert!(all().map(number).eq(0..COUNT));
        assert_eq!(size_of::<(State, u32)>(), 8);
        for untold in ["", "-"] {
            assert_eq!(counted(untold.into()), UNTOLD);
        }
    }

    #[test]
    fn a_newer_agents_state_is_counted_under_its_name() {
        let mut counts = StateCounts::default();
        for (name, n) in [("QUANTUM", 3), ("ESTABLISHED", 1), ("QUANTUM", 2), ("", 4)] {
            counts.add(counted(name.into()), n);
        }
        assert_eq!(counts.ranked(), [("QUANTUM", 5), ("-", 4), ("ESTABLISHED", 1)]);
        assert_eq!((counts.told(), counts.established_percent(), counts.opening()), (6, Some(100), 0));
    }

    #[test]
    fn names_keep_their_places_and_there_is_an_end_to_them() {
        let names = Names([const { OnceLock::new() }; 4]);
        let place = |name: &str| names.place(&name.into());
        assert_eq!(["a", "b", "a", "c", "d", "e", "b"].map(place).map(|at| at.unwrap_or(9)), [0, 1, 0, 2, 3, 9, 1]);
    }

    #[test]
    fn shares_leave_untold_states_out() {
        let mut counts = StateCounts::default();
        assert_eq!(counts.established_percent(), None);
        counts.add(State::Tcp(TcpState::Established), 2);
        counts.add(State::Offload, 1);
        counts.add(State::Tcp(TcpState::TimeWait), 1);
        counts.add(UNTOLD, 100);
        counts.add(State::Assured, 50);
        assert_eq!(counts.established_percent(), Some(75));
        assert_eq!(counts.ranked()[0], ("-", 100));
    }
}
