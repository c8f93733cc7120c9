//! One entry of a connection table, as a value.

use khan_api::TcpState;

use super::address::Address;

/// One direction of an entry. Ports are zero for protocols without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Source address.
    pub src: Address,
    /// Destination address.
    pub dst: Address,
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
}

/// What connection tracking knows of a TCP entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tcp {
    /// State, by the conntrack enum.
    pub state: TcpState,
    /// Flags of the original direction: the constants below.
    pub flags_original: u8,
    /// Flags of the reply direction.
    pub flags_reply: u8,
}

impl Tcp {
    /// `IP_CT_TCP_FLAG_CLOSE_INIT`: this side sent the first FIN.
    pub const CLOSE_INIT: u8 = 0x04;
    /// `IP_CT_TCP_FLAG_BE_LIBERAL`: set on both sides when the entry began in midstream, without a handshake.
    pub const BE_LIBERAL: u8 = 0x08;
    /// `IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED`: this side's data awaits an acknowledgement.
    pub const DATA_UNACKNOWLEDGED: u8 = 0x10;

    /// Whether the connection is established and data of either side awaits an acknowledgement.
    #[inline]
    pub const fn is_unacknowledged(self) -> bool {
        matches!(self.state, TcpState::Established)
            && (self.flags_original | self.flags_reply) & Self::DATA_UNACKNOWLEDGED != 0
    }
}

/// `CTA_STATUS`: the bits `IPS_*` of `include/uapi/linux/netfilter/nf_conntrack_common.h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Status(pub u32);

impl Status {
    /// Packets went both ways.
    pub const SEEN_REPLY: u32 = 1 << 1;
    /// Never dropped early in favour of a newer entry.
    pub const ASSURED: u32 = 1 << 2;
    /// Packets do not renew the timeout.
    pub const FIXED_TIMEOUT: u32 = 1 << 10;
    /// A flow table forwards its packets past connection tracking.
    pub const OFFLOAD: u32 = 1 << 14;

    /// Whether the bit is set.
    pub const fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }
}

/// One entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flow {
    /// As the first packet came: from the client to what it dialled.
    pub original: Tuple,
    /// As answers come: from who answers to where they go. Differs from the mirrored original exactly under NAT.
    pub reply: Tuple,
    /// Number of the transport protocol in the IP header.
    pub protocol: u8,
    /// Status bits.
    pub status: Status,
    /// Seconds until the kernel forgets the entry; none for offloaded entries.
    pub timeout: Option<u32>,
    /// Present for TCP, except where a flow table took over.
    pub tcp: Option<Tcp>,
    /// Zone; 0 is the default one.
    pub zone: u16,
    /// Seconds since the last packet, where the reader knows it.
    pub idle: Option<u32>,
}

impl Flow {
    /// Client, what it dialled, and who answers.
    #[inline]
    pub const fn ends(&self) -> [Address; 3] {
        [self.original.src, self.original.dst, self.reply.src]
    }

    /// The same as numbers, when all are IPv4 addresses.
    #[inline]
    pub const fn ends_v4(&self) -> Option<[u32; 3]> {
        match [self.original.src.v4(), self.original.dst.v4(), self.reply.src.v4()] {
            [Some(client), Some(service), Some(backend)] => Some([client, service, backend]),
            _ => None,
        }
    }

    /// The same connection seen from its other end: the client becomes the server.
    #[must_use]
    pub fn turned(self) -> Self {
        Self {
            original: self.reply,
            reply: self.original,
            tcp: self.tcp.map(|tcp| Tcp { flags_original: tcp.flags_reply, flags_reply: tcp.flags_original, ..tcp }),
            ..self
        }
    }
}
