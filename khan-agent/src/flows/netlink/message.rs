//! Netlink messages: a walk over the datagram that holds them (`include/uapi/linux/netlink.h`), and a request's answers.

use std::io;

use super::attribute::aligned;
use super::link::Link;

/// `NLMSG_ERROR`: a refusal, or an acknowledgement when its code is 0.
pub const ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
pub const DONE: u16 = 3;
/// `NLMSG_OVERRUN`: data was lost.
pub const OVERRUN: u16 = 4;
/// `NLM_F_DUMP_INTR`: what is dumped changed meanwhile.
pub const DUMP_INTERRUPTED: u16 = 0x10;

const HEADER: usize = 16;

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its type.
    pub kind: u16,
    /// `NLM_F_` bits.
    pub flags: u16,
    /// The request's number, which its answers repeat.
    pub sequence: u32,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// A datagram ends within a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message is cut short")]
pub struct CutShort;

impl From<CutShort> for io::Error {
    fn from(error: CutShort) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

impl Message<'_> {
    /// What a message of type [`ERROR`] or [`DONE`] says: nothing, or the errno in its first four bytes.
    pub fn outcome(&self) -> Result<io::Result<()>, CutShort> {
        let code = self.payload.first_chunk().map(|code| i32::from_ne_bytes(*code)).ok_or(CutShort)?;
        Ok(if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code.wrapping_neg())) })
    }
}

/// The messages of a datagram. The last item is an error where the datagram ends within a message.
#[derive(Clone, Debug)]
pub struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    /// An empty datagram is none that a kernel sends.
    #[inline]
    pub const fn of(datagram: &'a [u8]) -> Result<Self, CutShort> {
        if datagram.is_empty() { Err(CutShort) } else { Ok(Self(datagram)) }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, CutShort>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.0);
        if bytes.is_empty() {
            return None;
        }
        let Some(&[l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..]) = bytes.first_chunk::<HEADER>() else {
            return Some(Err(CutShort));
        };
        let len = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        let Some(payload) = bytes.get(HEADER..len) else { return Some(Err(CutShort)) };
        // The last message may lack its padding.
        self.0 = bytes.get(aligned(len)..).unwrap_or_default();
        let (kind, flags) = (u16::from_ne_bytes([k0, k1]), u16::from_ne_bytes([f0, f1]));
        Some(Ok(Message { kind, flags, sequence: u32::from_ne_bytes([s0, s1, s2, s3]), payload }))
    }
}

/// Sends a request and shows every message of the answer but a refusal, which is an error. The answer ends with [`DONE`] or,
/// when the request is no dump, with its first datagram.
pub fn ask(
    link: &mut impl Link,
    buffer: &mut [u8],
    request: &[u8],
    dump: bool,
    mut see: impl FnMut(Message<'_>),
) -> io::Result<()> {
    link.send(request)?;
    loop {
        let len = match link.receive(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            received => received?,
        };
        for message in Messages::of(buffer.get(..len).ok_or(CutShort)?)? {
            let message = message?;
            if message.kind == ERROR {
                return message.outcome()?;
            }
            see(message);
            if message.kind == DONE {
                return Ok(());
            }
        }
        if !dump {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_padding_and_stops_at_lies() {
        let message = |len: u32, payload: &[u8]| {
            let mut bytes = len.to_ne_bytes().to_vec();
            bytes.extend(7_u16.to_ne_bytes());
            bytes.extend(2_u16.to_ne_bytes());
            bytes.extend([9_u32.to_ne_bytes(), [0; 4]].concat());
            bytes.extend(payload);
            bytes
        };
        let seen = |payload| Ok(Message { kind: 7, flags: 2, sequence: 9, payload });
        let bytes = [message(17, &[5, 0, 0, 0]), message(17, &[6])].concat();
        assert_eq!(Messages::of(&bytes).unwrap().collect::<Vec<_>>(), [seen(&[5]), seen(&[6])]);
        for lie in [message(15, &[]), message(0, &[]), message(18, &[1]), vec![1; 15]] {
            let bytes = [message(16, &[]), lie].concat();
            assert_eq!(Messages::of(&bytes).unwrap().collect::<Vec<_>>(), [seen(&[]), Err(CutShort)], "{bytes:?}");
        }
        assert_eq!(Messages::of(&[]).err(), Some(CutShort));
    }
}
