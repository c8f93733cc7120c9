//! What is known of a connection beside its addresses and ports, packed into two bytes so that it can be part of a
//! row's key.

use khan_api::snapshot::IdleHistogram;
use khan_api::{KnownState, Protocol, State, TcpState};

use crate::flows::{Flow, Status, Tcp};

/// The state of an entry.
#[inline]
pub fn state(flow: &Flow) -> KnownState {
    match (flow.protocol == Protocol::Tcp as u8, flow.tcp) {
        (true, Some(tcp)) => State::Tcp(tcp.state),
        (true, None) if flow.status.has(Status::OFFLOAD) => State::Offload,
        (true, None) => State::Tcp(TcpState::None),
        (false, _) if !flow.status.has(Status::SEEN_REPLY) => State::Unreplied,
        (false, _) if flow.status.has(Status::ASSURED) => State::Assured,
        (false, _) => State::Replied,
    }
}

/// Who has yet to close a half-closed connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unclosed {
    /// The server sent the first FIN.
    Client,
    /// The client sent the first FIN.
    Server,
}

/// Protocol, state, idle bucket, what is wrong or new in this state, and which ends are gone.
///
/// Bits: state 0-3, protocol 4-5, idle bucket 6-8 (7: not measured), 9-11 by state, gone 12-14, sum 15. In a sum, bits 13 and
/// 14 say which ends stand for many: the client, and the service with its backend.
///
/// Bits 9-11 by state: idle 9 and stalled 10 (`ESTABLISHED`), unclosed 10-11 (`FIN_WAIT`, `CLOSE_WAIT`), unanswered 9
/// (`SYN_SENT`, `UNREPLIED`), ended since the scan before 9 (`TIME_WAIT`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(u16);

/// How long nobody must have answered the latest try before the connection is unanswered, in seconds.
const UNANSWERED: u32 = 3;

const UNMEASURED: u16 = 7;
/// Idle, unanswered or ended, by state.
const NOTED: u16 = 1 << 9;
const STALLED: u16 = 1 << 10;
const CLIENT_GONE: u16 = 1 << 12;
const SERVER_GONE: u16 = 3 << 13;
const MANY_CLIENTS: u16 = 1 << 13;
const MANY_SERVERS: u16 = 1 << 14;
const SUM: u16 = 1 << 15;
/// What tells rows of one pair from those of another: the protocol, and who is gone.
const OF_PAIR: u16 = 3 << 4 | CLIENT_GONE | SERVER_GONE | SUM;

impl Class {
    /// Of an entry, `idle` seconds after its last packet; `gone` says for client, service address and backend whether
    /// that was before the address changed hands.
    #[inline]
    pub fn of(flow: &Flow, protocol: Protocol, idle: Option<u32>, idle_threshold: u32, gone: [bool; 3]) -> Self {
        let state = state(flow);
        let (mut bucket, mut noted) = (UNMEASURED, false);
        match (state, idle) {
            (State::Tcp(TcpState::Established), Some(idle)) => {
                #[expect(clippy::cast_possible_truncation, reason = "there are five buckets")]
                let number = IdleHistogram::bucket(idle) as u16;
                (bucket, noted) = (number, idle >= idle_threshold);
            }
            // Idle times are rounded up to whole seconds.
            (State::Tcp(TcpState::SynSent) | State::Unreplied, Some(idle)) => noted = idle > UNANSWERED,
            _ => {}
        }
        let unclosed = match (state, flow.tcp) {
            (State::Tcp(TcpState::FinWait | TcpState::CloseWait), Some(tcp)) => {
                match (tcp.flags_original & Tcp::CLOSE_INIT != 0, tcp.flags_reply & Tcp::CLOSE_INIT != 0) {
                    (true, false) => 2,
                    (false, true) => 1,
                    _ => 0,
                }
            }
            _ => 0,
        };
        let protocol = match protocol {
            Protocol::Tcp => 0,
            Protocol::Udp => 1,
            Protocol::Sctp => 2,
        };
        let Ok(number) = state.number();
        #[expect(clippy::cast_possible_truncation, reason = "four bits hold every known state")]
        let number = number as u16;
        let gone = gone.iter().rev().fold(0, |bits, gone| bits << 1 | u16::from(*gone));
        Self(number | protocol << 4 | bucket << 6 | if noted { NOTED } else { 0 } | unclosed << 10 | gone << 12)
    }

    /// The same of a `TIME_WAIT` entry that the scan before did not see in this state.
    #[must_use]
    pub(crate) const fn as_ended(self) -> Self {
        Self(self.0 | NOTED)
    }

    /// The same of an `ESTABLISHED` entry that is stalled.
    #[must_use]
    pub(super) const fn as_stalled(self) -> Self {
        Self(self.0 | STALLED)
    }

    /// The same of an entry whose answer nobody misses.
    #[must_use]
    pub(crate) const fn as_one_way(self) -> Self {
        if self.unanswered() { Self(self.0 & !NOTED) } else { self }
    }

    /// The same of a row that is a sum: of many clients, of many services and backends, or of both.
    #[must_use]
    pub const fn sum(self, many_clients: bool, many_servers: bool) -> Self {
        // Who is gone is not known of an end that stands for many.
        let bits = self.0 & !SERVER_GONE | SUM;
        let bits = if many_clients { bits & !CLIENT_GONE | MANY_CLIENTS } else { bits };
        Self(if many_servers { bits | MANY_SERVERS } else { bits })
    }

    /// Whether the client, and whether service and backend, stand for many.
    pub const fn many(self) -> [bool; 2] {
        let sum = self.0 & SUM != 0;
        [sum && self.0 & MANY_CLIENTS != 0, sum && self.0 & MANY_SERVERS != 0]
    }

    /// Whether the row is a sum.
    pub const fn is_sum(self) -> bool {
        self.0 & SUM != 0
    }

    /// What rows of one pair have in common.
    pub(super) const fn of_pair(self) -> u16 {
        self.0 & OF_PAIR
    }

    /// All bits.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// State.
    pub const fn state(self) -> KnownState {
        match State::from_number(self.0 as usize & 15) {
            Some(state) => state,
            // Not reached: `of` packs nothing but known states.
            None => State::Tcp(TcpState::None),
        }
    }

    /// Transport.
    pub const fn protocol(self) -> Protocol {
        Protocol::ALL[(self.0 as usize >> 4 & 3) % Protocol::ALL.len()]
    }

    /// Bucket of [`IdleHistogram`], for established TCP connections where it is known.
    pub fn idle_bucket(self) -> Option<usize> {
        let bucket = self.0 >> 6 & 7;
        (bucket != UNMEASURED).then_some(usize::from(bucket))
    }

    /// Established TCP without a packet for the idle threshold.
    pub const fn idle(self) -> bool {
        self.noted() && matches!(self.state(), State::Tcp(TcpState::Established))
    }

    /// Established TCP whose data is not acknowledged: seen so by this scan and by one before it.
    pub const fn stalled(self) -> bool {
        self.0 & STALLED != 0 && matches!(self.state(), State::Tcp(TcpState::Established))
    }

    /// Nobody has answered, and the latest try was more than three seconds ago.
    pub const fn unanswered(self) -> bool {
        self.noted() && matches!(self.state(), State::Tcp(TcpState::SynSent) | State::Unreplied)
    }

    /// `TIME_WAIT`, entered since the scan before.
    pub const fn ended(self) -> bool {
        self.noted() && matches!(self.state(), State::Tcp(TcpState::TimeWait))
    }

    const fn noted(self) -> bool {
        self.0 & NOTED != 0
    }

    /// Who has yet to close.
    pub const fn unclosed(self) -> Option<Unclosed> {
        match (self.state(), self.0 >> 10 & 3) {
            (State::Tcp(TcpState::FinWait | TcpState::CloseWait), 1) => Some(Unclosed::Client),
            (State::Tcp(TcpState::FinWait | TcpState::CloseWait), 2) => Some(Unclosed::Server),
            _ => None,
        }
    }

    /// Whether client, service address and backend are those of before the address changed hands.
    pub const fn gone(self) -> [bool; 3] {
        let server = !self.is_sum();
        [self.0 & CLIENT_GONE != 0, server && self.0 & 1 << 13 != 0, server && self.0 & 1 << 14 != 0]
    }
}

impl std::fmt::Debug for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Class")
            .field("protocol", &self.protocol())
            .field("state", &self.state())
            .field("idle_bucket", &self.idle_bucket())
            .field("idle", &self.idle())
            .field("stalled", &self.stalled())
            .field("unanswered", &self.unanswered())
            .field("ended", &self.ended())
            .field("unclosed", &self.unclosed())
            .field("gone", &self.gone())
            .field("many", &self.many())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use khan_api::Lifecycle;

    use super::*;

    fn tcp(state: TcpState, flags_original: u8, flags_reply: u8) -> Flow {
        Flow { protocol: 6, tcp: Some(Tcp { state, flags_original, flags_reply }), ..Flow::default() }
    }

    #[test]
    fn everything_packed_comes_out_again() {
        for state in TcpState::ALL {
            let class = Class::of(&tcp(state, 0, 0), Protocol::Tcp, Some(601), 600, [true, false, true]);
            assert_eq!((class.state(), class.protocol()), (State::Tcp(state), Protocol::Tcp));
            assert_eq!(class.gone(), [true, false, true]);
            let established = state == TcpState::Established;
            assert_eq!((class.idle_bucket(), class.idle()), (established.then_some(2), established));
        }
        for (status, want) in [
            (0, State::Unreplied),
            (Status::SEEN_REPLY, State::Replied),
            (Status::SEEN_REPLY | Status::ASSURED, State::Assured),
            // Without an answer it is unreplied, whatever else is set.
            (Status::ASSURED, State::Unreplied),
        ] {
            for protocol in [Protocol::Udp, Protocol::Sctp] {
                let flow = Flow { protocol: protocol as u8, status: Status(status), ..Flow::default() };
                let class = Class::of(&flow, protocol, None, 600, [false; 3]);
                assert_eq!((class.state(), class.protocol(), class.idle_bucket()), (want, protocol, None));
            }
        }
    }

    #[test]
    fn each_state_has_its_own_notes() {
        type Notes = [bool; 4];
        let notes = |class: Class| -> Notes { [class.idle(), class.stalled(), class.unanswered(), class.ended()] };
        let of = |flow: &Flow, protocol, idle| Class::of(flow, protocol, Some(idle), 600, [false; 3]);
        let tcp = |state, idle| of(&tcp(state, 0, 0), Protocol::Tcp, idle);
        let udp = Flow { protocol: 17, ..Flow::default() };
        let none = [false; 4];
        for (class, want) in [
            (tcp(TcpState::Established, 600).as_stalled(), [true, true, false, false]),
            (tcp(TcpState::Established, 5).as_stalled(), [false, true, false, false]),
            (tcp(TcpState::SynSent, 3), none),
            (tcp(TcpState::SynSent, 4), [false, false, true, false]),
            (tcp(TcpState::SynSent, 4).as_one_way(), none),
            (of(&udp, Protocol::Udp, 4), [false, false, true, false]),
            (of(&udp, Protocol::Udp, 4).sum(true, true), [false, false, true, false]),
            (tcp(TcpState::TimeWait, 4), none),
            (tcp(TcpState::TimeWait, 4).as_ended(), [false, false, false, true]),
            (tcp(TcpState::TimeWait, 4).as_ended().as_one_way(), [false, false, false, true]),
            (tcp(TcpState::SynRecv, 900), none),
        ] {
            assert_eq!(notes(class), want, "{class:?}");
            assert_eq!(class.unclosed(), None);
        }
    }

    #[test]
    fn a_sum_forgets_who_is_gone_among_many() {
        let class = Class::of(&tcp(TcpState::Established, 0, 0), Protocol::Tcp, Some(601), 600, [true; 3]);
        assert_eq!((class.many(), class.gone()), ([false; 2], [true; 3]));
        for (clients, servers) in [(true, false), (false, true), (true, true)] {
            let sum = class.sum(clients, servers);
            assert_eq!((sum.many(), sum.gone()), ([clients, servers], [!clients, false, false]));
            assert_eq!((sum.state(), sum.idle_bucket(), sum.idle()), (class.state(), Some(2), true));
        }
    }

    #[test]
    fn offloaded_entries_have_neither_state_nor_timeout() {
        let flow = Flow { protocol: 6, status: Status(Status::OFFLOAD | Status::SEEN_REPLY), ..Flow::default() };
        let class = Class::of(&flow, Protocol::Tcp, None, 600, [false; 3]);
        assert_eq!((class.state(), class.state().lifecycle()), (State::Offload, Lifecycle::Open));
    }

    #[test]
    fn the_side_that_did_not_send_the_first_fin_has_yet_to_close() {
        let unclosed = |state, original, reply| {
            Class::of(&tcp(state, original, reply), Protocol::Tcp, None, 600, [false; 3]).unclosed()
        };
        let init = Tcp::CLOSE_INIT;
        assert_eq!(unclosed(TcpState::CloseWait, init, 0), Some(Unclosed::Server));
        assert_eq!(unclosed(TcpState::FinWait, 0, init), Some(Unclosed::Client));
        assert_eq!(unclosed(TcpState::CloseWait, init, init), None);
        assert_eq!(unclosed(TcpState::LastAck, init, 0), None);
        assert_eq!(unclosed(TcpState::Established, init, 0), None);
    }
}
