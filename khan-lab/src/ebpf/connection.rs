//! A connection as an eBPF data plane sees it on one node, before it is anybody's bytes.

use std::net::SocketAddr;

use khan_api::Protocol;

use crate::seed::Closer;

/// One connection. Starts established, between a pod of this node and another's, with its last packet just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Transport.
    pub protocol: Protocol,
    /// Who opened it.
    pub client: SocketAddr,
    /// What it dialled: a service address, or the backend itself.
    pub dialled: SocketAddr,
    /// Who answers.
    pub backend: SocketAddr,
    /// How far it is.
    pub stage: Stage,
    /// Seconds since its last packet.
    pub idle: u32,
    /// Which of its ends are pods of this node.
    pub here: Here,
    /// What the data plane does with it on its way.
    pub way: Way,
    /// What the backend sees in place of the client.
    pub masqueraded_as: Option<SocketAddr>,
    /// Packets and bytes from the client, and to it.
    pub traffic: [(u32, u64); 2],
}

/// How far a connection is. UDP and SCTP know only the first and [`Stage::Open`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Tried, and not answered.
    Opening,
    /// SYN and SYN-ACK.
    Answered,
    /// Established.
    Open,
    /// One end has sent its FIN.
    HalfClosed(Closer),
    /// Both have.
    Closed,
    /// The backend has sent a RST.
    Reset,
}

/// Which ends of a connection are on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Here {
    /// The client.
    Client,
    /// The backend.
    Backend,
    /// Both.
    Both,
    /// Neither: it only passes through.
    Neither,
}

/// What happens to a connection on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Nothing but the translation of a service address.
    Direct,
    /// It comes in through a node port.
    NodePort,
    /// The same, and where the backend is on another node, that node answers the client directly.
    Dsr,
    /// It leads back to the pod that opened it.
    Hairpin,
}

impl Connection {
    /// From `client` straight to `server`.
    pub fn new(protocol: Protocol, client: impl Into<SocketAddr>, server: impl Into<SocketAddr>) -> Self {
        let (client, server) = (client.into(), server.into());
        Self {
            protocol,
            client,
            dialled: server,
            backend: server,
            stage: Stage::Open,
            idle: 0,
            here: Here::Client,
            way: Way::Direct,
            masqueraded_as: None,
            traffic: [(10, 1000), (8, 4000)],
        }
    }

    /// Over TCP.
    pub fn tcp(client: impl Into<SocketAddr>, server: impl Into<SocketAddr>) -> Self {
        Self::new(Protocol::Tcp, client, server)
    }

    /// Over UDP.
    pub fn udp(client: impl Into<SocketAddr>, server: impl Into<SocketAddr>) -> Self {
        Self::new(Protocol::Udp, client, server)
    }

    /// Sets the backend; what was dialled is a service address then.
    #[must_use]
    pub fn backend(mut self, backend: impl Into<SocketAddr>) -> Self {
        self.backend = backend.into();
        self
    }

    /// Sets what the backend sees in place of the client.
    #[must_use]
    pub fn masqueraded_as(mut self, address: impl Into<SocketAddr>) -> Self {
        self.masqueraded_as = Some(address.into());
        self
    }

    /// How far it is.
    #[must_use]
    pub fn stage(mut self, stage: Stage) -> Self {
        self.stage = stage;
        if stage == Stage::Opening {
            self.traffic = [(1, 60), (0, 0)];
        }
        self
    }

    /// Seconds since its last packet.
    #[must_use]
    pub fn idle(mut self, seconds: u32) -> Self {
        self.idle = seconds;
        self
    }

    /// Which ends are on this node.
    #[must_use]
    pub fn here(mut self, here: Here) -> Self {
        self.here = here;
        self
    }

    /// What happens to it on its way.
    #[must_use]
    pub fn way(mut self, way: Way) -> Self {
        self.way = way;
        self
    }

    /// Whether a service address was translated.
    pub fn is_translated(&self) -> bool {
        self.dialled != self.backend
    }

    /// What the backend sees as the client.
    pub fn seen(&self) -> SocketAddr {
        self.masqueraded_as.unwrap_or(self.client)
    }

    /// The FINs and RSTs sent, by the client and by the backend.
    pub(super) fn ended(&self) -> [End; 2] {
        let fin = End { fin: true, rst: false };
        let none = End::default();
        match self.stage {
            Stage::Opening | Stage::Answered | Stage::Open => [none; 2],
            Stage::HalfClosed(Closer::Client) => [fin, none],
            Stage::HalfClosed(Closer::Server) => [none, fin],
            Stage::Closed => [fin; 2],
            Stage::Reset => [none, End { fin: false, rst: true }],
        }
    }
}

/// How one end has ended its part.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End {
    pub(super) fin: bool,
    pub(super) rst: bool,
}
