//! Transport protocols, and the states that connections are counted by. Those of TCP are connection tracking's (`enum
//! tcp_conntrack` in the kernel's `include/uapi/linux/netfilter/nf_conntrack_tcp.h`), which are not the states of sockets.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::Label;

/// The transports that Khan counts. Others appear only in `khan_conntrack_entries{protocol}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Protocol {
    /// IP protocol 6.
    Tcp = 6,
    /// IP protocol 17.
    Udp = 17,
    /// IP protocol 132.
    Sctp = 132,
}

impl Protocol {
    /// Every counted transport.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// From the number in the IP header.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            132 => Some(Self::Sctp),
            _ => None,
        }
    }

    /// The value of the label `transport`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// State of a tracked TCP connection, numbered as in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TcpState {
    /// No packet classified yet.
    #[default]
    None = 0,
    /// SYN seen.
    SynSent = 1,
    /// SYN and ACK seen.
    SynRecv = 2,
    /// Handshake complete, or picked up in midstream.
    Established = 3,
    /// One side sent FIN.
    FinWait = 4,
    /// That FIN was acknowledged: half-closed, by either side.
    CloseWait = 5,
    /// Both sides sent FIN.
    LastAck = 6,
    /// Both FINs acknowledged.
    TimeWait = 7,
    /// Reset, or done waiting.
    Close = 8,
    /// Simultaneous open.
    SynSent2 = 9,
}

impl TcpState {
    /// Every state, in the kernel's order.
    pub const ALL: [Self; 10] = [
        Self::None,
        Self::SynSent,
        Self::SynRecv,
        Self::Established,
        Self::FinWait,
        Self::CloseWait,
        Self::LastAck,
        Self::TimeWait,
        Self::Close,
        Self::SynSent2,
    ];

    /// From `CTA_PROTOINFO_TCP_STATE`.
    pub const fn from_number(number: u8) -> Option<Self> {
        if (number as usize) < Self::ALL.len() { Some(Self::ALL[number as usize]) } else { None }
    }

    /// As `conntrack -L` prints it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::Established => "ESTABLISHED",
            Self::FinWait => "FIN_WAIT",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::SynSent2 => "SYN_SENT2",
        }
    }

    /// Where in its life a connection in this state is.
    pub const fn lifecycle(self) -> Lifecycle {
        match self {
            Self::None | Self::SynSent | Self::SynSent2 => Lifecycle::Opening,
            Self::SynRecv | Self::Established | Self::FinWait | Self::CloseWait | Self::LastAck => Lifecycle::Open,
            Self::TimeWait | Self::Close => Lifecycle::Closed,
        }
    }
}

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// State of a connection, of any transport. On the wire it is its name.
///
/// `O` holds the names that newer agents use and this version does not know: on the wire a [`Label`], so that they are kept
/// and shown as they were sent.
///
/// ```
/// use khan_api::{State, TcpState};
/// let states: Vec<State> = serde_json::from_str(r#"["ESTABLISHED","ASSURED","QUANTUM"]"#).unwrap();
/// assert_eq!(states, [State::Tcp(TcpState::Established), State::Assured, State::Other("QUANTUM".into())]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State<O = Label> {
    /// TCP.
    Tcp(TcpState),
    /// TCP, taken over by a flow table: established, and no longer timed by connection tracking.
    Offload,
    /// UDP or SCTP without an answer.
    Unreplied,
    /// UDP or SCTP with an answer.
    Replied,
    /// UDP or SCTP with a steady exchange.
    Assured,
    /// A state that this version does not know.
    Other(O),
}

/// No name at all: what an unknown state of this version's own would be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Never {}

/// A state that this version knows.
pub type KnownState = State<Never>;

const TCP: usize = TcpState::ALL.len();

impl<O> State<O> {
    /// How many states this version knows.
    pub const KNOWN: usize = TCP + 4;

    /// Dense number of a known state, below [`State::KNOWN`]; the kernel's own for TCP.
    pub fn number(self) -> Result<usize, O> {
        match self {
            Self::Tcp(state) => Ok(state as usize),
            Self::Offload => Ok(TCP),
            Self::Unreplied => Ok(TCP + 1),
            Self::Replied => Ok(TCP + 2),
            Self::Assured => Ok(TCP + 3),
            Self::Other(other) => Err(other),
        }
    }

    /// The known state with this [`State::number`].
    pub const fn from_number(number: usize) -> Option<Self> {
        const OFFLOAD: usize = TCP;
        const UNREPLIED: usize = TCP + 1;
        const REPLIED: usize = TCP + 2;
        const ASSURED: usize = TCP + 3;
        match number {
            0..TCP => Some(Self::Tcp(TcpState::ALL[number])),
            OFFLOAD => Some(Self::Offload),
            UNREPLIED => Some(Self::Unreplied),
            REPLIED => Some(Self::Replied),
            ASSURED => Some(Self::Assured),
            _ => None,
        }
    }

    /// Every known state, by number.
    pub fn all_known() -> impl Iterator<Item = Self> {
        (0..Self::KNOWN).filter_map(Self::from_number)
    }

    /// The known state of this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all_known().find(|state| state.known_name().is_ok_and(|known| known.eq_ignore_ascii_case(name)))
    }

    /// The name of a known state, as `conntrack -L` prints it.
    pub const fn known_name(&self) -> Result<&'static str, &O> {
        match self {
            Self::Tcp(state) => Ok(state.as_str()),
            Self::Offload => Ok("OFFLOAD"),
            Self::Unreplied => Ok("UNREPLIED"),
            Self::Replied => Ok("REPLIED"),
            Self::Assured => Ok("ASSURED"),
            Self::Other(other) => Err(other),
        }
    }

    /// Where in its life such a connection is; a state that is not known counts as open.
    pub const fn lifecycle(&self) -> Lifecycle {
        match self {
            Self::Tcp(state) => state.lifecycle(),
            Self::Unreplied => Lifecycle::Opening,
            Self::Offload | Self::Replied | Self::Assured | Self::Other(_) => Lifecycle::Open,
        }
    }

    /// The same state with something else in place of an unknown name.
    pub fn map<P>(self, f: impl FnOnce(O) -> P) -> State<P> {
        match self {
            Self::Tcp(state) => State::Tcp(state),
            Self::Offload => State::Offload,
            Self::Unreplied => State::Unreplied,
            Self::Replied => State::Replied,
            Self::Assured => State::Assured,
            Self::Other(other) => State::Other(f(other)),
        }
    }
}

impl<O: Deref<Target = str>> State<O> {
    /// Its name.
    pub fn as_str(&self) -> &str {
        self.known_name().unwrap_or_else(|other| other)
    }
}

/// The state of this name, in any case.
impl From<Label> for State {
    fn from(name: Label) -> Self {
        Self::from_name(&name).unwrap_or(Self::Other(name))
    }
}

impl From<&str> for State {
    fn from(name: &str) -> Self {
        Label::from(name).into()
    }
}

impl From<KnownState> for State {
    fn from(state: KnownState) -> Self {
        state.map(|never| match never {})
    }
}

impl Deref for Never {
    type Target = str;

    fn deref(&self) -> &str {
        match *self {}
    }
}

/// By name, so that counts by state are written in the order of their names.
impl<O: Deref<Target = str> + Eq> Ord for State<O> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl<O: Deref<Target = str> + Eq> PartialOrd for State<O> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<O: Deref<Target = str>> fmt::Display for State<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<O: Deref<Target = str>> Serialize for State<O> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Label::deserialize(deserializer).map(Self::from)
    }
}

/// Whether a tracked connection is being opened, holds resources at both ends, or is only remembered by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// `SYN_SENT`, `SYN_SENT2`; a UDP or SCTP entry without a reply.
    Opening,
    /// `SYN_RECV` to `LAST_ACK`, and offloaded entries; a UDP or SCTP entry with a reply.
    Open,
    /// `TIME_WAIT`, `CLOSE`.
    Closed,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_state_is_its_name_and_its_number() {
        for (number, state) in KnownState::all_known().enumerate() {
            assert_eq!((state.number(), KnownState::from_number(number)), (Ok(number), Some(state)));
            assert_eq!(KnownState::from_name(&state.as_str().to_ascii_lowercase()), Some(state));
            let text = serde_json::to_string(&state).unwrap();
            assert_eq!(text, format!("{:?}", state.as_str()));
            assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state.into());
        }
        assert_eq!(
            (KnownState::all_known().count(), KnownState::from_number(KnownState::KNOWN)),
            (KnownState::KNOWN, None)
        );
        assert_eq!(size_of::<KnownState>(), 1);
    }

    #[test]
    fn a_newer_agents_state_is_kept_and_shown_as_it_was_sent() {
        let text = r#"{"ESTABLISHED":2,"QUANTUM":3,"REPLIED":1}"#;
        let states: BTreeMap<State, u64> = serde_json::from_str(text).unwrap();
        assert_eq!(states[&State::Other("QUANTUM".into())], 3);
        assert_eq!(serde_json::to_string(&states).unwrap(), text);
        assert_eq!(State::Other(Label::from("QUANTUM")).lifecycle(), Lifecycle::Open);
    }

    #[test]
    fn numbers_are_the_kernels() {
        for (number, state) in TcpState::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, number);
            assert_eq!(TcpState::from_number(u8::try_from(number).unwrap()), Some(state));
        }
        assert_eq!(TcpState::from_number(10), None);
        assert_eq!(TcpState::from_number(3).unwrap().as_str(), "ESTABLISHED");
        assert_eq!(Protocol::from_number(132), Some(Protocol::Sctp));
        assert_eq!(Protocol::from_number(94), None);
    }
}
