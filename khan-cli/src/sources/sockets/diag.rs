//! The kernel's list of sockets, asked for by `NETLINK_SOCK_DIAG` as `ss` does (`linux/inet_diag.h`). Anybody may ask.

use std::io::Result;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use khan_agent::flows::netlink::link::{Kernel, Link};
use khan_agent::flows::netlink::message;
use khan_api::Protocol;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// A request for everything that matches.
const REQUEST_DUMP: u16 = 0x301;
/// Bytes of `nlmsghdr`, of `inet_diag_req_v2` and of `inet_diag_msg`.
const HEADER: usize = 16;
const QUESTION: usize = 56;
const ANSWER: usize = 72;
const FAMILIES: [u8; 2] = [2, 10];
const PROTOCOLS: [(Protocol, u8); 2] = [(Protocol::Tcp, 6), (Protocol::Udp, 17)];
/// States are bits; a listening socket is no connection, and tells which end of others is the server.
pub(super) const LISTEN: u8 = 10;
pub(super) const CLOSE: u8 = 7;

/// A socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) protocol: Protocol,
    /// `TCP_ESTABLISHED` and so on, as `net/tcp_states.h` numbers them.
    pub(super) state: u8,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// 0 where no process has it any more, as in `TIME_WAIT`.
    pub(super) inode: u32,
}

/// All sockets of this network namespace.
pub(super) fn sockets() -> Result<Vec<Socket>> {
    let mut buffer = vec![0; 64 << 10];
    let mut all = Vec::new();
    for (protocol, number) in PROTOCOLS {
        for family in FAMILIES {
            all.extend(dump(&mut Kernel::open_sockets()?, &mut buffer, protocol, &request(number, family))?);
        }
    }
    Ok(all)
}

fn dump(link: &mut impl Link, buffer: &mut [u8], protocol: Protocol, request: &[u8]) -> Result<Vec<Socket>> {
    let mut found = Vec::new();
    message::ask(link, buffer, request, true, |message| {
        if message.kind == SOCK_DIAG_BY_FAMILY {
            found.push(socket(message.payload, protocol));
        }
    })?;
    found.into_iter().collect()
}

fn request(protocol: u8, family: u8) -> [u8; HEADER + QUESTION] {
    let mut request = [0; HEADER + QUESTION];
    request[..4].copy_from_slice(&(HEADER + QUESTION).try_into().map(u32::to_ne_bytes).unwrap_or_default());
    request[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request[6..8].copy_from_slice(&REQUEST_DUMP.to_ne_bytes());
    (request[HEADER], request[HEADER + 1]) = (family, protocol);
    request[HEADER + 4..HEADER + 8].copy_from_slice(&u32::MAX.to_ne_bytes());
    request
}

fn socket(message: &[u8], protocol: Protocol) -> Result<Socket> {
    let message: &[u8; ANSWER] = message.first_chunk().ok_or(message::CutShort)?;
    let port = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    let word = |at: usize| [message[at], message[at + 1], message[at + 2], message[at + 3]];
    let address = |at: usize| {
        if message[0] == 2 {
            return IpAddr::V4(Ipv4Addr::from(word(at)));
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&message[at..at + 16]);
        // An IPv4 connection of an IPv6 socket.
        IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
    };
    Ok(Socket {
        protocol,
        state: message[1],
        local: SocketAddr::new(address(8), port(4)),
        remote: SocketAddr::new(address(24), port(6)),
        inode: u32::from_ne_bytes(word(68)),
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_kernel_lists_both_ends_of_a_connection() {
        for here in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(here).unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (local, remote) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
            let all = sockets().unwrap();
            let one = |local, remote| all.iter().find(|socket| (socket.local, socket.remote) == (local, remote));
            assert_eq!(one(local, remote).map(|socket| (socket.state, socket.inode > 0)), Some((1, true)));
            assert!(one(remote, local).is_some());
            assert!(all.iter().any(|socket| socket.state == LISTEN && socket.local == remote));
        }
    }

    /// Datagrams that a kernel might send, the last one first.
    struct Sent(Vec<Vec<u8>>);

    impl Link for Sent {
        fn send(&mut self, _: &[u8]) -> Result<()> {
            Ok(())
        }

        fn receive(&mut self, buffer: &mut [u8]) -> Result<usize> {
            let datagram = self.0.pop().unwrap();
            buffer[..datagram.len()].copy_from_slice(&datagram);
            Ok(datagram.len())
        }
    }

    fn done() -> Vec<u8> {
        let mut done = vec![0; HEADER];
        done[..4].copy_from_slice(&16_u32.to_ne_bytes());
        done[4..6].copy_from_slice(&message::DONE.to_ne_bytes());
        done
    }

    #[test]
    fn what_is_cut_off_is_an_error_and_no_panic() {
        let mut whole = vec![0; HEADER + ANSWER];
        whole[..4].copy_from_slice(&88_u32.to_ne_bytes());
        whole[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        whole[HEADER] = 2;
        let read_all = |bytes: &[u8]| dump(&mut Sent(vec![done(), bytes.to_vec()]), &mut [0; 256], Protocol::Tcp, &[]);
        assert_eq!(read_all(&whole).unwrap().len(), 1);
        for end in 4..whole.len() {
            assert!(read_all(&whole[..end]).is_err(), "{end}");
        }
        whole[..4].copy_from_slice(&16_u32.to_ne_bytes());
        assert!(read_all(&whole).is_err(), "an empty message holds no socket");
    }
}
