//! In: Cilium's connection tracking maps. Out: flows.
//!
//! Cilium keeps four maps, for TCP and everything else in both families, pinned under `tc/globals` in the BPF file system. A connection has an entry
//! for the packets of each end that is on this node (OUT, IN), and one through a service has a third (SERVICE) that only
//! says what was dialled. Entries past their lifetime stay until Cilium collects them; they are left out.

mod layout;
mod clock;
mod fronts;
mod held;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::ControlFlow;

use khan_api::{Protocol, TcpState};
use khan_bpf::Buffers;
use tracing::info;

use clock::Clock;
use fronts::Front;
use held::{Entry, Held};
use layout::{Ip, Key, Role, Value};

use super::flow::{Flow, Status, Tcp, Tuple};
use super::maps::Layout;
use super::outlet::Outlet;
use super::pinned::{self, Table};
use super::reader::{AttemptError, Details, Plane, Sink};

/// Entries whose times decide which clock they are of.
const SAMPLE: usize = 2048;

/// Reads the maps.
#[derive(Debug)]
pub(super) struct Cilium {
    clock: Option<Clock>,
    /// Whether this reading has looked at the clock.
    looked: bool,
    seed: u64,
}

impl Default for Cilium {
    fn default() -> Self {
        Self { clock: None, looked: false, seed: RandomState::new().hash_one(0) }
    }
}

impl Layout for Cilium {
    const PLANE: Plane = Plane::Cilium;

    const MAPS: &[(&[&str], bool)] = &[
        (&["cilium_ct4_global"], false),
        (&["cilium_ct_any4_global"], false),
        (&["cilium_ct6_global"], true),
        (&["cilium_ct_any6_global"], true),
    ];

    fn sizes(v6: bool) -> [usize; 2] {
        [if v6 { <[u64; 2]>::KEY } else { u32::KEY }, Value::SIZE]
    }

    fn begin(&mut self) {
        self.looked = false;
    }

    fn read<S: Sink>(
        &mut self,
        table: &Table,
        buffers: &mut Buffers,
        outlet: &mut Outlet<'_, S>,
    ) -> Result<io::Result<u64>, AttemptError> {
        let read = if table.v6 { Self::read_family::<[u64; 2], S> } else { Self::read_family::<u32, S> };
        read(self, table, buffers, outlet)
    }
}

impl Cilium {
    fn read_family<A: Ip, S: Sink>(
        &mut self,
        table: &Table,
        buffers: &mut Buffers,
        outlet: &mut Outlet<'_, S>,
    ) -> Result<io::Result<u64>, AttemptError> {
        self.look_at_clock::<A>(table, buffers);
        let mut held = Held::<A>::new(self.seed);
        loop {
            let times = Times::now(self.clock);
            let walked = pinned::walk(&table.map, buffers, outlet, |key, bytes, outlet| {
                let (Some(key), Some(value)) = (Key::<A>::read(key), Value::read(bytes)) else {
                    outlet.refuse();
                    return Ok(());
                };
                if key.role == Role::Related || !times.lives(&value) {
                    return Ok(());
                }
                let mut entry = Entry::of(&key, &value, times.idle(&value));
                if key.role == Role::Out && value.flags & Value::DSR != 0 {
                    entry = Value::answers_as(bytes).map_or(entry, |dialled| held.directly(entry, dialled));
                }
                if !held.add(entry) {
                    outlet.refuse();
                }
                Ok(())
            })?;
            let again = walked.is_ok()
                && held.connections(|one, dialled| outlet.give(&flow(one, dialled), Details::default))?;
            if !again {
                return Ok(walked);
            }
        }
    }

    /// Finds out, by some entries, what time they are in.
    fn look_at_clock<A: Ip>(&mut self, table: &Table, buffers: &mut Buffers) {
        if self.looked {
            return;
        }
        let (mut reports, mut looked_at) = (Vec::new(), 0);
        // If this fails, so will the walk.
        let _ = table.map.walk(buffers, |key, value| {
            let value = Key::<A>::read(key).and_then(|_| Value::read(value));
            reports.extend(value.and_then(|value| value.last_report()));
            looked_at += 1;
            if looked_at < SAMPLE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        reports.sort_unstable();
        // Not the very latest, so that an odd entry among many decides nothing.
        let Some(latest) = reports.get((reports.len() * 99 / 100).min(reports.len().saturating_sub(1))) else { return };
        self.looked = true;
        let clock = Clock::choose(*latest, pinned::uptime(), self.clock);
        if self.clock.replace(clock) != Some(clock) {
            info!(map = table.name, "Cilium's entries have their times in {clock}");
        }
    }
}

/// The present, by the data plane's clock.
#[derive(Clone, Copy, Debug)]
struct Times {
    clock: Clock,
    now: u32,
}

impl Times {
    fn now(clock: Option<Clock>) -> Self {
        let clock = clock.unwrap_or(Clock::Seconds);
        Self { clock, now: clock.at(pinned::uptime()) }
    }

    /// Whether the entry's lifetime is not over.
    #[inline]
    const fn lives(self, value: &Value) -> bool {
        value.lifetime >= self.now || value.lifetime == 0
    }

    /// Seconds since the last packet, too many by up to 5, since not every packet is reported.
    #[inline]
    fn idle(self, value: &Value) -> u32 {
        value.last_report().map_or(Entry::<u32>::UNKNOWN, |last| self.clock.seconds(self.now.saturating_sub(last)))
    }
}

/// The connection between these ends.
#[inline]
fn flow<A: Ip>(one: &Entry<A>, dialled: Option<Front<A>>) -> Flow {
    const ICMP: u8 = 1;
    const ICMP_V6: u8 = 58;
    let (client, server) = (one.client.address(), one.server.address());
    let (service, port) = dialled.map_or((server, one.port), |(address, port)| (address.address(), port));
    let mut original = Tuple { src: client, dst: service, src_port: one.client_port, dst_port: port };
    let mut reply = Tuple { src: server, dst: client, src_port: one.port, dst_port: one.client_port };
    if matches!(one.protocol, ICMP | ICMP_V6) {
        // Identifiers of echo requests.
        (original.src_port, original.dst_port, reply.src_port, reply.dst_port) = (0, 0, 0, 0);
    }
    Flow {
        original,
        reply,
        protocol: one.protocol,
        status: Status(if one.has(Entry::<A>::REPLIED) { Status::SEEN_REPLY } else { 0 }),
        timeout: None,
        tcp: (one.protocol == Protocol::Tcp as u8).then(|| tcp(one)),
        zone: 0,
        idle: (one.idle != Entry::<A>::UNKNOWN).then_some(one.idle),
    }
}

/// State and flags by what was seen of both ends. Cilium does not follow acknowledgements: one FIN is `CLOSE_WAIT`, two are `TIME_WAIT`, and
/// data that awaits its acknowledgement is not known.
#[inline]
fn tcp<A: Ip>(one: &Entry<A>) -> Tcp {
    let closed = [one.has(Entry::<A>::CLIENT_CLOSED), one.has(Entry::<A>::SERVER_CLOSED)];
    let state = match closed {
        [true, _] | [_, true] if one.has(Entry::<A>::RESET) => TcpState::Close,
        [true, true] => TcpState::TimeWait,
        [true, false] | [false, true] => TcpState::CloseWait,
        _ if one.has(Entry::<A>::BEGUN) => TcpState::Established,
        _ if one.has(Entry::<A>::REPLIED) => TcpState::SynRecv,
        _ => TcpState::SynSent,
    };
    // Who closed first is known only while the other end has not closed.
    let first = |own: bool, other: bool| if own && !other { Tcp::CLOSE_INIT } else { 0 };
    Tcp { state, flags_original: first(closed[0], closed[1]), flags_reply: first(closed[1], closed[0]) }
}

#[cfg(test)]
mod tests;
