//! The requests that Khan sends: dump the table, read its statistics. None of them changes anything.

use netlink_packet_core::{DefaultNla, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::conntrack::{ConntrackAttribute, ConntrackMessage};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterProtoFamily};

/// `IPCTNL_MSG_CT_NEW`, with the subsystem: what an answer to a dump is made of.
pub const ENTRY: u16 = 0x0100;
/// `IPCTNL_MSG_CT_GET_STATS_CPU`
const GET_STATS_CPU: u8 = 4;
/// `IPCTNL_MSG_CT_GET_STATS`
const GET_STATS: u8 = 5;

/// Every entry, of both address families.
pub fn dump(sequence: u32) -> Vec<u8> {
    message(ConntrackMessage::Get(Vec::<ConntrackAttribute>::new()), NLM_F_REQUEST | NLM_F_DUMP, sequence)
}

/// How many entries there are and may be.
pub fn stats(sequence: u32) -> Vec<u8> {
    let message_type = GET_STATS;
    message(ConntrackMessage::Other { message_type, attributes: Vec::<DefaultNla>::new() }, NLM_F_REQUEST, sequence)
}

/// The counters of every CPU.
pub fn stats_cpu(sequence: u32) -> Vec<u8> {
    let message_type = GET_STATS_CPU;
    let attributes = Vec::<DefaultNla>::new();
    message(ConntrackMessage::Other { message_type, attributes }, NLM_F_REQUEST | NLM_F_DUMP, sequence)
}

fn message(inner: ConntrackMessage, flags: u16, sequence: u32) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    header.sequence_number = sequence;
    let netfilter = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, 0);
    let mut message =
        NetlinkMessage::new(header, NetlinkPayload::InnerMessage(NetfilterMessage::new(netfilter, inner)));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_the_kernels_bytes() {
        let expect = |len: u8, kind: u8, flags: u16, bytes: Vec<u8>| {
            let mut want = vec![len, 0, 0, 0, kind, 1];
            want.extend(flags.to_ne_bytes());
            want.extend(7u32.to_ne_bytes());
            want.extend([0; 8]);
            assert_eq!(bytes, want);
        };
        expect(20, 1, 0x301, dump(7));
        expect(20, 5, 0x001, stats(7));
        expect(20, 4, 0x301, stats_cpu(7));
    }
}
