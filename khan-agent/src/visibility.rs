//! What keeps an agent from seeing all connections, or from naming them: in, the latest scan and the machine; out, reasons,
//! each said by a metric, a warning in the snapshot, and log lines when it begins, while it lasts, and when it ends.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use khan_api::Timestamp;
use khan_serve::reminder::{Reminder, spoken};
use tracing::{info, warn};

use crate::flows::{DumpError, KERNEL, Plane, Stats, TableStats, Unread};
use crate::self_metrics::SelfMetrics;

/// The interface that Cilium makes on every node (`pkg/defaults`). A container sees Cilium's maps only where the node's BPF file
/// system is mounted into it, and then this says that there are some.
const CILIUM_INTERFACE: &str = "cilium_host";
/// The same of Calico's eBPF data plane (`felix/dataplane/linux`).
const CALICO_INTERFACE: &str = "bpfin.cali";

/// Names that are older may be wrong for whoever changed since; as the alert `KhanNamesOld` has it.
const NAMES_LAST: Duration = Duration::from_mins(10);

/// Why connections, or their names, may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The table is empty: no rule in this network namespace asks for tracking, or nobody talks.
    Untracked,
    /// The kernel refuses to be read.
    NotPermitted,
    /// A table holds as many entries as it may, so connections are dropped or replace others.
    Full,
    /// The kernel refused entries since the last scan.
    Dropping,
    /// Cilium tracks connections in maps that cannot be read.
    Cilium,
    /// Calico's eBPF data plane does.
    Calico,
    /// The controller never answered.
    NoNames,
    /// The controller has not answered for a while.
    OldNames,
}

impl Reason {
    /// Every reason.
    pub(crate) const ALL: [Self; 8] = [
        Self::Untracked,
        Self::NotPermitted,
        Self::Full,
        Self::Dropping,
        Self::Cilium,
        Self::Calico,
        Self::NoNames,
        Self::OldNames,
    ];

    /// The value of the label `reason`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Untracked => "untracked",
            Self::NotPermitted => "not_permitted",
            Self::Full => "table_full",
            Self::Dropping => "dropping",
            Self::Cilium => "cilium",
            Self::Calico => "calico",
            Self::NoNames => "no_names",
            Self::OldNames => "old_names",
        }
    }

    /// One sentence.
    pub(crate) const fn sentence(self) -> &'static str {
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
                "Cilium is on this node, and its connection tables (eBPF maps) cannot be read: what it forwards by itself is not \
                 counted"
            }
            Self::Calico => {
                "Calico's eBPF data plane is on this node, and its connection tables (eBPF maps) cannot be read: what it forwards \
                 by itself is not counted"
            }
            Self::NoNames => {
                "khan-controller has never answered: all connections are counted, but addresses have no names; run khan doctor"
            }
            Self::OldNames => {
                "khan-controller has not answered for 10 minutes: all connections are counted, but newer pods have no names; \
                 run khan doctor"
            }
        }
    }

    /// What may be missing.
    const fn missing(self) -> &'static str {
        match self {
            Self::NoNames | Self::OldNames => "Names may be missing",
            _ => "Connections may be missing",
        }
    }

    const fn number(self) -> usize {
        self as usize
    }
}

/// Which reasons hold now.
#[derive(Debug, Default)]
pub(crate) struct Visibility {
    holds: [Option<Reminder>; Reason::ALL.len()],
    /// What is in the way of Cilium's and of Calico's maps, and what to do about it.
    remedies: [String; 2],
    /// The same of the tables that are full.
    full: String,
    /// `drop` and `early_drop` at the last scan.
    dropped: Option<u64>,
}

impl Visibility {
    /// The reasons that hold.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = Reason> {
        Reason::ALL.into_iter().filter(|reason| self.holds[reason.number()].is_some())
    }

    /// What is to be said of each.
    pub(crate) fn sentences(&self) -> impl Iterator<Item = String> {
        self.reasons().map(|reason| self.sentence(reason).into_owned())
    }

    fn sentence(&self, reason: Reason) -> Cow<'static, str> {
        let remedy = match reason {
            Reason::Cilium => &self.remedies[0],
            Reason::Calico => &self.remedies[1],
            Reason::Full if !self.full.is_empty() => return self.full.clone().into(),
            _ => return reason.sentence().into(),
        };
        format!("{}: {remedy}", reason.sentence()).into()
    }

    /// Looks at how full each table is.
    fn saw_fill(&mut self, stats: &Stats, metrics: &SelfMetrics) {
        let kernel = stats.limit > 0 && stats.entries >= stats.limit;
        let maps = stats.tables.iter().filter(|table| table.name != KERNEL && table.is_full()).map(full_map);
        let full: Vec<_> = kernel.then(|| Reason::Full.sentence().to_owned()).into_iter().chain(maps).collect();
        // The text stays while the condition ends, which is said with it.
        if !full.is_empty() {
            self.full = full.join("; ");
        }
        self.set(Reason::Full, !full.is_empty(), metrics);
    }

    /// Looks at a scan that succeeded.
    pub(crate) fn saw(&mut self, stats: &Stats, flows: u64, metrics: &SelfMetrics) {
        let dropped = stats.counter("drop") + stats.counter("early_drop");
        let dropping = self.dropped.replace(dropped).is_some_and(|before| dropped > before);
        // Where there are maps the kernel's table may well be empty, and maps without an entry are no sign of anything.
        let only_kernel = !stats.has_maps();
        self.set(Reason::Untracked, flows == 0 && stats.entries == 0 && only_kernel, metrics);
        self.set(Reason::NotPermitted, false, metrics);
        self.saw_fill(stats, metrics);
        self.set(Reason::Dropping, dropping, metrics);
        for (place, reason, plane, maps, interface) in [
            (0, Reason::Cilium, Plane::Cilium, "cilium_ct", CILIUM_INTERFACE),
            (1, Reason::Calico, Plane::Calico, "cali_v", CALICO_INTERFACE),
        ] {
            let unread = stats.unread.iter().find(|unread| unread.plane == plane);
            let read = stats.tables.iter().any(|table| table.name.starts_with(maps));
            let holds = unread.is_some() || !read && has_interface(interface);
            // The text stays while the condition ends, which is said with it.
            if holds {
                self.remedies[place] = unread.map_or_else(|| format!("apply {}", plane.overlay()), Unread::remedy);
            }
            self.set(reason, holds, metrics);
        }
    }

    /// Looks at a scan that failed.
    pub(crate) fn failed(&mut self, error: &DumpError, metrics: &SelfMetrics) {
        self.set(Reason::NotPermitted, matches!(error, DumpError::NotPermitted), metrics);
        // The error itself says so in the log; the next scan that succeeds takes it back.
        let plane = match error {
            DumpError::NoTable { plane, .. } => plane,
            DumpError::Unread { unread, .. } => &unread.plane,
            _ => return,
        };
        let reason = if *plane == Plane::Cilium { Reason::Cilium } else { Reason::Calico };
        metrics.blind.with_label_values(&[reason.as_str()]).set(1);
    }

    /// Looks at when the controller last answered. Not for agents without one.
    pub(crate) fn named(&mut self, updated: Option<Timestamp>, now: Timestamp, metrics: &SelfMetrics) {
        self.set(Reason::NoNames, updated.is_none(), metrics);
        self.set(Reason::OldNames, updated.is_some_and(|updated| now.since(updated) > NAMES_LAST), metrics);
    }

    fn set(&mut self, reason: Reason, holds: bool, metrics: &SelfMetrics) {
        metrics.blind.with_label_values(&[reason.as_str()]).set(i64::from(holds));
        let (now, missing, sentence) = (Instant::now(), reason.missing(), self.sentence(reason));
        let state = &mut self.holds[reason.number()];
        match state {
            None if holds => {
                warn!(reason = reason.as_str(), "{missing}: {sentence}");
                *state = Some(Reminder::new(now));
            }
            Some(_) if !holds => {
                info!(reason = reason.as_str(), "No longer so: {sentence}");
                *state = None;
            }
            Some(reminder) => {
                if let Some(age) = reminder.due(now) {
                    warn!(reason = reason.as_str(), "{missing}, for {} now: {sentence}", spoken(age));
                }
            }
            None => {}
        }
    }
}

/// What a full map does, and how to enlarge it.
fn full_map(table: &TableStats) -> String {
    let name = table.name;
    let does = if table.evicts { "evicts the entries that were used longest ago" } else { "takes no new entries" };
    let setting = match name {
        _ if name.starts_with("cali_") => "bpfMapSizeConntrack in Calico's FelixConfiguration",
        _ if name.starts_with("cilium_ct_any") => "bpf.ctAnyMax among Cilium's Helm values",
        _ => "bpf.ctTcpMax among Cilium's Helm values",
    };
    format!("the connection table {name} is full and {does}; raise {setting}")
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

    /// `tracing` asks whoever comes first to a line of the log whether anybody wants it, and a test without a log does not.
    static LOGGING: Mutex<()> = Mutex::new(());

    #[test]
    fn each_reason_is_logged_when_it_begins_and_when_it_ends() {
        let _alone = LOGGING.lock().unwrap();
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        let (metrics, mut visibility) = (SelfMetrics::new().unwrap(), Visibility::default());
        let fresh = || String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            for reason in Reason::ALL {
                for (holds, says) in [(true, reason.missing()), (false, "No longer so")] {
                    visibility.set(reason, holds, &metrics);
                    let line = fresh();
                    let level = if holds { " WARN " } else { " INFO " };
                    for part in [says, level, reason.as_str(), reason.sentence()] {
                        assert!(line.contains(part), "{part} is not in {line:?}");
                    }
                    visibility.set(reason, holds, &metrics);
                    assert_eq!(fresh(), "", "said once");
                }
            }
        });
    }

    #[test]
    fn reasons_begin_and_end() {
        let _alone = LOGGING.lock().unwrap();
        let metrics = SelfMetrics::new().unwrap();
        let mut visibility = Visibility::default();
        let says = |visibility: &Visibility| {
            for reason in Reason::ALL {
                let metric = metrics.blind.with_label_values(&[reason.as_str()]).get();
                assert_eq!(metric == 1, visibility.reasons().any(|holds| holds == reason));
            }
            visibility.reasons().collect::<Vec<_>>()
        };
        visibility.saw(&stats(5, 100), 5, &metrics);
        assert_eq!(says(&visibility), []);
        visibility.saw(&stats(0, 100), 0, &metrics);
        assert_eq!(says(&visibility), [Reason::Untracked]);
        visibility.failed(&DumpError::NotPermitted, &metrics);
        assert_eq!(says(&visibility), [Reason::Untracked, Reason::NotPermitted]);
        for (unknown, remedy) in [(true, "why; see docs/tables.md"), (false, "why; apply deploy/overlays/calico-ebpf")]
        {
            let unread = vec![Unread { plane: Plane::Calico, why: "why".to_owned(), unknown }];
            visibility.saw(&Stats { unread, ..stats(100, 100) }, 100, &metrics);
            assert_eq!(says(&visibility), [Reason::Full, Reason::Calico]);
            assert!(visibility.sentences().any(|sentence| sentence.ends_with(remedy)), "{remedy}");
        }
        visibility.saw(&stats(99, 100), 99, &metrics);
        assert_eq!(says(&visibility), []);
        let map = |name, entries, evicts| TableStats { name, entries, limit: 1000, evicts, took: Duration::ZERO };
        for (name, entries, evicts, text) in [
            // Its connections would be in the map.
            ("cilium_ct4_global", 0, true, None),
            ("cilium_ct4_global", 949, true, None),
            (
                "cilium_ct4_global",
                950,
                true,
                Some("cilium_ct4_global is full and evicts the entries that were used longest ago; raise bpf.ctTcpMax"),
            ),
            ("cilium_ct_any6_global", 1000, true, Some("raise bpf.ctAnyMax")),
            ("cali_v4_ct3", 999, false, None),
            (
                "cali_v4_ct3",
                1000,
                false,
                Some("cali_v4_ct3 is full and takes no new entries; raise bpfMapSizeConntrack"),
            ),
        ] {
            visibility.saw(&Stats { tables: vec![map(name, entries, evicts)], ..stats(0, 100) }, 0, &metrics);
            let holds: Vec<_> = text.map(|_| Reason::Full).into_iter().collect();
            assert_eq!(says(&visibility), holds, "{entries} in {name}");
            assert!(visibility.sentences().all(|sentence| sentence.contains(text.unwrap_or_default())));
        }
        let both = Stats { tables: vec![map("cali_v6_ct4", 1000, true)], ..stats(100, 100) };
        visibility.saw(&both, 100, &metrics);
        let sentences: Vec<_> = visibility.sentences().collect();
        assert!(
            matches!(&*sentences, [one] if one.contains("nf_conntrack_max; the connection table cali_v6_ct4")),
            "{sentences:?}"
        );
        visibility.saw(&stats(99, 100), 99, &metrics);
        let now = Timestamp::now();
        visibility.named(None, now, &metrics);
        assert_eq!(says(&visibility), [Reason::NoNames]);
        // Scans say nothing of names.
        visibility.saw(&stats(99, 100), 99, &metrics);
        assert_eq!(says(&visibility), [Reason::NoNames]);
        visibility.named(Some(Timestamp::from_millis(now.millis() - 601_000)), now, &metrics);
        assert_eq!(says(&visibility), [Reason::OldNames]);
        visibility.named(Some(Timestamp::from_millis(now.millis() - 599_000)), now, &metrics);
        assert_eq!(says(&visibility), []);
    }
}
