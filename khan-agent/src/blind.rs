//! What keeps an agent from seeing all connections: in, the latest scan and the machine; out, reasons, each said by a
//! metric, a warning in the snapshot, and a log line when it begins and when it ends.

use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::conntrack::{DumpError, Stats};
use crate::metrics::Metrics;

/// Where Cilium pins its own connection tables (`pkg/maps/ctmap` in its source). A container sees them only where the
/// node's BPF file system is mounted into it.
const CILIUM_MAPS: &str = "/sys/fs/bpf/tc/globals";
/// The interface that Cilium makes on every node (`pkg/defaults`).
const CILIUM_INTERFACE: &str = "cilium_host";

/// Why connections may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The table is empty: no rule in this network namespace asks for tracking, or nobody talks.
    Untracked,
    /// The kernel refuses to be read.
    NotPermitted,
    /// The table holds as many entries as it may, so connections are dropped or replace others.
    Full,
    /// The kernel refused entries since the last scan.
    Dropping,
    /// Cilium tracks connections in tables of its own.
    Cilium,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::Untracked, Self::NotPermitted, Self::Full, Self::Dropping, Self::Cilium];

    /// The value of the label `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Untracked => "untracked",
            Self::NotPermitted => "not_permitted",
            Self::Full => "table_full",
            Self::Dropping => "dropping",
            Self::Cilium => "cilium",
        }
    }

    /// One sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Untracked => {
                "the connection tracking table is empty: no rule in this network namespace makes the kernel track \
                 connections (is the agent on the host network?)"
            }
            Self::NotPermitted => "the connection tracking table may not be read: CAP_NET_ADMIN is missing",
            Self::Full => {
                "the connection tracking table is full: new connections are dropped or replace others; raise \
                 net.netfilter.nf_conntrack_max"
            }
            Self::Dropping => "the kernel could not track some connections since the last scan",
            Self::Cilium => {
                "Cilium is on this node (its tables under /sys/fs/bpf/tc/globals, or its interface cilium_host) and tracks \
                 connections in tables of its own, which are not read: what it forwards by itself is not counted"
            }
        }
    }

    const fn number(self) -> usize {
        self as usize
    }
}

/// Which reasons hold now.
#[derive(Debug)]
pub struct Blind {
    maps: PathBuf,
    holds: [bool; Reason::ALL.len()],
    /// `drop` and `early_drop` at the last scan.
    dropped: Option<u64>,
}

impl Default for Blind {
    fn default() -> Self {
        Self::new(Path::new(CILIUM_MAPS))
    }
}

impl Blind {
    /// Looks for Cilium's pinned maps in `maps`.
    pub fn new(maps: &Path) -> Self {
        Self { maps: maps.to_owned(), holds: [false; Reason::ALL.len()], dropped: None }
    }

    /// The reasons that hold.
    pub fn reasons(&self) -> impl Iterator<Item = Reason> {
        Reason::ALL.into_iter().filter(|reason| self.holds[reason.number()])
    }

    /// Looks at a scan that succeeded.
    pub fn saw(&mut self, stats: &Stats, flows: u64, metrics: &Metrics) {
        let dropped = stats.counter("drop") + stats.counter("early_drop");
        let dropping = self.dropped.replace(dropped).is_some_and(|before| dropped > before);
        let holds = |reason| match reason {
            Reason::Untracked => flows == 0 && stats.entries == 0,
            Reason::NotPermitted => false,
            Reason::Full => stats.limit > 0 && stats.entries >= stats.limit,
            Reason::Dropping => dropping,
            Reason::Cilium => has_connection_maps(&self.maps) || has_interface(CILIUM_INTERFACE),
        };
        self.set(Reason::ALL.map(holds), metrics);
    }

    /// Looks at a scan that failed.
    pub fn failed(&mut self, error: &DumpError, metrics: &Metrics) {
        let mut holds = self.holds;
        holds[Reason::NotPermitted.number()] = matches!(error, DumpError::NotPermitted);
        self.set(holds, metrics);
    }

    fn set(&mut self, holds: [bool; Reason::ALL.len()], metrics: &Metrics) {
        for reason in Reason::ALL {
            let (before, now) = (self.holds[reason.number()], holds[reason.number()]);
            metrics.blind.with_label_values(&[reason.as_str()]).set(i64::from(now));
            match (before, now) {
                (false, true) => warn!(reason = reason.as_str(), "Connections may be missing: {}", reason.sentence()),
                (true, false) => info!(reason = reason.as_str(), "No longer so: {}", reason.sentence()),
                _ => {}
            }
        }
        self.holds = holds;
    }
}

/// Whether one of the pinned maps is a connection table (`cilium_ct4_global`, `cilium_ct_any6_global`, ...).
fn has_connection_maps(maps: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(maps) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("cilium_ct"))
}

/// Whether this network namespace has an interface of this name.
fn has_interface(name: &str) -> bool {
    let Ok(list) = std::fs::read_to_string("/proc/thread-self/net/dev") else { return false };
    list.lines().any(|line| line.split_once(':').is_some_and(|(interface, _)| interface.trim() == name))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    fn stats(entries: u64, limit: u64) -> Stats {
        let mut stats = Stats::default();
        (stats.entries, stats.limit) = (entries, limit);
        stats
    }

    /// What is logged.
    #[derive(Clone, Debug, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_reason_is_logged_when_it_begins_and_when_it_ends() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        let (metrics, mut blind) = (Metrics::new().unwrap(), Blind::default());
        let fresh = || String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            for reason in Reason::ALL {
                let holds = Reason::ALL.map(|other| other == reason);
                for (holds, says) in [(holds, "Connections may be missing"), ([false; 5], "No longer so")] {
                    blind.set(holds, &metrics);
                    let line = fresh();
                    let level = if says.starts_with('N') { " INFO " } else { " WARN " };
                    for part in [says, level, reason.as_str(), reason.sentence()] {
                        assert!(line.contains(part), "{part} is not in {line:?}");
                    }
                    blind.set(holds, &metrics);
                    assert_eq!(fresh(), "", "said once");
                }
            }
        });
    }

    #[test]
    fn reasons_begin_and_end() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Metrics::new().unwrap();
        let mut blind = Blind::new(folder.path());
        let says = |blind: &Blind| {
            for reason in Reason::ALL {
                let metric = metrics.blind.with_label_values(&[reason.as_str()]).get();
                assert_eq!(metric == 1, blind.reasons().any(|holds| holds == reason));
            }
            blind.reasons().collect::<Vec<_>>()
        };
        blind.saw(&stats(5, 100), 5, &metrics);
        assert_eq!(says(&blind), []);
        blind.saw(&stats(0, 100), 0, &metrics);
        assert_eq!(says(&blind), [Reason::Untracked]);
        blind.failed(&DumpError::NotPermitted, &metrics);
        assert_eq!(says(&blind), [Reason::Untracked, Reason::NotPermitted]);
        std::fs::write(folder.path().join("cilium_ct4_global"), "").unwrap();
        blind.saw(&stats(100, 100), 100, &metrics);
        assert_eq!(says(&blind), [Reason::Full, Reason::Cilium]);
        std::fs::remove_file(folder.path().join("cilium_ct4_global")).unwrap();
        blind.saw(&stats(99, 100), 99, &metrics);
        assert_eq!(says(&blind), []);
    }
}
