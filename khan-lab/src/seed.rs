//! Synthetic entries, put into the kernel's table through ctnetlink NEW.

use std::net::{IpAddr, SocketAddr};

use khan_api::{Protocol, TcpState};
use netlink_packet_core::{
    DefaultNla, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
pub use netlink_packet_netfilter::conntrack::Status;
use netlink_packet_netfilter::conntrack::{
    ConntrackAttribute as Attribute, ConntrackMessage, IPTuple, ProtoInfo, ProtoInfoTCP, ProtoTuple, TCPFlags,
    Tuple as TupleAttribute,
};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterProtoFamily};
use netlink_sys::{Socket, SocketAddr as NetlinkAddr};

use crate::witness::Tuple;
use crate::{LabError, Result};

const NETLINK_NETFILTER: isize = 12;
const CTA_ZONE: u16 = 18;
/// `IP_CT_TCP_FLAG_CLOSE_INIT`: "This sender sent FIN first".
const CLOSE_INIT: u8 = 0x04;
/// A batch stays below the default send buffer.
const BATCH_BYTES: usize = 64 * 1024;
const LONGEST_MESSAGE: usize = 512;
const MSG_DONTWAIT: i32 = 0x40;

/// Which side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closer {
    /// The client sent the first FIN.
    Client,
    /// The server sent the first FIN.
    Server,
}

/// An entry to be made. Starts as an established, assured connection without NAT, with ten minutes left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed {
    /// IP protocol number; any, not only those that Khan counts.
    pub protocol: u8,
    /// Original direction.
    pub orig: Tuple,
    /// Reply direction; anything that the kernel should believe.
    pub reply: Tuple,
    /// Conntrack zone.
    pub zone: u16,
    /// Seconds until the entry goes.
    pub timeout: u32,
    /// `IPS_` bits; `CONFIRMED` is added.
    pub status: Status,
    /// State of a TCP connection.
    pub tcp_state: TcpState,
    /// Who sent the first FIN.
    pub closed_first: Option<Closer>,
    /// Connection mark.
    pub mark: u32,
}

impl Seed {
    /// A connection from `client` to `server`, both of one address family.
    pub fn new(protocol: Protocol, client: impl Into<SocketAddr>, server: impl Into<SocketAddr>) -> Self {
        let orig = Tuple::new(client, server);
        Self {
            protocol: protocol as u8,
            orig,
            reply: orig.reversed(),
            zone: 0,
            timeout: 600,
            status: Status::SeenReply | Status::Assured,
            tcp_state: TcpState::Established,
            closed_first: None,
            mark: 0,
        }
    }

    /// An established TCP connection.
    pub fn tcp(client: impl Into<SocketAddr>, server: impl Into<SocketAddr>) -> Self {
        Self::new(Protocol::Tcp, client, server)
    }

    /// A UDP exchange that the kernel takes for a stream.
    pub fn udp(client: impl Into<SocketAddr>, server: impl Into<SocketAddr>) -> Self {
        Self::new(Protocol::Udp, client, server)
    }

    /// Sets the backend that really answers (destination NAT).
    #[must_use]
    pub fn backend(mut self, backend: impl Into<SocketAddr>) -> Self {
        let backend = backend.into();
        (self.reply.src, self.reply.src_port) = (backend.ip(), backend.port());
        self
    }

    /// Sets the address that answers go to, which the client appears to have (source NAT).
    #[must_use]
    pub fn masqueraded_as(mut self, address: impl Into<SocketAddr>) -> Self {
        let address = address.into();
        (self.reply.dst, self.reply.dst_port) = (address.ip(), address.port());
        self
    }

    /// Conntrack zone.
    #[must_use]
    pub fn zone(mut self, zone: u16) -> Self {
        self.zone = zone;
        self
    }

    /// Seconds left.
    #[must_use]
    pub fn timeout(mut self, seconds: u32) -> Self {
        self.timeout = seconds;
        self
    }

    /// TCP state.
    #[must_use]
    pub fn state(mut self, state: TcpState) -> Self {
        self.tcp_state = state;
        self
    }

    /// Who sent the first FIN; sets the flag that the kernel keeps for it.
    #[must_use]
    pub fn closed_first(mut self, closer: Closer) -> Self {
        self.closed_first = Some(closer);
        self
    }

    /// Only packets from the client were seen.
    #[must_use]
    pub fn unreplied(mut self) -> Self {
        self.status -= Status::SeenReply | Status::Assured;
        self
    }

    /// Answers were seen, but too few to keep the entry if the table is full.
    #[must_use]
    pub fn unassured(mut self) -> Self {
        self.status -= Status::Assured;
        self
    }

    fn message(&self) -> NetlinkMessage<NetfilterMessage> {
        let family = match self.orig.src {
            IpAddr::V4(_) => NetfilterProtoFamily::IPv4,
            IpAddr::V6(_) => NetfilterProtoFamily::IPv6,
        };
        let mut attributes = vec![
            Attribute::CtaTupleOrig(self.tuple(self.orig)),
            Attribute::CtaTupleReply(self.tuple(self.reply)),
            // Flags that the kernel has already set may not be missing, and it sets this one at creation.
            Attribute::CtaStatus(self.status | Status::Confirmed),
            Attribute::CtaTimeout(self.timeout),
        ];
        if self.protocol == Protocol::Tcp as u8 {
            attributes.push(Attribute::CtaProtoInfo(vec![self.tcp_info()]));
        }
        if self.mark != 0 {
            attributes.push(Attribute::CtaMark(self.mark));
        }
        if self.zone != 0 {
            attributes.push(Attribute::Other(DefaultNla::new(CTA_ZONE, self.zone.to_be_bytes().to_vec())));
        }
        let inner = NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), ConntrackMessage::New(attributes));
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(inner));
        message.finalize();
        message
    }

    fn tuple(&self, tuple: Tuple) -> Vec<TupleAttribute> {
        vec![
            TupleAttribute::Ip(vec![IPTuple::SourceAddress(tuple.src), IPTuple::DestinationAddress(tuple.dst)]),
            TupleAttribute::Proto(vec![
                ProtoTuple::Protocol(self.protocol.into()),
                ProtoTuple::SourcePort(tuple.src_port),
                ProtoTuple::DestinationPort(tuple.dst_port),
            ]),
        ]
    }

    fn tcp_info(&self) -> ProtoInfo {
        let flags = |closer| {
            let flags = if self.closed_first == Some(closer) { CLOSE_INIT } else { 0 };
            TCPFlags::parse(&[flags, CLOSE_INIT]).expect("two bytes")
        };
        ProtoInfo::TCP(vec![
            ProtoInfoTCP::State(self.tcp_state as u8),
            ProtoInfoTCP::OriginalFlags(flags(Closer::Client)),
            ProtoInfoTCP::ReplyFlags(flags(Closer::Server)),
        ])
    }
}

/// Sends every seed from the calling thread's namespace, without asking for acknowledgements: refusals arrive anyway.
pub(crate) fn insert(seeds: impl IntoIterator<Item = Seed>) -> Result<u64> {
    let failed = |what: &str| LabError::io(format!("{what} for synthetic conntrack entries"));
    let mut socket = Socket::new(NETLINK_NETFILTER).map_err(failed("cannot open a netlink socket"))?;
    socket.bind_auto().map_err(failed("cannot bind a netlink socket"))?;
    let mut batch = vec![0; BATCH_BYTES];
    let (mut used, mut sent) = (0, 0);
    for seed in seeds {
        let message = seed.message();
        message.serialize(&mut batch[used..]);
        used += message.buffer_len();
        sent += 1;
        if used + LONGEST_MESSAGE > batch.len() {
            send(&socket, &batch[..used])?;
            used = 0;
        }
    }
    send(&socket, &batch[..used])?;
    Ok(sent)
}

fn send(socket: &Socket, batch: &[u8]) -> Result {
    if batch.is_empty() {
        return Ok(());
    }
    let kernel = NetlinkAddr::new(0, 0);
    let sent = socket.send_to(batch, &kernel, 0).map_err(LabError::io("cannot send synthetic conntrack entries"))?;
    if sent != batch.len() {
        return Err(LabError::Malformed(format!("the kernel took {sent} of {} bytes", batch.len())));
    }
    // The kernel has handled the whole batch when `send_to` returns, so a refusal is already waiting.
    let mut answer = Vec::with_capacity(8192);
    match socket.recv(&mut answer, MSG_DONTWAIT) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(LabError::Io { what: "cannot read the kernel's answer".into(), source: error }),
        Ok(_) => match NetlinkMessage::<NetfilterMessage>::deserialize(&answer) {
            Ok(NetlinkMessage { payload: NetlinkPayload::Error(error), .. }) => {
                Err(LabError::Io { what: "the kernel refused a synthetic entry".into(), source: error.to_io() })
            }
            other => Err(LabError::Malformed(format!("unexpected answer to a synthetic entry: {other:?}"))),
        },
    }
}
