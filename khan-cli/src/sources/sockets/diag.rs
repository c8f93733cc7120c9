//! The kernel's list of sockets, asked for by `NETLINK_SOCK_DIAG` as `ss` does (`linux/inet_diag.h`). Anybody may ask.

use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use khan_api::Protocol;
use netlink_sys::Socket as Netlink;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use rustix::net::RecvFlags;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// A request for everything that matches.
const REQUEST_DUMP: u16 = 0x301;
const ERROR: u16 = 2;
const DONE: u16 = 3;
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
    let mut all = Vec::new();
    for (protocol, number) in PROTOCOLS {
        for family in FAMILIES {
            dump(protocol, number, family, &mut all)?;
        }
    }
    Ok(all)
}

fn dump(protocol: Protocol, number: u8, family: u8, all: &mut Vec<Socket>) -> Result<()> {
    let mut netlink = Netlink::new(NETLINK_SOCK_DIAG)?;
    netlink.bind_auto()?;
    netlink.connect(&netlink_sys::SocketAddr::new(0, 0))?;
    netlink.send(&request(number, family), 0)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let (_, length) = rustix::net::recv(&netlink, &mut buffer[..], RecvFlags::TRUNC)?;
        let datagram = buffer.get(..length).ok_or_else(|| cut("a datagram"))?;
        if !read(datagram, protocol, all)? {
            return Ok(());
        }
    }
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

/// Reads the messages of a datagram; says whether more follow.
fn read(mut datagram: &[u8], protocol: Protocol, all: &mut Vec<Socket>) -> Result<bool> {
    while let Some(length) = datagram.first_chunk().map(|length| u32::from_ne_bytes(*length) as usize) {
        let message = datagram.get(HEADER..length).ok_or_else(|| cut("a message"))?;
        match u16::from_ne_bytes([datagram[4], datagram[5]]) {
            DONE => return Ok(false),
            ERROR => {
                let code = message.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                return Err(Error::from_raw_os_error(-code));
            }
            SOCK_DIAG_BY_FAMILY => all.push(socket(message, protocol)?),
            _ => {}
        }
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(true)
}

fn socket(message: &[u8], protocol: Protocol) -> Result<Socket> {
    let message: &[u8; ANSWER] = message.first_chunk().ok_or_else(|| cut("a socket"))?;
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

fn cut(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the kernel sent {what} that is cut off"))
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

    #[test]
    fn what_is_cut_off_is_an_error_and_no_panic() {
        let mut whole = vec![0; HEADER + ANSWER];
        whole[..4].copy_from_slice(&88_u32.to_ne_bytes());
        whole[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        whole[HEADER] = 2;
        let read_all = |bytes: &[u8]| read(bytes, Protocol::Tcp, &mut Vec::new());
        assert!(read_all(&whole).unwrap());
        for end in 4..whole.len() {
            assert!(read_all(&whole[..end]).is_err(), "{end}");
        }
        whole[..4].copy_from_slice(&16_u32.to_ne_bytes());
        assert!(read_all(&whole).is_err(), "an empty message holds no socket");
    }
}
