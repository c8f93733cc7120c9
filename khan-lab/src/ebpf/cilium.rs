//! Entries as Cilium's eBPF programs write them (`bpf/lib/conntrack.h`, `bpf/lib/common.h`): in, connections; out, keys and
//! values.

use std::net::SocketAddr;
use std::time::Duration;

use khan_api::Protocol;

use super::connection::{Connection, Here, Stage, Way};
use super::entry::{Entry, octets, put};

/// Every map, with the bytes of its keys. Values have [`VALUE`] bytes.
pub const MAPS: [(&str, usize); 4] = [
    ("cilium_ct4_global", 14),
    ("cilium_ct_any4_global", 14),
    ("cilium_ct6_global", 38),
    ("cilium_ct_any6_global", 38),
];

/// Bytes of every value.
pub const VALUE: usize = 56;

/// What the data plane counts time in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Seconds of the monotonic clock.
    Seconds,
    /// Units of 256 jiffies, this many a second.
    Jiffies(u64),
}

impl Clock {
    /// The reading this long after boot.
    fn at(self, uptime: Duration) -> u32 {
        let units = match self {
            Self::Seconds => uptime.as_secs(),
            // Jiffies start five minutes before they would overflow 32 bits.
            Self::Jiffies(hz) => {
                ((1 << 32) - 300 * hz + u64::try_from(uptime.as_millis()).expect("ages") * hz / 1000) >> 8
            }
        };
        u32::try_from(units).expect("decades")
    }

    fn units(self, seconds: u64) -> u32 {
        let units = match self {
            Self::Seconds => seconds,
            Self::Jiffies(hz) => (seconds * hz) >> 8,
        };
        u32::try_from(units).expect("hours")
    }
}

/// Bits of a key's flags.
const OUT: u8 = 0;
const IN: u8 = 1;
const SERVICE: u8 = 4;

/// Bits of a value's flags.
const RX_CLOSING: u16 = 1 << 0;
const TX_CLOSING: u16 = 1 << 1;
const LOOPBACK: u16 = 1 << 3;
const SEEN_NON_SYN: u16 = 1 << 4;
const NODE_PORT: u16 = 1 << 5;
const DSR: u16 = 1 << 7;

/// Bits of the TCP header.
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// The address that a pod's calls of itself appear to come from.
const LOOPBACK_V4: [u8; 4] = [169, 254, 42, 1];

/// The entries of a connection, `now` after boot.
pub fn entries(connection: &Connection, clock: Clock, now: Duration) -> Vec<Entry> {
    let write = Write { connection, clock, last: now.saturating_sub(Duration::from_secs(connection.idle.into())) };
    let mut entries = Vec::new();
    let into = matches!(connection.here, Here::Backend | Here::Both);
    // Answers that do not come back this way are not tracked here, but where they leave.
    let out = match connection.here {
        Here::Neither => connection.way != Way::Dsr,
        Here::Backend => write.answers_directly(),
        Here::Client | Here::Both => true,
    };
    if connection.is_translated() && connection.here != Here::Backend {
        entries.push(write.service());
    }
    let client = match (connection.way, connection.client) {
        (Way::Hairpin, SocketAddr::V4(client)) => (LOOPBACK_V4, client.port()).into(),
        _ => connection.client,
    };
    if out {
        entries.push(write.one(OUT, client));
    }
    if into {
        entries.push(write.one(IN, client));
    }
    entries
}

struct Write<'a> {
    connection: &'a Connection,
    clock: Clock,
    /// When the last packet passed.
    last: Duration,
}

impl Write<'_> {
    /// Whether this node's backend answers a client that dialled another node.
    fn answers_directly(&self) -> bool {
        self.connection.way == Way::Dsr && self.connection.here == Here::Backend
    }

    /// An entry for the packets of one end.
    fn one(&self, flags: u8, client: SocketAddr) -> Entry {
        let connection = self.connection;
        let directly = flags == OUT && self.answers_directly();
        let [client_ended, backend_ended] = connection.ended();
        let reset = client_ended.rst || backend_ended.rst;
        let seen = |answers: bool, ended: super::connection::End| {
            let begun = match (connection.stage, answers) {
                (Stage::Opening, true) => 0,
                (Stage::Opening | Stage::Answered, false) => SYN,
                (Stage::Reset, true) if connection.traffic[1].0 <= 1 => 0,
                _ => SYN | ACK,
            };
            begun | if ended.fin { FIN } else { 0 } | if ended.rst { RST } else { 0 }
        };
        // The direction in which the entry was made is the client's: transmitted for OUT, received for IN.
        let of_client = (client_ended.fin || reset, seen(false, client_ended));
        let of_backend = (backend_ended.fin || reset, seen(true, backend_ended));
        let (tx, rx) = if flags == OUT { (of_client, of_backend) } else { (of_backend, of_client) };
        let mut bits = 0;
        let tcp = connection.protocol == Protocol::Tcp;
        for (bit, holds) in [
            (RX_CLOSING, tcp && rx.0),
            (TX_CLOSING, tcp && tx.0),
            (LOOPBACK, connection.way == Way::Hairpin),
            (SEEN_NON_SYN, tcp && !matches!(connection.stage, Stage::Opening | Stage::Answered)),
            (NODE_PORT, matches!(connection.way, Way::NodePort | Way::Dsr) && !self.answers_directly()),
            (DSR, directly),
        ] {
            if holds {
                bits |= bit;
            }
        }
        let mut value = self.value(bits);
        if directly {
            // Since Cilium 1.19; an IPv4 address in the last four bytes.
            let dialled = octets(connection.dialled);
            put(&mut value, 16 - dialled.len(), dialled);
            put(&mut value, 40, connection.dialled.port().to_be_bytes());
        } else if flags == OUT && connection.is_translated() {
            put(&mut value, 38, self.number().to_be_bytes());
        }
        if tcp {
            (value[42], value[43]) = (tx.1, rx.1);
        }
        let [(sent, bytes_sent), (received, bytes_received)] = connection.traffic;
        put(&mut value, 16, u64::from(sent + received).to_ne_bytes());
        put(&mut value, 24, (bytes_sent + bytes_received).to_ne_bytes());
        let last = self.clock.at(self.last).to_ne_bytes();
        let [sent, received] = [sent, received].map(|packets| if packets > 0 { last } else { [0; 4] });
        let (tx, rx) = if flags == OUT { (sent, received) } else { (received, sent) };
        put(&mut value, 48, tx);
        put(&mut value, 52, rx);
        self.entry(self.key(client, connection.backend, flags), value)
    }

    /// What was dialled, and the number of the backend that was chosen.
    fn service(&self) -> Entry {
        let mut value = self.value(0);
        put(&mut value, 8, 7_u64.to_ne_bytes());
        put(&mut value, 38, self.number().to_be_bytes());
        put(&mut value, 48, self.clock.at(self.last).to_ne_bytes());
        // The other way round than the other keys.
        let key = self.key(self.connection.dialled, self.connection.client, SERVICE);
        self.entry(key, value)
    }

    /// The number of what was dialled, by which the client's entry refers to it.
    fn number(&self) -> u16 {
        let last = octets(self.connection.dialled).last().copied().unwrap_or_default();
        u16::from(last) << 8 | self.connection.dialled.port() & 0xff
    }

    /// First the end at place 0, whose port is the second.
    fn key(&self, first: SocketAddr, second: SocketAddr, flags: u8) -> Vec<u8> {
        let mut key = octets(first);
        key.extend(octets(second));
        key.extend(second.port().to_be_bytes());
        key.extend(first.port().to_be_bytes());
        key.extend([self.connection.protocol as u8, flags]);
        key
    }

    fn value(&self, flags: u16) -> Vec<u8> {
        let connection = self.connection;
        let lifetime = match (connection.protocol, connection.stage) {
            (Protocol::Tcp, Stage::Closed | Stage::Reset) => 10,
            (Protocol::Tcp, Stage::Opening | Stage::Answered) => 60,
            (Protocol::Tcp, _) => 8000,
            _ => 60,
        };
        let mut value = vec![0; VALUE];
        put(&mut value, 32, (self.clock.at(self.last) + self.clock.units(lifetime)).to_ne_bytes());
        put(&mut value, 36, flags.to_ne_bytes());
        put(&mut value, 44, 0x0001_0203_u32.to_ne_bytes());
        value
    }

    fn entry(&self, key: Vec<u8>, value: Vec<u8>) -> Entry {
        let map = match (self.connection.client.is_ipv6(), self.connection.protocol == Protocol::Tcp) {
            (false, true) => "cilium_ct4_global",
            (false, false) => "cilium_ct_any4_global",
            (true, true) => "cilium_ct6_global",
            (true, false) => "cilium_ct_any6_global",
        };
        Entry { map, key, value }
    }
}
