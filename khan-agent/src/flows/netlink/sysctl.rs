//! `/proc/sys/net/netfilter`: how long each state lasts, and how large the hash table is. Read only.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use khan_api::TcpState;

use crate::flows::flow::{Flow, Status, Tcp};

/// A number below `/proc/sys/net/netfilter`, of the calling thread's network namespace.
pub fn read(name: &str) -> Option<u64> {
    fs::read_to_string(format!("/proc/sys/net/netfilter/{name}")).ok()?.trim().parse().ok()
}

/// `nf_conntrack_buckets`: the size of the hash table, which all network namespaces share. The file stays open, since a
/// dump asks again with every datagram.
#[derive(Debug)]
pub struct Buckets(Option<File>);

impl Buckets {
    /// Opens the file, where there is one.
    pub fn open() -> Self {
        Self(File::open("/proc/sys/net/netfilter/nf_conntrack_buckets").ok())
    }

    /// The number now; none where the kernel does not tell.
    pub fn read(&self) -> Option<u64> {
        let mut text = [0; 24];
        let len = self.0.as_ref()?.read_at(&mut text, 0).ok()?;
        str::from_utf8(text.get(..len)?).ok()?.trim().parse().ok()
    }
}

/// The timeouts that entries start with, in seconds; none where the kernel does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// By TCP state.
    pub tcp: [Option<u32>; TcpState::ALL.len()],
    /// The most that an established connection gets while data awaits an acknowledgement, or no answer was seen.
    pub unacknowledged: Option<u32>,
    /// UDP before it counts as a stream.
    pub udp: Option<u32>,
    /// UDP once it is a stream.
    pub udp_stream: Option<u32>,
}

impl Timeouts {
    /// The present ones.
    pub fn read() -> Self {
        let seconds = |name: &str| read(name).and_then(|seconds| u32::try_from(seconds).ok());
        let tcp = |state: TcpState| {
            let name = match state {
                TcpState::None => return None,
                TcpState::SynSent | TcpState::SynSent2 => "syn_sent",
                TcpState::SynRecv => "syn_recv",
                TcpState::Established => "established",
                TcpState::FinWait => "fin_wait",
                TcpState::CloseWait => "close_wait",
                TcpState::LastAck => "last_ack",
                TcpState::TimeWait => "time_wait",
                TcpState::Close => "close",
            };
            seconds(&format!("nf_conntrack_tcp_timeout_{name}"))
        };
        Self {
            tcp: TcpState::ALL.map(tcp),
            unacknowledged: seconds("nf_conntrack_tcp_timeout_unacknowledged"),
            udp: seconds("nf_conntrack_udp_timeout"),
            udp_stream: seconds("nf_conntrack_udp_timeout_stream"),
        }
    }

    /// Seconds since the entry's last packet: what its state started with, less what remains. None where that is not
    /// known: offloaded entries, entries whose timeout packets do not renew, protocols with timeouts of another kind, and
    /// entries with more left than their state starts with (a policy of their own, or the setting was lowered since).
    #[inline]
    pub fn idle(&self, flow: &Flow) -> Option<u32> {
        let remaining = flow.timeout?;
        if flow.status.has(Status::FIXED_TIMEOUT) {
            return None;
        }
        self.full(flow)?.checked_sub(remaining)
    }

    /// What the kernel renews the entry's timeout to at each packet (`nf_conntrack_tcp_packet`, `nf_conntrack_udp_packet`).
    #[inline]
    fn full(&self, flow: &Flow) -> Option<u32> {
        match (flow.protocol, flow.tcp) {
            (6, Some(tcp)) => {
                let full = self.tcp[tcp.state as usize]?;
                let unacknowledged = (tcp.flags_original | tcp.flags_reply) & Tcp::DATA_UNACKNOWLEDGED != 0;
                // A connection picked up in midstream gets no long timeout before somebody answers.
                let unanswered = tcp.state == TcpState::Established && !flow.status.has(Status::SEEN_REPLY);
                match self.unacknowledged {
                    Some(less) if unacknowledged || unanswered => Some(full.min(less)),
                    _ => Some(full),
                }
            }
            (17, _) if flow.status.has(Status::ASSURED) => self.udp_stream,
            (17, _) => self.udp,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeouts() -> Timeouts {
        let mut tcp = [Some(60); 10];
        tcp[TcpState::Established as usize] = Some(86_400);
        Timeouts { tcp, unacknowledged: Some(300), udp: Some(30), udp_stream: Some(120) }
    }

    fn established(flags: u8, status: u32, timeout: u32) -> Flow {
        let tcp = Some(Tcp { state: TcpState::Established, flags_original: 0, flags_reply: flags });
        Flow { protocol: 6, status: Status(status), timeout: Some(timeout), tcp, ..Flow::default() }
    }

    #[test]
    fn idle_is_what_is_gone_of_the_timeout_that_applied() {
        let idle = |flow| timeouts().idle(&flow);
        let answered = Status::SEEN_REPLY | Status::ASSURED;
        assert_eq!(idle(established(0, answered, 86_000)), Some(400));
        assert_eq!(idle(established(Tcp::DATA_UNACKNOWLEDGED, answered, 290)), Some(10));
        assert_eq!(idle(established(0, 0, 290)), Some(10));
        assert_eq!(idle(established(0, answered | Status::FIXED_TIMEOUT, 290)), None);
        assert_eq!(idle(established(0, answered, 86_401)), None);
        assert_eq!(idle(Flow { timeout: None, ..established(0, answered, 0) }), None);
        let udp = |status| Flow { protocol: 17, status: Status(status), timeout: Some(29), ..Flow::default() };
        assert_eq!(idle(udp(0)), Some(1));
        assert_eq!(idle(udp(answered)), Some(91));
        assert_eq!(idle(Flow { protocol: 132, timeout: Some(1), ..Flow::default() }), None);
    }
}
