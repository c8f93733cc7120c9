//! In: all connection tables of this node. Out: every connection once.
//!
//! The kernel's table is read first. Where there are maps as well, it is remembered which connections the kernel has, and
//! those are left out of the maps: the kernel says more about them. Without maps none of this costs anything but a look for
//! their names.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use tracing::warn;

use super::calico::Calico;
use super::cilium::Cilium;
use super::flow::Flow;
use super::maps::Maps;
use super::netlink::Netlink;
use super::reader::{AttemptError, Details, DumpError, Dumped, KERNEL, Plane, Reader, Sink, Stats, TableStats};
use super::seen::Seen;

/// Which tables are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// Every table that the node has
    #[default]
    Auto,
    /// The kernel's connection tracking table
    Netlink,
    /// Cilium's eBPF maps
    Cilium,
    /// The maps of Calico's eBPF data plane
    Calico,
}

/// Which tables are read, and where maps are pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which.
    pub which: Which,
    /// Mount point of the BPF file system.
    pub bpf_fs: PathBuf,
}

impl Default for Choice {
    fn default() -> Self {
        Self { which: Which::Auto, bpf_fs: PathBuf::from("/sys/fs/bpf") }
    }
}

impl Choice {
    const fn takes_kernel(&self) -> bool {
        matches!(self.which, Which::Auto | Which::Netlink)
    }

    const fn takes(&self, plane: Plane) -> bool {
        matches!(
            (self.which, plane),
            (Which::Auto, _) | (Which::Cilium, Plane::Cilium) | (Which::Calico, Plane::Calico)
        )
    }
}

/// The reader of all tables that this node has.
#[derive(Debug, Default)]
pub struct NodeTables {
    choice: Choice,
    netlink: Netlink,
    cilium: Maps<Cilium>,
    calico: Maps<Calico>,
    seen: Seen,
    /// Whether the latest reading read the kernel's table.
    kernel: Option<Duration>,
    /// Whether it was said that connections may count twice.
    crowded: bool,
}

impl NodeTables {
    /// Reads the tables that `choice` says.
    pub fn new(choice: Choice) -> Self {
        Self { choice, ..Self::default() }
    }

    /// Opens the maps that are to be read. Says whether there are any.
    fn open_maps(&mut self, folder: &Path) -> bool {
        let Self { choice, cilium, calico, .. } = self;
        let opened =
            [choice.takes(Plane::Cilium) && cilium.open(folder), choice.takes(Plane::Calico) && calico.open(folder)];
        opened.contains(&true)
    }

    /// The kernel's table; with `noting`, its connections are remembered.
    fn read_kernel(&mut self, noting: bool, sink: &mut impl Sink) -> Result<Dumped, AttemptError> {
        let began = Instant::now();
        let read = if noting {
            self.netlink.read(&mut Noting { sink, seen: &mut self.seen })
        } else {
            self.netlink.read(sink)
        };
        match read {
            // A node whose connections are all in maps may go without.
            Err(AttemptError::Final(DumpError::NoCtnetlink)) if noting => Ok(Dumped::default()),
            read => {
                let dumped = read?;
                self.kernel = Some(began.elapsed());
                self.seen.settle();
                let crowded = self.seen.overflowed();
                if crowded && !self.crowded {
                    warn!(
                        "The kernel's table is too large to be compared with eBPF maps; some connections may count twice"
                    );
                }
                self.crowded = crowded;
                Ok(dumped)
            }
        }
    }
}

impl Reader for NodeTables {
    fn read(&mut self, sink: &mut impl Sink) -> Result<Dumped, AttemptError> {
        self.kernel = None;
        self.seen.clear();
        let folder = self.choice.bpf_fs.join("tc/globals");
        let maps = self.open_maps(&folder);
        let mut dumped = if self.choice.takes_kernel() { self.read_kernel(maps, sink)? } else { Dumped::default() };
        if maps {
            let mut unseen = Unseen { sink, seen: &self.seen, left_out: 0 };
            dumped = dumped.and(&self.cilium.read(&mut unseen)?).and(&self.calico.read(&mut unseen)?);
            dumped.flows -= unseen.left_out;
            self.seen.clear();
        }
        match self.choice.which {
            Which::Cilium => self.cilium.required(&folder)?,
            Which::Calico => self.calico.required(&folder)?,
            Which::Auto | Which::Netlink => {}
        }
        Ok(dumped)
    }

    fn stats(&mut self) -> Result<Stats, DumpError> {
        let mut stats = Stats::default();
        if let Some(took) = self.kernel {
            stats = self.netlink.stats()?;
            let (entries, limit) = (stats.entries, stats.limit);
            stats.tables.push(TableStats { name: KERNEL, entries, limit, evicts: false, took });
        }
        for maps in [self.cilium.stats()?, self.calico.stats()?] {
            stats.tables.extend(maps.tables);
            stats.unread.extend(maps.unread);
        }
        Ok(stats)
    }
}

/// A sink, and a memory of what it got.
struct Noting<'a, S> {
    sink: &'a mut S,
    seen: &'a mut Seen,
}

impl<S: Sink> Sink for Noting<'_, S> {
    fn begin(&mut self) {
        self.sink.begin();
    }

    fn batch(&mut self) {
        self.sink.batch();
    }

    fn flow(&mut self, flow: &Flow) {
        self.seen.note(flow);
        self.sink.flow(flow);
    }

    fn entry(&mut self, flow: &Flow, details: impl FnOnce() -> Details) {
        self.seen.note(flow);
        self.sink.entry(flow, details);
    }

    fn wanted(&self) -> bool {
        self.sink.wanted()
    }

    fn settle(&mut self) -> bool {
        self.sink.settle()
    }
}

/// A sink of what the kernel's table does not have.
struct Unseen<'a, S> {
    sink: &'a mut S,
    seen: &'a Seen,
    left_out: u64,
}

impl<S: Sink> Sink for Unseen<'_, S> {
    fn begin(&mut self) {
        self.sink.begin();
    }

    fn batch(&mut self) {
        self.sink.batch();
    }

    #[inline]
    fn flow(&mut self, flow: &Flow) {
        self.entry(flow, Details::default);
    }

    #[inline]
    fn entry(&mut self, flow: &Flow, details: impl FnOnce() -> Details) {
        if self.seen.has(flow) {
            self.left_out += 1;
        } else {
            self.sink.entry(flow, details);
        }
    }

    fn wanted(&self) -> bool {
        self.sink.wanted()
    }

    fn settle(&mut self) -> bool {
        self.sink.settle()
    }
}
