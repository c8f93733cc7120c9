//! The seam between tables and those who count: what a reader yields, and to whom.
//!
//! Everything is dispatched statically: the fold of a large table is a loop of some tens of nanoseconds an entry.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use khan_api::Timestamp;

use super::flow::Flow;

/// Reads one kind of connection table.
///
/// A node may have several tables. The reader of all of them reads one after the other into the same sink, and when one
/// attempt fails [`Dump`](super::Dump) begins all of them again, since a sink cannot forget a part of what it got.
pub trait Reader {
    /// Yields every entry of the table to `sink`: one attempt. What the sink got of an attempt that failed is worth nothing.
    fn read(&mut self, sink: &mut impl Sink) -> Result<Dumped, AttemptError>;

    /// The table's statistics now.
    fn stats(&mut self) -> Result<Stats, DumpError>;
}

/// Takes what a reader yields. Entries come in batches, in which none is repeated.
pub trait Sink {
    /// An attempt begins, perhaps not the first: forget everything.
    fn begin(&mut self);

    /// A batch begins. Only here can the reader have lost its place, and repeat entries of the last few batches.
    fn batch(&mut self);

    /// One entry.
    fn flow(&mut self, flow: &Flow);

    /// One entry, with `details` for those who want more than a flow holds. They are looked for only when asked for.
    #[inline]
    fn entry(&mut self, flow: &Flow, _details: impl FnOnce() -> Details) {
        self.flow(flow);
    }

    /// Whether the rest of the table is still of use to anybody.
    fn wanted(&self) -> bool {
        true
    }

    /// The batch is over. True when the attempt must begin again, because the batch showed something that the sink was not
    /// prepared for.
    fn settle(&mut self) -> bool {
        false
    }
}

/// What single connections show beside their flow; what the table does not know is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// When the connection began.
    pub began: Option<Timestamp>,
    /// Bytes from the client.
    pub bytes_sent: Option<u64>,
    /// Bytes to the client.
    pub bytes_received: Option<u64>,
}

/// What a complete reading was like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dumped {
    /// Entries given to the sink.
    pub flows: u64,
    /// Entries that could not be understood.
    pub refused: u64,
    /// Batches.
    pub batches: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Hash buckets of the table; 0 where that is not known.
    pub buckets: u64,
}

impl Dumped {
    /// With what another table yielded to the same sink.
    #[must_use]
    pub(super) const fn and(self, other: &Self) -> Self {
        Self {
            flows: self.flows + other.flows,
            refused: self.refused + other.refused,
            batches: self.batches + other.batches,
            bytes: self.bytes + other.bytes,
            buckets: self.buckets + other.buckets,
        }
    }
}

/// What the tables say about themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Entries in the kernel's table.
    pub entries: u64,
    /// Maximum number of entries there; 0 where that is not known.
    pub limit: u64,
    /// The kernel's counters since boot, by name, summed over CPUs.
    pub counters: Vec<(&'static str, u64)>,
    /// Each table that was read, the kernel's first.
    pub tables: Vec<TableStats>,
    /// Tables that are there and were not read.
    pub unread: Vec<Unread>,
}

/// What the kernel calls its table.
pub const KERNEL: &str = khan_api::TableStats::KERNEL;

/// One table as a whole, as the latest reading found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableStats {
    /// What the node calls it: `nf_conntrack`, or the name of a map's pin.
    pub name: &'static str,
    /// Entries in it, those that only lead to others and those past their lifetime included.
    pub entries: u64,
    /// Maximum number of entries; 0 where that is not known.
    pub limit: u64,
    /// Whether it evicts the entries that were used longest ago when it is full, instead of refusing new ones: an LRU map.
    pub evicts: bool,
    /// Wall time of reading it.
    pub took: Duration,
}

impl TableStats {
    /// Whether new connections find no room, or take that of others. An LRU map is full before its last entry is taken, since each
    /// CPU keeps some free ones for itself.
    pub const fn is_full(&self) -> bool {
        let Self { entries, limit, evicts, .. } = *self;
        limit > 0 && (entries >= limit || evicts && entries >= limit - limit / 20)
    }
}

impl From<&TableStats> for khan_api::TableStats {
    fn from(&TableStats { name, entries, limit, took, .. }: &TableStats) -> Self {
        Self { name: name.into(), entries, limit, scan_micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX) }
    }
}

/// Who keeps connections in eBPF maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// Cilium, with or without kube-proxy.
    Cilium,
    /// Calico's eBPF data plane.
    Calico,
}

impl Plane {
    /// The manifests that let an agent read its maps.
    pub(crate) const fn overlay(self) -> &'static str {
        match self {
            Self::Cilium => "deploy/overlays/cilium",
            Self::Calico => "deploy/overlays/calico-ebpf",
        }
    }
}

/// A table that is there and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Whose it is.
    pub plane: Plane,
    /// Why, as a clause: "`cilium_ct4_global` has values of 64 bytes; Khan knows 56".
    pub why: String,
    /// Whether Khan or the kernel cannot, whatever the agent is permitted.
    pub unknown: bool,
}

impl Unread {
    /// What is in the way, and what to do about it.
    pub(crate) fn remedy(&self) -> String {
        if self.unknown {
            format!("{}; see docs/tables.md", self.why)
        } else {
            format!("{}; apply {}", self.why, self.plane.overlay())
        }
    }
}

impl Stats {
    /// Whether eBPF maps are among the tables. Where they are, the program that connects a socket may have put the backend's
    /// address in the place of the service's before any table saw it.
    pub fn has_maps(&self) -> bool {
        self.tables.iter().any(|table| table.name != KERNEL)
    }

    /// One counter by name; 0 where the table does not count it.
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.iter().find(|(known, _)| *known == name).map_or(0, |(_, value)| *value)
    }
}

/// Why one attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// Another attempt may succeed.
    #[error(transparent)]
    Spoiled(#[from] Spoiled),
    /// No other attempt would.
    #[error(transparent)]
    Final(#[from] DumpError),
}

/// What spoiled one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Spoiled {
    /// The socket's buffer overflowed (`ENOBUFS`, `NLMSG_OVERRUN`).
    #[error("the socket's buffer overflowed")]
    Overflow,
    /// A signal came (`EINTR`), or another dump was in progress (`EAGAIN`, `EBUSY`).
    #[error("it was interrupted")]
    Interrupted,
    /// The kernel says that the table changed in a way that spoils the dump (`NLM_F_DUMP_INTR`).
    #[error("the table changed under it")]
    Inconsistent,
    /// A batch, or a message in it, was cut short.
    #[error("a message was cut short")]
    Truncated,
    /// The number of hash buckets changed during the dump.
    #[error("the hash table was resized")]
    Resized,
    /// Entries in zones turned up, for which the sink was not prepared.
    #[error("entries in zones turned up")]
    Zones,
}

/// Why there is no dump.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The kernel refuses: `EPERM`.
    #[error(
        "reading the connection tracking table needs CAP_NET_ADMIN: run as root, or give the container \
         securityContext.capabilities.add: [NET_ADMIN], or the file `setcap cap_net_admin+ep`"
    )]
    NotPermitted,
    /// The kernel has no ctnetlink.
    #[error("this kernel has no conntrack netlink interface (CONFIG_NF_CT_NETLINK, module nf_conntrack_netlink)")]
    NoCtnetlink,
    /// A system call failed, and trying again would not help.
    #[error("cannot {what}")]
    Socket {
        /// What was tried.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The table that was asked for is not there.
    #[error(
        "no connection table of {plane:?} is pinned in {}: apply {}, name the mount point of the node's BPF file system with \
         --bpf-fs, or let --table auto read what the node has",
        .folder.display(),
        .plane.overlay()
    )]
    NoTable {
        /// Whose.
        plane: Plane,
        /// Where its maps would be pinned.
        folder: PathBuf,
    },
    /// The table that was asked for is there, and cannot be read.
    #[error("the connection tables of {:?} in {} cannot be read: {}", .unread.plane, .folder.display(), .unread.remedy())]
    Unread {
        /// Where its maps are pinned.
        folder: PathBuf,
        /// What is in the way.
        unread: Unread,
    },
    /// The sink wanted no more.
    #[error("nobody waited for the dump any more")]
    Unwanted,
    /// Every attempt was spoiled.
    #[error("the dump was spoiled {attempts} times, the last time because {last}")]
    Spoiled {
        /// How many attempts there were.
        attempts: u32,
        /// What spoiled the last one.
        last: Spoiled,
    },
}

impl DumpError {
    /// Whether waiting mends nothing: a missing capability, a missing module.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(self, Self::NotPermitted | Self::NoCtnetlink)
    }
}
