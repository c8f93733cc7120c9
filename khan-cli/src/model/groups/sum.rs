//! The numbers of a group, and how a row of a table contributes to them.

use khan_api::{Lifecycle, TcpState};

use crate::model::state::{State, StateCounts, UNTOLD};
use crate::model::table::detail::Details;
use crate::model::view::RowRef;

/// Sums over the connections of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Connections.
    pub connections: u64,
    /// Connections by state.
    pub states: StateCounts,
    /// Established, by time since the last packet; bounds as in [`khan_api::snapshot::IDLE_BOUNDS_SECONDS`].
    pub idle: [u64; 5],
    /// Established, without a packet for the agent's threshold.
    pub idle_connections: u64,
    /// Half-closed, the client has yet to close.
    pub client_unclosed: u64,
    /// Half-closed, the server has yet to close.
    pub server_unclosed: u64,
    /// Established, and nobody acknowledges their data.
    pub stalled: u64,
    /// Nobody has answered.
    pub unanswered: u64,
    /// Connections of nodes whose agents compare their scans: only of these it is known what is stalled, unanswered or ended.
    pub compared: u64,
    /// Ended since the snapshot before, where that is known.
    pub ended: u64,
    /// Of those, how many a second, in thousandths.
    pub ended_rate: u64,
    /// Connections to a dead backend, and how many of these are stalled or unanswered.
    pub dead: u64,
    /// Stalled because their backend is dead.
    pub dead_stalled: u64,
    /// Unanswered because their backend is dead.
    pub dead_unanswered: u64,
    /// Connections that outlived the owner of an address.
    pub previous: u64,
    /// Connections from nodes whose data is old.
    pub stale: u64,
    /// Used share, in thousandths, of the ports of a translated source: that of the node and destination with the fewest left;
    /// 0 where no source is translated.
    pub snat: u16,
}

impl Sum {
    /// Half-closed connections.
    pub fn half_closed(&self) -> u64 {
        self.client_unclosed + self.server_unclosed
    }

    /// A number of which something is known only where scans are compared.
    pub fn known(&self, number: u64) -> Option<u64> {
        (self.compared > 0 || self.connections == 0).then_some(number)
    }

    /// Connections that end each second; `None` where that is not known.
    pub fn closed_per_second(&self) -> Option<f64> {
        self.known(self.ended_rate).map(|rate| rate as f64 / 1000.0)
    }

    /// Connections that are or may still be used: neither being opened nor closed.
    pub fn open(&self) -> u64 {
        State::all_known()
            .filter(|state| state.lifecycle() == Lifecycle::Open)
            .map(|state| self.states.get(state))
            .sum()
    }

    /// Notes that all of these go to a dead backend, or that none does.
    const fn mark_dead(&mut self, dead: bool) {
        (self.dead, self.dead_stalled, self.dead_unanswered) =
            if dead { (self.connections, self.stalled, self.unanswered) } else { (0, 0, 0) };
    }

    /// Adds `other`.
    pub fn merge(&mut self, other: &Self) {
        self.connections += other.connections;
        self.states.merge(&other.states);
        for (mine, theirs) in self.idle.iter_mut().zip(other.idle) {
            *mine += theirs;
        }
        self.idle_connections += other.idle_connections;
        self.client_unclosed += other.client_unclosed;
        self.server_unclosed += other.server_unclosed;
        self.stalled += other.stalled;
        self.unanswered += other.unanswered;
        self.compared += other.compared;
        self.ended += other.ended;
        self.ended_rate += other.ended_rate;
        self.dead += other.dead;
        self.dead_stalled += other.dead_stalled;
        self.dead_unanswered += other.dead_unanswered;
        self.previous += other.previous;
        self.stale += other.stale;
        self.snat = self.snat.max(other.snat);
    }
}

/// What the ends of a row say of all its connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    /// One of them is a previous owner.
    pub(super) previous: bool,
    /// The backend is dead.
    pub(super) dead: bool,
}

/// All connections of a row.
pub(super) fn whole(row: &RowRef<'_>, marks: Marks) -> Sum {
    let connections = u64::from(row.row.connections);
    let mut sum = Sum {
        connections,
        previous: if marks.previous { connections } else { 0 },
        stale: if row.stale { connections } else { 0 },
        snat: row.snat,
        ..Sum::default()
    };
    for (state, n) in row.states {
        sum.states.add(*state, u64::from(*n));
    }
    let details: Details = row.details.iter().collect();
    sum.idle = details.histogram.0.map(u64::from);
    sum.idle_connections = u64::from(details.idle);
    sum.client_unclosed = u64::from(details.client_unclosed);
    sum.server_unclosed = u64::from(details.server_unclosed);
    sum.stalled = u64::from(details.stalled);
    sum.unanswered = u64::from(details.unanswered);
    if let Some(rate) = (u64::from(details.ended) * 1_000_000).checked_div(row.window_millis) {
        (sum.ended, sum.ended_rate) = (u64::from(details.ended), rate);
        sum.compared = connections;
    }
    sum.mark_dead(marks.dead);
    sum
}

/// The connections of a row in one state. Idle times belong to the established ones, half-closed sides to `CLOSE_WAIT`
/// (the state that half-closed connections stay in).
pub(super) fn partial(row: &RowRef<'_>, state: State, connections: u64, marks: Marks) -> Sum {
    let mut sum = whole(row, marks);
    let states = std::mem::take(&mut sum.states);
    sum.states.add(state, connections);
    sum.connections = connections;
    sum.compared = if row.window_millis > 0 { connections } else { 0 };
    sum.previous = if marks.previous { connections } else { 0 };
    sum.stale = if row.stale { connections } else { 0 };
    let untold = state == UNTOLD && states.told() == 0;
    if !untold && state != State::Tcp(TcpState::Established) {
        sum.idle = [0; 5];
        (sum.idle_connections, sum.stalled) = (0, 0);
    }
    if !untold && state.lifecycle() != Lifecycle::Opening {
        sum.unanswered = 0;
    }
    if !untold && state != State::Tcp(TcpState::TimeWait) {
        (sum.ended, sum.ended_rate) = (0, 0);
    }
    if state != State::Tcp(TcpState::CloseWait) {
        (sum.client_unclosed, sum.server_unclosed) = (0, 0);
    }
    sum.mark_dead(marks.dead);
    sum
}
