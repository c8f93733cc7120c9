//! Real connections: servers and clients whose sockets live in a host's namespace.

mod tcp;
mod udp;

pub use tcp::{Connections, Pending, TcpServer, half_open, hold_tcp, hold_tcp_from};
pub use udp::{Datagrams, UdpServer, udp_exchange, udp_one_way};
