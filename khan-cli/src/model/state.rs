//! The states that connections are counted by, and counts by state.

use std::fmt;

use khan_api::{Lifecycle, TcpState};

/// State of a connection: those of TCP, an offloaded entry, and how far a UDP or SCTP entry got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum State {
    /// TCP, in the kernel's order.
    Tcp(TcpState),
    /// Taken over by a flow table: established, and no longer timed by connection tracking.
    Offload,
    /// UDP or SCTP without an answer.
    Unreplied,
    /// UDP or SCTP with an answer.
    Replied,
    /// UDP or SCTP with a steady exchange.
    Assured,
    /// Not told by the source, or by a name that this version does not know.
    Untold,
}

const TCP: usize = TcpState::ALL.len();

impl State {
    /// How many there are.
    pub const COUNT: usize = TCP + 5;

    /// Dense number, below [`State::COUNT`].
    pub const fn index(self) -> usize {
        match self {
            Self::Tcp(state) => state as usize,
            Self::Offload => TCP,
            Self::Unreplied => TCP + 1,
            Self::Replied => TCP + 2,
            Self::Assured => TCP + 3,
            Self::Untold => TCP + 4,
        }
    }

    /// The state with this [`State::index`].
    pub const fn from_index(index: usize) -> Self {
        match index {
            0..TCP => Self::Tcp(TcpState::ALL[index]),
            TCP => Self::Offload,
            11 => Self::Unreplied,
            12 => Self::Replied,
            13 => Self::Assured,
            _ => Self::Untold,
        }
    }

    /// Every state.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self::from_index)
    }

    /// As snapshots write it; `-` when untold.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp(state) => state.as_str(),
            Self::Offload => "OFFLOAD",
            Self::Unreplied => "UNREPLIED",
            Self::Replied => "REPLIED",
            Self::Assured => "ASSURED",
            Self::Untold => "-",
        }
    }

    /// Reads a name in any case; anything unknown is [`State::Untold`].
    pub fn from_name(name: &str) -> Self {
        Self::all().find(|state| state.as_str().eq_ignore_ascii_case(name)).unwrap_or(Self::Untold)
    }

    /// Where in its life such a connection is; untold states count as open.
    pub const fn lifecycle(self) -> Lifecycle {
        match self {
            Self::Tcp(state) => state.lifecycle(),
            Self::Unreplied => Lifecycle::Opening,
            Self::Offload | Self::Replied | Self::Assured | Self::Untold => Lifecycle::Open,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Connections by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateCounts([u64; State::COUNT]);

impl StateCounts {
    /// Adds `n` connections in `state`.
    pub fn add(&mut self, state: State, n: u64) {
        self.0[state.index()] += n;
    }

    /// Adds every count of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// Connections in `state`.
    pub fn get(&self, state: State) -> u64 {
        self.0[state.index()]
    }

    /// States with at least one connection, most connections first.
    pub fn ranked(&self) -> Vec<(State, u64)> {
        let mut counts: Vec<_> = State::all().map(|state| (state, self.get(state))).filter(|(_, n)| *n > 0).collect();
        counts.sort_by_key(|(state, n)| (std::cmp::Reverse(*n), state.index()));
        counts
    }

    /// Established or offloaded connections.
    pub fn established(&self) -> u64 {
        self.get(State::Tcp(TcpState::Established)) + self.get(State::Offload)
    }

    /// Connections whose handshake is not complete: `SYN_SENT`, `SYN_SENT2`, `SYN_RECV` and unanswered UDP and SCTP.
    pub fn opening(&self) -> u64 {
        let waiting = self.get(State::Tcp(TcpState::SynRecv));
        waiting + State::all().filter(|s| s.lifecycle() == Lifecycle::Opening).map(|s| self.get(s)).sum::<u64>()
    }

    /// Connections whose state the source told.
    pub fn told(&self) -> u64 {
        self.0.iter().sum::<u64>() - self.get(State::Untold)
    }

    /// Established share of the TCP connections with a told state, in percent; `None` when there is none. Other transports
    /// have no such state.
    pub fn established_percent(&self) -> Option<u8> {
        let tcp: u64 = self.0[..=State::Offload.index()].iter().sum();
        (tcp > 0).then(|| u8::try_from((self.established() * 100 + tcp / 2) / tcp).unwrap_or(100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_name_the_same_states() {
        for (index, state) in State::all().enumerate() {
            assert_eq!(state.index(), index);
            assert_eq!(State::from_name(&state.as_str().to_ascii_lowercase()), state);
        }
        assert_eq!(State::from_name("QUANTUM"), State::Untold);
    }

    #[test]
    fn shares_leave_untold_states_out() {
        let mut counts = StateCounts::default();
        assert_eq!(counts.established_percent(), None);
        counts.add(State::Tcp(TcpState::Established), 2);
        counts.add(State::Offload, 1);
        counts.add(State::Tcp(TcpState::TimeWait), 1);
        counts.add(State::Untold, 100);
        counts.add(State::Assured, 50);
        assert_eq!(counts.established_percent(), Some(75));
        assert_eq!(counts.ranked()[0], (State::Untold, 100));
    }
}
