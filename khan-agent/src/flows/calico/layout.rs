//! Calico's keys and values as they lie in memory: in, bytes; out, plain structs of what Khan uses of them.
//!
//! `felix/bpf-gpl/conntrack_types.h` (`struct calico_ct_key`, `calico_ct_leg`, `calico_ct_value`) and, the same in Go,
//! `felix/bpf/conntrack/v3` and `v4`, read at Calico 3.24, 3.26, 3.28 to 3.32 and at the head of August 2026. The sizes and
//! places below are those of all these versions, of the maps `_ct3` (to 3.30, a hash) and `_ct4` (from 3.31, an LRU hash).
//! Maps before `_ct3` had smaller values.
//!
//! IPv4 and IPv6 differ only in the length of an address, `N` bytes here. Addresses are in network byte order, everything
//! else is in the host's.

use crate::flows::address::Address;

/// Bytes of a key: protocol, two addresses, two ports.
pub const fn key_size<const N: usize>() -> usize {
    8 + 2 * N
}

/// Bytes of a value, which ends with three addresses, two ports, and what aligns it to eight bytes.
pub const fn value_size<const N: usize>() -> usize {
    (76 + 3 * N).next_multiple_of(8)
}

/// `struct calico_ct_key`: a connection's two ends, the lower address first, whoever opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// @0, `u32`: protocol number of the IP header.
    pub protocol: u32,
    /// @4 and @8+2N, `u16`: address and port of end A.
    pub a: End,
    /// @4+N and @10+2N: those of end B.
    pub b: End,
}

/// An address and a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Address.
    pub address: Address,
    /// Port.
    pub port: u16,
}

/// `struct calico_ct_leg`: what was seen of the packets that one end sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leg {
    /// @0, `u64`: bytes, headers included. Zero before Calico 3.30.
    pub bytes: u64,
    /// @8, `u32`: packets; the packet that creates the entry is the first. Zero before Calico 3.30.
    pub packets: u32,
    /// @16, `u32`: the constants below.
    pub bits: u32,
}

impl Leg {
    /// A SYN.
    pub const SYN: u32 = 1 << 0;
    /// An acknowledgement of the other end's SYN.
    pub const ACK: u32 = 1 << 1;
    /// A FIN.
    pub const FIN: u32 = 1 << 2;
    /// A RST, and no other packet since.
    pub const RST: u32 = 1 << 3;
    /// This end sent the packet that created the entry.
    pub const OPENER: u32 = 1 << 5;

    /// Whether the bit is set.
    pub const fn has(self, bit: u32) -> bool {
        self.bits & bit != 0
    }
}

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `CALI_CT_TYPE_NORMAL`: a connection to the address that was dialled.
    Normal,
    /// `CALI_CT_TYPE_NAT_FWD`: leads from the service address to the entry that keeps track of the connection.
    NatForward,
    /// `CALI_CT_TYPE_NAT_REV`: a connection to a backend of the service that was dialled.
    NatReverse,
}

/// `struct calico_ct_value`, except for entries that only lead to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// @8, `u64`: when the last packet passed, in nanoseconds of `CLOCK_MONOTONIC`. (@0 was the time of creation to 3.29 and is
    /// that of the last RST since.)
    pub last_seen: u64,
    /// @16, `u8`.
    pub kind: Kind,
    /// @17 and @23, each a `u8`: `CALI_CT_FLAG_*`, the lower sixteen.
    pub flags: u16,
    /// @24: the leg of end A.
    pub a: Leg,
    /// @48: the leg of end B.
    pub b: Leg,
    /// @72+N and @72+2N: what was dialled, where the kind is [`Kind::NatReverse`]; zeros elsewhere, or the same as the key.
    pub dialled: End,
    /// @76+2N and @74+2N: who dialled it, where the source was changed as well; zeros elsewhere.
    pub source: End,
}

impl Value {
    /// `CALI_CT_FLAG_NP_FWD`: this node hands what arrives to the backend's node through a tunnel.
    pub const FORWARDED: u16 = 0x04;
    /// `CALI_CT_FLAG_BA`: end B opened the connection.
    pub const B_OPENED: u16 = 0x100;
}

impl Key {
    /// Reads a key; none when it has another size.
    #[inline]
    pub fn read<const N: usize>(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != key_size::<N>() {
            return None;
        }
        let end = |address, port| Some(End { address: address_at::<N>(bytes, address)?, port: u16_at(bytes, port)? });
        Some(Self { protocol: u32_at(bytes, 0)?, a: end(4, 4 + 2 * N)?, b: end(4 + N, 6 + 2 * N)? })
    }
}

impl Leg {
    #[inline]
    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        Some(Self { bytes: u64_at(bytes, at)?, packets: u32_at(bytes, at + 8)?, bits: u32_at(bytes, at + 16)? })
    }
}

impl Kind {
    /// By its number, or the number.
    const fn from_number(number: u8) -> Result<Self, u8> {
        match number {
            0 => Ok(Self::Normal),
            1 => Ok(Self::NatForward),
            2 => Ok(Self::NatReverse),
            other => Err(other),
        }
    }
}

/// Why bytes are no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoValue {
    /// They are too many or too few.
    Size,
    /// Entries of this kind are not known.
    Kind(u8),
}

impl Value {
    /// Reads a value.
    #[inline]
    pub fn read<const N: usize>(bytes: &[u8]) -> Result<Self, NoValue> {
        if bytes.len() != value_size::<N>() {
            return Err(NoValue::Size);
        }
        let kind = Kind::from_number(*bytes.get(16).ok_or(NoValue::Size)?).map_err(NoValue::Kind)?;
        Self::of::<N>(kind, bytes).ok_or(NoValue::Size)
    }

    #[inline]
    fn of<const N: usize>(kind: Kind, bytes: &[u8]) -> Option<Self> {
        let end = |address, port| Some(End { address: address_at::<N>(bytes, address)?, port: u16_at(bytes, port)? });
        Some(Self {
            last_seen: u64_at(bytes, 8)?,
            kind,
            flags: u16::from_le_bytes([*bytes.get(17)?, *bytes.get(23)?]),
            a: Leg::read(bytes, 24)?,
            b: Leg::read(bytes, 48)?,
            dialled: end(72 + N, 72 + 2 * N)?,
            source: end(76 + 2 * N, 74 + 2 * N)?,
        })
    }
}

#[inline]
fn chunk<const LEN: usize>(bytes: &[u8], at: usize) -> Option<[u8; LEN]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[inline]
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    chunk(bytes, at).map(u16::from_ne_bytes)
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    chunk(bytes, at).map(u32::from_ne_bytes)
}

#[inline]
fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    chunk(bytes, at).map(u64::from_ne_bytes)
}

#[inline]
fn address_at<const N: usize>(bytes: &[u8], at: usize) -> Option<Address> {
    match N {
        4 => chunk(bytes, at).map(|address| Address::from_v4(u32::from_be_bytes(address))),
        _ => chunk(bytes, at).map(|address| Address::from_v6(u128::from_be_bytes(address))),
    }
}
