//! How long Calico keeps entries: in, ages; out, whether an entry is one that Calico is about to remove.
//!
//! An entry holds no timeout. Felix, Calico's agent, looks at every entry each 10 s and removes those without a packet for
//! longer than its setting `BPFConntrackTimeouts` says, which Khan does not see. Entries past the defaults are left out, as
//! the kernel leaves its own expired entries out of a dump. Entries that are still there a minute later show that Felix keeps
//! their kind longer, if packets pass at all: what nobody uses any more, nobody cleans up. Then the next reading counts them.

use super::super::netlink::sysctl;

/// What an entry's timeout depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// TCP, not established.
    Handshake,
    /// TCP, established; one FIN does not change that.
    Established,
    /// TCP, a FIN from both ends.
    Finished,
    /// TCP, a RST.
    Reset,
    /// UDP.
    Udp,
    /// ICMP, of either IP version.
    Icmp,
    /// Every other protocol.
    Other,
}

const PHASES: usize = 7;
/// Seconds that Felix may take to remove an entry, and within which packets pass on every node. It looks every 10 s; on a large map
/// it takes longer.
const GRACE: u64 = 60;

/// The timeouts that apply, and what the reading before showed of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Seconds, by phase.
    timeouts: [u64; PHASES],
    /// The phases of which the reading before saw entries that should have been removed.
    longer: [bool; PHASES],
    /// The same of this reading.
    seen: [bool; PHASES],
    /// Whether this reading saw an entry whose last packet was just now.
    used: bool,
}

impl Default for Lifetimes {
    /// `DefaultTimeouts` of `felix/bpf/conntrack/timeouts`.
    fn default() -> Self {
        Self { timeouts: [20, 3600, 30, 40, 60, 5, 600], longer: [false; PHASES], seen: [false; PHASES], used: false }
    }
}

impl Lifetimes {
    /// A reading begins. The default of `TCPFinsSeen` is `Auto` since Calico 3.31: the kernel's own timeout.
    pub fn begin(&mut self) {
        self.begin_with(sysctl::read("nf_conntrack_tcp_timeout_time_wait"));
    }

    fn begin_with(&mut self, time_wait: Option<u64>) {
        self.timeouts[Phase::Finished as usize] = time_wait.unwrap_or(120).max(30);
        let seen = std::mem::take(&mut self.seen);
        self.longer = if std::mem::take(&mut self.used) { seen } else { [false; PHASES] };
    }

    /// Whether an entry of this phase whose last packet was `age` seconds ago is past its timeout.
    #[inline]
    pub fn over(&mut self, phase: Phase, age: u64) -> bool {
        let (phase, timeout) = (phase as usize, self.timeouts[phase as usize]);
        self.used |= age <= GRACE;
        self.seen[phase] |= age > timeout + GRACE;
        age > timeout && !self.longer[phase]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_past_its_timeout_is_over_unless_felix_keeps_such_entries() {
        let mut lifetimes = Lifetimes::default();
        lifetimes.begin_with(Some(90));
        for (phase, last) in [
            (Phase::Handshake, 20),
            (Phase::Established, 3600),
            (Phase::Finished, 90),
            (Phase::Reset, 40),
            (Phase::Udp, 60),
            (Phase::Icmp, 5),
            (Phase::Other, 600),
        ] {
            assert!(!lifetimes.over(phase, last), "{phase:?}");
            assert!(lifetimes.over(phase, last + 1), "{phase:?}");
            assert!(lifetimes.over(phase, last + GRACE), "{phase:?}");
        }
        lifetimes.begin_with(None);
        assert!(lifetimes.over(Phase::Finished, 121) && lifetimes.over(Phase::Established, 3601));
        // Felix is set to keep idle connections for longer.
        assert!(lifetimes.over(Phase::Established, 40_000) && !lifetimes.over(Phase::Udp, 1));
        lifetimes.begin_with(None);
        assert!(!lifetimes.over(Phase::Established, 3601), "since the reading before showed so");
        assert!(lifetimes.over(Phase::Udp, 61), "of other phases it showed nothing");
        // Nobody uses this map any more.
        assert!(!lifetimes.over(Phase::Established, 40_000));
        lifetimes.begin_with(None);
        assert!(lifetimes.over(Phase::Established, 40_000));
    }
}
