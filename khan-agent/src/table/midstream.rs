//! Connections that were picked up in midstream the wrong way round.
//!
//! Without a handshake to go by (the agent's node rebooted its tables, or rules that track were added late), the kernel
//! takes whoever speaks first for the client. Such entries carry `IP_CT_TCP_FLAG_BE_LIBERAL` on both sides (`tcp_new` in
//! `nf_conntrack_proto_tcp.c`).

use crate::flows::{Flow, Tcp};

/// Where Linux's ports for outgoing connections begin (`ip_local_port_range`); IANA's begin at 49152.
const EPHEMERAL: u16 = 32_768;

/// Whether the entry began in midstream, its "client" has a port that servers have, and its "server" one that clients
/// have. A server on a high port is not mistaken: its clients' ports are high as well.
#[inline]
pub(super) fn reversed(flow: &Flow) -> bool {
    let Some(tcp) = flow.tcp else { return false };
    tcp.flags_original & tcp.flags_reply & Tcp::BE_LIBERAL != 0
        && flow.original.src_port < EPHEMERAL
        && flow.original.dst_port >= EPHEMERAL
}
