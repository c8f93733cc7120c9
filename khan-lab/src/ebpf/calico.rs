//! Entries as Calico's eBPF programs write them (`felix/bpf-gpl/conntrack.h`): in, connections; out, keys and values.

use std::net::SocketAddr;
use std::time::Duration;

use khan_api::Protocol;

use super::connection::{Connection, Stage, Way};
use super::entry::{Entry, octets, put};

/// Which maps there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Calico 3.24 to 3.29: a hash, without counters.
    Three,
    /// Since Calico 3.31: an LRU hash.
    Four,
}

impl Version {
    /// Name of the map for this family.
    pub const fn map(self, v6: bool) -> &'static str {
        match (self, v6) {
            (Self::Three, false) => "cali_v4_ct3",
            (Self::Three, true) => "cali_v6_ct3",
            (Self::Four, false) => "cali_v4_ct4",
            (Self::Four, true) => "cali_v6_ct4",
        }
    }

    /// Bytes of keys and values for this family.
    pub const fn sizes(v6: bool) -> (usize, usize) {
        if v6 { (40, 128) } else { (16, 88) }
    }
}

const NORMAL: u8 = 0;
const FORWARD: u8 = 1;
const REVERSE: u8 = 2;

const NAT_OUT: u16 = 0x01;
const DSR_FORWARDED: u16 = 0x02;
const FORWARDED: u16 = 0x04;
const B_TO_A: u16 = 0x100;
const SELF: u16 = 0x400;

/// Two ends in the order of a key; true when the second of the given is the first there.
fn ordered(src: SocketAddr, dst: SocketAddr) -> (SocketAddr, SocketAddr, bool) {
    // The kernel's programs compare addresses as the machine's own numbers.
    let number = |end: SocketAddr| {
        let words = octets(end);
        let words: Vec<u32> = words.chunks(4).map(|word| u32::from_ne_bytes(word.try_into().expect("four"))).collect();
        (words, end.port())
    };
    if number(src) < number(dst) { (src, dst, false) } else { (dst, src, true) }
}

fn key(protocol: Protocol, src: SocketAddr, dst: SocketAddr) -> (Vec<u8>, bool) {
    let (a, b, swapped) = ordered(src, dst);
    let mut key = u32::from(protocol as u8).to_ne_bytes().to_vec();
    key.extend(octets(a));
    key.extend(octets(b));
    key.extend(a.port().to_ne_bytes());
    key.extend(b.port().to_ne_bytes());
    (key, swapped)
}

/// The entries of a connection, `now` after boot.
pub fn entries(version: Version, connection: &Connection, now: Duration) -> Vec<Entry> {
    let last_seen = now.saturating_sub(Duration::from_secs(connection.idle.into()));
    let write = Write { version, connection, last_seen: u64::try_from(last_seen.as_nanos()).expect("centuries") };
    match (connection.is_translated(), connection.masqueraded_as) {
        (true, _) => vec![write.forward(), write.tracking(REVERSE, connection.seen(), write.way())],
        (false, None) => vec![write.tracking(NORMAL, connection.client, write.way())],
        // Masqueraded by iptables on the way out: the programs of pod and interface see two connections.
        (false, Some(seen)) => {
            vec![write.tracking(NORMAL, connection.client, NAT_OUT), write.tracking(NORMAL, seen, 0)]
        }
    }
}

struct Write<'a> {
    version: Version,
    connection: &'a Connection,
    last_seen: u64,
}

impl Write<'_> {
    fn way(&self) -> u16 {
        match self.connection.way {
            Way::Direct => 0,
            Way::NodePort => FORWARDED,
            Way::Dsr => FORWARDED | DSR_FORWARDED,
            Way::Hairpin => SELF,
        }
    }

    /// A value with what all kinds have.
    fn value(&self, kind: u8, flags: u16) -> Vec<u8> {
        let (_, size) = Version::sizes(self.connection.client.is_ipv6());
        let mut value = vec![0; size];
        if self.version == Version::Three {
            // When the entry was made, which is a timestamp of the last RST in later versions.
            put(&mut value, 0, self.last_seen.saturating_sub(1_000_000_000).to_ne_bytes());
        }
        put(&mut value, 8, self.last_seen.to_ne_bytes());
        let [low, high] = flags.to_le_bytes();
        (value[16], value[17], value[23]) = (kind, low, high);
        value
    }

    /// By the address that was dialled, with the key of the entry that keeps track.
    fn forward(&self) -> Entry {
        let Connection { protocol, client, dialled, backend, .. } = *self.connection;
        let mut value = self.value(FORWARD, 0);
        put(&mut value, 24, key(protocol, self.connection.seen(), backend).0);
        self.entry(key(protocol, client, dialled).0, value)
    }

    /// By the ends that packets have after translation.
    fn tracking(&self, kind: u8, client: SocketAddr, flags: u16) -> Entry {
        let connection = self.connection;
        let (key, swapped) = key(connection.protocol, client, connection.backend);
        let mut value = self.value(kind, flags | if swapped { B_TO_A } else { 0 });
        let [of_client, of_backend] = self.legs();
        let (a, b) = if swapped { (of_backend, of_client) } else { (of_client, of_backend) };
        put(&mut value, 24, a);
        put(&mut value, 48, b);
        if kind == REVERSE {
            let n = octets(client).len();
            put(&mut value, 72 + n, octets(connection.dialled));
            put(&mut value, 72 + 2 * n, connection.dialled.port().to_ne_bytes());
            put(&mut value, 74 + 2 * n, connection.client.port().to_ne_bytes());
            put(&mut value, 76 + 2 * n, octets(connection.client));
        }
        self.entry(key, value)
    }

    fn legs(&self) -> [Vec<u8>; 2] {
        let connection = self.connection;
        let tcp = connection.protocol == Protocol::Tcp;
        let shaken = match connection.stage {
            Stage::Opening => [1, 0],
            Stage::Answered => [1, 3],
            Stage::Reset if connection.traffic[1].0 <= 1 => [1, 0],
            _ => [3, 3],
        };
        let ended = connection.ended();
        [0, 1].map(|side| {
            let mut bits: u32 = 1 << 4;
            if side == 0 {
                bits |= 1 << 5;
            }
            if tcp {
                bits |= shaken[side] | u32::from(ended[side].fin) << 2 | u32::from(ended[side].rst) << 3;
            }
            let mut leg = vec![0; 24];
            if self.version == Version::Four {
                let (packets, bytes) = connection.traffic[side];
                put(&mut leg, 0, bytes.to_ne_bytes());
                put(&mut leg, 8, packets.to_ne_bytes());
            }
            put(&mut leg, 12, 0x1234_5678_u32.to_be_bytes());
            put(&mut leg, 16, bits.to_ne_bytes());
            put(&mut leg, 20, 7_u32.to_ne_bytes());
            leg
        })
    }

    fn entry(&self, key: Vec<u8>, value: Vec<u8>) -> Entry {
        Entry { map: self.version.map(self.connection.client.is_ipv6()), key, value }
    }
}
