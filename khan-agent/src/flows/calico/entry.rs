//! One entry of Calico's map: in, key and value; out, the connection that it keeps track of, or why there is none.

use khan_api::{Protocol, TcpState};

use super::layout::{End, Key, Kind, Leg, NoValue, Value};
use super::lifetime::Phase;
use crate::flows::flow::{Flow, Status, Tcp, Tuple};

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// All but the idle time.
    pub flow: Flow,
    /// What its timeout depends on.
    pub phase: Phase,
    /// When the last packet passed, in nanoseconds of `CLOCK_MONOTONIC`.
    pub last_seen: u64,
    /// Bytes from the client and to it; absent before Calico 3.30, which does not count them.
    pub bytes: Option<[u64; 2]>,
}

/// Why an entry could not be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Key or value has a size that no known version writes.
    #[error("an entry has another size")]
    Size,
    /// Entries of this type are not known.
    #[error("entries of type {0} are not known")]
    Kind(u8),
    /// The protocol does not fit an IP header.
    #[error("there is no protocol {0}")]
    Protocol(u32),
}

/// The connection of an entry with addresses of `N` bytes. None for entries that another one counts: those that only lead from a
/// service address to the entry of the connection, and those of connections that this node hands on to the backend's node,
/// which keeps track of them with the same client and the same service address.
#[inline]
pub fn read<const N: usize>(key: &[u8], value: &[u8]) -> Result<Option<Connection>, Refused> {
    let value = Value::read::<N>(value).map_err(|error| match error {
        NoValue::Size => Refused::Size,
        NoValue::Kind(number) => Refused::Kind(number),
    })?;
    if value.kind == Kind::NatForward || value.flags & Value::FORWARDED != 0 {
        return Ok(None);
    }
    let key = Key::read::<N>(key).ok_or(Refused::Size)?;
    let protocol = u8::try_from(key.protocol).map_err(|_| Refused::Protocol(key.protocol))?;
    Ok(Some(connection(protocol, key, &value)))
}

#[inline]
fn connection(protocol: u8, key: Key, value: &Value) -> Connection {
    let b_opened = match (value.a.has(Leg::OPENER), value.b.has(Leg::OPENER)) {
        (false, true) => true,
        (true, false) => false,
        _ => value.flags & Value::B_OPENED != 0,
    };
    // The client's end and leg first.
    let ([near, backend], [client, server]) =
        if b_opened { ([key.b, key.a], [value.b, value.a]) } else { ([key.a, key.b], [value.a, value.b]) };
    let (source, dialled) = match value.kind {
        Kind::NatReverse => (or(value.source, near), or(value.dialled, backend)),
        Kind::Normal | Kind::NatForward => (near, backend),
    };
    let counted = client.packets != 0;
    let mut flow = Flow { original: tuple(source, dialled), reply: tuple(backend, near), protocol, ..Flow::default() };
    let phase = match protocol {
        TCP => {
            let (tcp, phase) = tcp(client, server);
            flow.tcp = Some(tcp);
            phase
        }
        UDP => Phase::Udp,
        ICMP | ICMP_V6 => Phase::Icmp,
        _ => Phase::Other,
    };
    // Where packets are not counted nothing tells whether a datagram was answered, and nobody is blamed for silence.
    if server.packets != 0 || server.has(Leg::SYN) || protocol != TCP && !counted {
        flow.status = Status(Status::SEEN_REPLY);
    }
    if !matches!(protocol, TCP | UDP | SCTP) {
        for tuple in [&mut flow.original, &mut flow.reply] {
            (tuple.src_port, tuple.dst_port) = (0, 0);
        }
    }
    let bytes = counted.then_some([client.bytes, server.bytes]);
    Connection { flow, phase, last_seen: value.last_seen, bytes }
}

const TCP: u8 = Protocol::Tcp as u8;
const UDP: u8 = Protocol::Udp as u8;
const SCTP: u8 = Protocol::Sctp as u8;
const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;

/// What is there of `first`, the rest of `second`.
#[inline]
fn or(first: End, second: End) -> End {
    let none = first.address.v4().map_or(first.address.bits() == 0, |bits| bits == 0);
    End {
        address: if none { second.address } else { first.address },
        port: if first.port == 0 { second.port } else { first.port },
    }
}

fn tuple(src: End, dst: End) -> Tuple {
    Tuple { src: src.address, dst: dst.address, src_port: src.port, dst_port: dst.port }
}

/// State and flags by the packets seen, like the states that `calico-node -bpf conntrack dump` prints, but with those apart that
/// only one end has closed. Calico does not follow acknowledgements: one FIN is `CLOSE_WAIT`, two are `TIME_WAIT`, and data that
/// awaits its acknowledgement is not known.
#[inline]
fn tcp(client: Leg, server: Leg) -> (Tcp, Phase) {
    const SHAKEN: u32 = Leg::SYN | Leg::ACK;
    let fins = [client.has(Leg::FIN), server.has(Leg::FIN)];
    let established = client.bits & server.bits & SHAKEN == SHAKEN;
    let waiting = if established { Phase::Established } else { Phase::Handshake };
    let (state, phase) = match fins {
        [true, true] => (TcpState::TimeWait, Phase::Finished),
        _ if client.has(Leg::RST) || server.has(Leg::RST) => (TcpState::Close, Phase::Reset),
        [true, _] | [_, true] => (TcpState::CloseWait, waiting),
        _ if established => (TcpState::Established, waiting),
        _ if server.has(Leg::SYN) || server.packets != 0 => (TcpState::SynRecv, waiting),
        _ => (TcpState::SynSent, waiting),
    };
    // Who closed first is known only while the other end has not closed.
    let first = |own: bool, other: bool| if own && !other { Tcp::CLOSE_INIT } else { 0 };
    (Tcp { state, flags_original: first(fins[0], fins[1]), flags_reply: first(fins[1], fins[0]) }, phase)
}
