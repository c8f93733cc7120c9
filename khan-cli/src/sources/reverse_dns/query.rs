//! Questions and answers about `PTR` records (RFC 1035), which is all of DNS that is needed here.

use std::fmt::Write;
use std::net::IpAddr;

const PTR: u16 = 12;
const HEADER: usize = 12;
/// Longest name, and most jumps that one may take.
const LONGEST: usize = 253;
const JUMPS: usize = 16;

/// Asks what `ip` is called.
pub(super) fn question(id: u16, ip: IpAddr) -> Vec<u8> {
    let mut message = Vec::with_capacity(96);
    message.extend(id.to_be_bytes());
    // Recursion desired, one question.
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name(ip).split('.') {
        message.push(u8::try_from(label.len()).unwrap_or(0));
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 12, 0, 1]);
    message
}

/// `9.113.0.203.in-addr.arpa`
fn name(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(ip) => {
            let mut name = String::with_capacity(72);
            for byte in ip.octets().into_iter().rev() {
                let _ = write!(name, "{:x}.{:x}.", byte & 15, byte >> 4);
            }
            name + "ip6.arpa"
        }
    }
}

/// The first name in the answer to question `id`; `None` for any other message.
pub(super) fn answer(id: u16, message: &[u8]) -> Option<String> {
    let word = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    // An answer without an error.
    if word(0)? != id || message.get(2)? & 0x80 == 0 || message.get(3)? & 0x0f != 0 {
        return None;
    }
    let (questions, answers) = (word(4)?, word(6)?);
    let mut at = HEADER;
    for _ in 0..questions {
        at = read(message, at)?.1 + 4;
    }
    for _ in 0..answers {
        let head = read(message, at)?.1;
        let (kind, length) = (word(head)?, word(head + 8)?);
        if kind == PTR {
            return read(message, head + 10).map(|(name, _)| name).filter(|name| !name.is_empty());
        }
        at = head + 10 + usize::from(length);
    }
    None
}

/// A name at `at`, and where what follows it begins.
fn read(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let (mut name, mut after, mut jumps) = (String::new(), None, 0);
    loop {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => return Some((name, after.unwrap_or(at + 1))),
            1..64 => {
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(&String::from_utf8_lossy(message.get(at + 1..at + 1 + length)?));
                if name.len() > LONGEST {
                    return None;
                }
                at += 1 + length;
            }
            192.. => {
                jumps += 1;
                after = after.or(Some(at + 2));
                at = (length & 63) << 8 | usize::from(*message.get(at + 1)?);
                if jumps > JUMPS {
                    return None;
                }
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answered(question: &[u8], data: &[u8]) -> Vec<u8> {
        let mut message = question.to_vec();
        (message[2], message[7]) = (0x81, 1);
        message.extend([192, 12, 0, 12, 0, 1, 0, 0, 0, 60, 0, u8::try_from(data.len()).unwrap()]);
        message.extend(data);
        message
    }

    #[test]
    fn an_address_is_asked_for_and_its_name_read() {
        let ip = "203.0.113.9".parse().unwrap();
        let question = question(7, ip);
        assert_eq!(read(&question, HEADER).unwrap().0, "9.113.0.203.in-addr.arpa");
        let message = answered(&question, b"\x03www\x07example\x00");
        assert_eq!(answer(7, &message).as_deref(), Some("www.example"));
        assert_eq!(answer(8, &message), None, "the answer to another question");
        // A name that goes on in the question.
        assert_eq!(answer(7, &answered(&question, &[1, b'x', 192, 24])).as_deref(), Some("x.in-addr.arpa"));
        let loops = u8::try_from(question.len() + 12).unwrap();
        assert_eq!(answer(7, &answered(&question, &[192, loops])), None, "a name that leads to itself");
        assert_eq!(name("2001:db8::1".parse().unwrap()).len(), 72);
        assert!(name("2001:db8::1".parse().unwrap()).ends_with(".8.b.d.0.1.0.0.2.ip6.arpa"));
    }

    proptest! {
        #[test]
        fn any_message_is_read_or_refused(message in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(name) = answer(0, &message) {
                prop_assert!(name.len() <= LONGEST);
            }
        }
    }
}
