//! Transport protocols and the TCP states of connection tracking (`enum tcp_conntrack` in the kernel's
//! `include/uapi/linux/netfilter/nf_conntrack_tcp.h`), which are not the states of sockets.

use std::fmt;

use serde::{Deserialize, Serialize};

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
    use super::*;

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
