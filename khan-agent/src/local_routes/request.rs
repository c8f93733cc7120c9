//! Dumps of rtnetlink (`include/uapi/linux/rtnetlink.h`).

use std::io;

use crate::conntrack::attribute::aligned;
use crate::conntrack::link::Link;

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_DUMP_INTR: u16 = 0x10;
const HEADER: usize = 16;
/// Dumps end their datagrams at 32 KiB.
const BUFFER: usize = 64 * 1024;
/// How often a dump is begun before what it gave is taken as it is: links come and go with pods.
const ATTEMPTS: usize = 3;

/// Every link, without its counters.
pub(super) fn links() -> Vec<u8> {
    const IFLA_EXT_MASK: u16 = 29;
    const RTEXT_FILTER_SKIP_STATS: u32 = 8;
    // `struct ifinfomsg`, all zero: any family.
    let mut body = vec![0; 16];
    body.extend(8u16.to_ne_bytes());
    body.extend(IFLA_EXT_MASK.to_ne_bytes());
    body.extend(RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
    request(RTM_GETLINK, &body)
}

/// Every route of both families.
pub(super) fn routes() -> Vec<u8> {
    // `struct rtmsg`, all zero: any family, any table.
    request(RTM_GETROUTE, &[0; 12])
}

fn request(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    // Sequence number and port: one request at a time needs neither.
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes
}

/// Sends a request and gives what `parse` makes of the messages of the answer; none when that is more than `most`.
pub(super) fn dump<T>(
    link: &mut impl Link,
    request: &[u8],
    most: usize,
    parse: impl Fn(&[u8]) -> Option<T>,
) -> io::Result<Option<Vec<T>>> {
    let (mut buffer, mut parsed) = (vec![0; BUFFER], Vec::new());
    for _ in 0..ATTEMPTS {
        parsed.clear();
        let mut more = false;
        let unchanged = once(link, request, &mut buffer, |message| match parse(message) {
            Some(_) if parsed.len() == most => more = true,
            message => parsed.extend(message),
        })?;
        if more {
            return Ok(None);
        }
        if unchanged {
            break;
        }
    }
    Ok(Some(parsed))
}

/// Sends a request and shows the payload of every message of the answer. True when nothing changed meanwhile.
fn once(link: &mut impl Link, request: &[u8], buffer: &mut [u8], mut see: impl FnMut(&[u8])) -> io::Result<bool> {
    let mut unchanged = true;
    link.send(request)?;
    loop {
        let len = match link.receive(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            received => received?,
        };
        let mut rest = buffer.get(..len).filter(|datagram| !datagram.is_empty()).ok_or_else(cut_short)?;
        while !rest.is_empty() {
            let &[l0, l1, l2, l3, k0, k1, f0, f1, ..] = rest.first_chunk::<HEADER>().ok_or_else(cut_short)?;
            let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
            let payload = rest.get(HEADER..length).ok_or_else(cut_short)?;
            unchanged &= u16::from_ne_bytes([f0, f1]) & NLM_F_DUMP_INTR == 0;
            match u16::from_ne_bytes([k0, k1]) {
                NLMSG_DONE => return Ok(unchanged),
                NLMSG_ERROR => {
                    let code = payload.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                    return Err(io::Error::from_raw_os_error(code.wrapping_neg()));
                }
                RTM_NEWLINK | RTM_NEWROUTE => see(payload),
                _ => {}
            }
            rest = rest.get(aligned(length)..).unwrap_or_default();
        }
    }
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a message is cut short")
}
