//! Dumps of rtnetlink (`include/uapi/linux/rtnetlink.h`).

use std::io;

use crate::flows::netlink::link::Link;
use crate::flows::netlink::{BUFFER, message};

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
const HEADER: usize = 16;
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
        let mut unchanged = true;
        message::ask(link, &mut buffer, request, true, |message| {
            unchanged &= message.flags & message::DUMP_INTERRUPTED == 0;
            if !matches!(message.kind, RTM_NEWLINK | RTM_NEWROUTE) {
                return;
            }
            match parse(message.payload) {
                Some(_) if parsed.len() == most => more = true,
                item => parsed.extend(item),
            }
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
