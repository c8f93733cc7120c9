//! Cilium's keys and values as they lie in memory: in, bytes; out, plain structs of what Khan uses of them.
//!
//! `bpf/lib/common.h` (`struct ipv4_ct_tuple`, `ipv6_ct_tuple`, `ct_entry`), `bpf/lib/conntrack.h` for how they are written, and, the
//! same in Go, `pkg/maps/ctmap/types.go`. Keys have had 14 and 38 bytes, packed, and values 56 in every version. What the
//! first 32 bytes of a value mean has changed: two pairs of counters to 1.15, by direction; since then the number of a
//! service's backend at 8, an address at 0 to 16 since 1.19, and counters of both directions together at 16 and 24. Nothing
//! tells which it is, so Khan does not use them, except for [an address that no counters look like](Value::answers_as).
//!
//! Addresses and ports are in network byte order, everything else is in the host's.

/// An address of either family, with an order, as small as it can be.
pub(super) trait Ip: Copy + Ord + std::hash::Hash + std::fmt::Debug {
    /// Bytes in a key.
    const BYTES: usize;
    /// Bytes of a key.
    const KEY: usize = 2 * Self::BYTES + 6;

    /// From so many bytes in network order.
    fn read(bytes: &[u8]) -> Option<Self>;

    /// As two words.
    fn words(self) -> [u64; 2];

    /// By address, then by `last`.
    type Order: Ord;

    /// See [`Ip::Order`].
    fn order(self, last: u32) -> Self::Order;

    /// From sixteen bytes, where they are an address and no counters: packets and bytes, each a `u64` of the host.
    fn no_counters(bytes: &[u8; 16]) -> Option<Self>;

    /// Whether it is the address that stands for a pod which dialled a service and was led back to itself.
    fn is_loopback(self) -> bool;

    /// The general form.
    fn address(self) -> crate::flows::Address;
}

impl Ip for u32 {
    const BYTES: usize = 4;

    #[inline]
    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().copied().map(Self::from_be_bytes)
    }

    #[inline]
    fn words(self) -> [u64; 2] {
        [0, self.into()]
    }

    type Order = u64;

    #[inline]
    fn order(self, last: u32) -> u64 {
        u64::from(self) << 32 | u64::from(last)
    }

    /// The last four bytes. Without packets there are no bytes either.
    fn no_counters(bytes: &[u8; 16]) -> Option<Self> {
        let (zeros, address) = bytes.split_at(12);
        Self::read(address).filter(|address| *address != 0 && zeros.iter().all(|byte| *byte == 0))
    }

    /// `ipv4-service-loopback-address`, 169.254.42.1 unless configured.
    #[inline]
    fn is_loopback(self) -> bool {
        self == u32::from_be_bytes([169, 254, 42, 1])
    }

    fn address(self) -> crate::flows::Address {
        crate::flows::Address::from_v4(self)
    }
}

impl Ip for [u64; 2] {
    const BYTES: usize = 16;

    #[inline]
    fn read(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| bytes.get(at..)?.first_chunk().copied().map(u64::from_be_bytes);
        Some([word(0)?, word(8)?])
    }

    #[inline]
    fn words(self) -> [u64; 2] {
        self
    }

    type Order = (Self, u32);

    #[inline]
    fn order(self, last: u32) -> (Self, u32) {
        (self, last)
    }

    /// No connection has 2^48 bytes. An address whose last sixteen bits are zero is not told from counters.
    fn no_counters(bytes: &[u8; 16]) -> Option<Self> {
        let count = bytes.last_chunk().copied().map(u64::from_ne_bytes)?;
        Self::read(bytes).filter(|_| count >> 48 != 0)
    }

    #[inline]
    fn is_loopback(self) -> bool {
        false
    }

    fn address(self) -> crate::flows::Address {
        crate::flows::Address::from_v6(u128::from(self[0]) << 64 | u128::from(self[1]))
    }
}

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// `TUPLE_F_OUT`: packets from a client of this node, or passing through.
    Out,
    /// `TUPLE_F_IN`: packets to a server of this node.
    In,
    /// `TUPLE_F_SERVICE`: what a client dialled, before translation.
    Service,
    /// `TUPLE_F_RELATED`: ICMP errors about a connection.
    Related,
}

/// `struct ipv4_ct_tuple` and `ipv6_ct_tuple`: two addresses, two ports, protocol and flags. The places of the ends depend on the
/// flags: a key is that of a reply (`daddr`, `saddr`, `dport`, `sport` are what a packet to the client has, with the ports of a packet from
/// it), while that of a service is written as its packets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key<A> {
    /// @0 with the port @2N+2; of [`Role::Service`]: @N with the port @2N.
    pub(super) client: A,
    /// See `client`.
    pub(super) client_port: u16,
    /// @N with the port @2N; of [`Role::Service`], then the service: @0 with the port @2N+2.
    pub(super) server: A,
    /// See `server`.
    pub(super) port: u16,
    /// @2N+4.
    pub(super) protocol: u8,
    /// @2N+5.
    pub(super) role: Role,
}

impl<A: Ip> Key<A> {
    /// Reads a key; none when it has another size or flags that are not known.
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != A::KEY {
            return None;
        }
        let (addresses, rest) = bytes.split_at(2 * A::BYTES);
        let (first, second) = addresses.split_at(A::BYTES);
        let &[p0, p1, p2, p3, protocol, flags] = rest else { return None };
        let (first, second) = (A::read(first)?, A::read(second)?);
        let (port_first, port_second) = (u16::from_be_bytes([p2, p3]), u16::from_be_bytes([p0, p1]));
        let role = match flags {
            0 => Role::Out,
            1 => Role::In,
            2 | 3 => Role::Related,
            4 => Role::Service,
            _ => return None,
        };
        let (client, client_port, server, port) = match role {
            Role::Service => (second, port_second, first, port_first),
            _ => (first, port_first, second, port_second),
        };
        Some(Self { client, client_port, server, port, protocol, role })
    }
}

/// `struct ct_entry`, the part that means the same in every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// @32, `u32`: when the entry ends, by the data plane's clock. 0 where it is kept until it is evicted.
    pub(super) lifetime: u32,
    /// @36, `u16`: the constants below.
    pub(super) flags: u16,
    /// @38, `u16`: number of the service's front end, in network order; of a service and of the connections through it.
    pub(super) rev_nat_index: u16,
    /// @42 and @43: TCP flags seen of the packets transmitted and received, as the end of this node sees it. Of those, versions
    /// note only what `--monitor-aggregation-flags` names: FIN, SYN and RST by default.
    pub(super) flags_seen: [u8; 2],
    /// @48 and @52: when a packet of each direction was last reported, by the data plane's clock; 0 for never. At least every
    /// 5 seconds while there are packets (`CT_REPORT_INTERVAL`).
    pub(super) reports: [u32; 2],
}

impl Value {
    /// Bytes of a value.
    pub(super) const SIZE: usize = 56;

    /// `rx_closing`: a FIN or RST was received.
    pub(super) const RX_CLOSING: u16 = 1;
    /// `tx_closing`: one was transmitted.
    pub(super) const TX_CLOSING: u16 = 1 << 1;
    /// `lb_loopback`: the client dialled a service and was led back to itself.
    pub(super) const LOOPBACK: u16 = 1 << 3;
    /// `seen_non_syn`: there was a packet without SYN, so the handshake is over.
    pub(super) const SEEN_NON_SYN: u16 = 1 << 4;

    /// `dsr_internal`: the server answers the client directly, with the address that was dialled.
    pub(super) const DSR: u16 = 1 << 7;

    /// @0 and @40, since Cilium 1.19: the address and port that the server of a [`Value::DSR`] connection answers as. Before, the
    /// address was in a map of its own, and these were counters, or nothing, and the number of an interface.
    pub(super) fn answers_as<A: Ip>(bytes: &[u8]) -> Option<(A, u16)> {
        let port = u16::from_be_bytes(*bytes.get(40..)?.first_chunk()?);
        Some((A::no_counters(bytes.first_chunk()?)?, port)).filter(|(_, port)| *port != 0)
    }

    /// Reads a value; none when it has another size.
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::SIZE] = bytes.try_into().ok()?;
        let word = |at: usize| Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        Some(Self {
            lifetime: word(32)?,
            flags: u16::from_ne_bytes([bytes[36], bytes[37]]),
            rev_nat_index: u16::from_be_bytes([bytes[38], bytes[39]]),
            flags_seen: [bytes[42], bytes[43]],
            reports: [word(48)?, word(52)?],
        })
    }

    /// When a packet was last reported; none for never.
    #[inline]
    pub(super) const fn last_report(&self) -> Option<u32> {
        let [tx, rx] = self.reports;
        let last = if tx > rx { tx } else { rx };
        if last == 0 { None } else { Some(last) }
    }
}
