//! The page of one snapshot: series, their fragments, and a writer that goes through them in chunks.

use std::fmt::Write;
use std::sync::OnceLock;

use khan_serve::exposition::{self, Exposition};

use super::ended::{self, Ended};
use super::fold::{Folded, Folder};
use super::gzip::Deflated;
use super::labels::{End, Fragments};
use super::limits;
use super::series::{self, Ends, Series, Tails};
use super::{ExtraLabel, MetricType, Settings, snat};
use crate::identities::Endpoint;
use crate::snapshot::Snapshot;

/// How much is written at once. Small, since each reader of the plain page holds as much.
pub const CHUNK: usize = 16 * 1024;

/// What a snapshot's page is made of.
#[derive(Debug)]
pub struct Page {
    metric_type: MetricType,
    node: String,
    sources: Fragments,
    destinations: Fragments,
    tails: Fragments,
    series: Vec<Series>,
    ended: Vec<ended::Line>,
    /// The metrics of the table as a whole, of limits and of ports, written out in the text format.
    whole: String,
    folded: Folded,
    /// In each form.
    deflated: [OnceLock<Deflated>; Exposition::ALL.len()],
}

impl Page {
    /// Of a snapshot.
    pub fn new(snapshot: &Snapshot, settings: &Settings, folder: &mut Folder) -> Self {
        let series::Summed { mut series, mut tails } = series::sum(snapshot, settings);
        let mut ends = snapshot.endpoints.len();
        let (mut all, mut dropped) = (Vec::new(), Folded::default());
        if series.len() > settings.max_series {
            all.clone_from(&snapshot.endpoints);
            dropped = folder.fold(&mut series, &mut all, &mut tails, settings.max_series, identity);
            ends = all.len();
        }
        let endpoints: &[Endpoint] = if all.is_empty() { &snapshot.endpoints } else { &all };
        let mut sources = Ends::new(End::Source, settings, ends);
        let mut destinations = Ends::new(End::Destination, settings, ends);
        for one in &mut series {
            one.src = sources.of(one.src, &endpoints[one.src as usize]);
            one.dst = destinations.of(one.dst, &endpoints[one.dst as usize]);
        }
        // Endpoints that differ in what is not printed, such as two lives of a pod under one name, are one series.
        series::merge(&mut series);
        series.shrink_to_fit();
        let mut node = String::new();
        exposition::label(&mut node, "node", &snapshot.origin.node);
        let mut whole = table(snapshot);
        limits::write(&mut whole, &node, snapshot);
        snat::write(&mut whole, &node, snapshot);
        let mut page = Self {
            metric_type: settings.metric_type,
            node,
            sources: sources.fragments,
            destinations: destinations.fragments,
            tails: tails.finish(),
            series,
            ended: Vec::new(),
            whole,
            folded: dropped,
            deflated: Default::default(),
        };
        page.sources.shrink();
        page.destinations.shrink();
        page.tails.shrink();
        page
    }

    /// With the connections that ended so far.
    #[must_use]
    pub fn with_ended(mut self, ended: &Ended) -> Self {
        self.ended = ended.lines(&self.node);
        self
    }

    /// Bytes that it holds, about, its compressed form included.
    pub fn memory(&self) -> usize {
        let fragments = [&self.sources, &self.destinations, &self.tails].map(Fragments::memory);
        let deflated: usize = self.deflated.iter().filter_map(OnceLock::get).map(Deflated::len).sum();
        let ended: usize = self.ended.iter().map(ended::Line::memory).sum();
        let series = self.series.capacity() * size_of::<Series>();
        fragments.iter().sum::<usize>() + series + ended + self.whole.capacity() + deflated
    }

    /// Whether it was [compressed](Self::deflated) in this form already.
    pub fn is_deflated(&self, exposition: Exposition) -> bool {
        self.deflated[exposition as usize].get().is_some()
    }

    /// How many lines of `khan_connection` there are.
    pub fn series(&self) -> usize {
        self.series.len()
    }

    /// What was folded.
    pub const fn folded(&self) -> Folded {
        self.folded
    }

    /// Goes through the page from its start.
    pub const fn writer(&self, exposition: Exposition) -> Writer {
        Writer { exposition, metric: Metric::Connections, next: 0 }
    }

    /// The page compressed: made on first demand, kept with the page.
    pub fn deflated(&self, exposition: Exposition) -> &Deflated {
        self.deflated[exposition as usize].get_or_init(|| {
            let mut deflated = Deflated::default();
            let (mut writer, mut chunk) = (self.writer(exposition), Vec::with_capacity(CHUNK));
            while writer.fill(self, &mut chunk) {
                deflated.add(&chunk);
                chunk.clear();
            }
            deflated.pause();
            deflated
        })
    }

    fn line(&self, out: &mut Vec<u8>, name: &str, one: &Series, value: u32) {
        for part in [
            name,
            "{",
            &self.node,
            ",",
            self.sources.get(one.src),
            self.destinations.get(one.dst),
            self.tails.get(one.tail),
            "} ",
            itoa::Buffer::new().format(value),
            "\n",
        ] {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

/// Where in a page the writing is.
#[derive(Clone, Copy, Debug)]
pub struct Writer {
    exposition: Exposition,
    metric: Metric,
    next: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metric {
    Connections,
    Idle,
    Stalled,
    Unanswered,
    Dead,
    Ended,
    Whole,
    Done,
}

impl Metric {
    const fn next(self) -> Self {
        match self {
            Self::Connections => Self::Idle,
            Self::Idle => Self::Stalled,
            Self::Stalled => Self::Unanswered,
            Self::Unanswered => Self::Dead,
            Self::Dead => Self::Ended,
            Self::Ended => Self::Whole,
            Self::Whole | Self::Done => Self::Done,
        }
    }

    const fn value(self, of: &Series) -> u32 {
        match self {
            Self::Connections => of.count,
            Self::Idle => of.idle,
            Self::Stalled => of.stalled,
            Self::Unanswered => of.unanswered,
            Self::Dead => of.dead,
            Self::Ended | Self::Whole | Self::Done => 0,
        }
    }
}

impl Writer {
    /// Appends about 16 KiB; false when nothing was left to append.
    pub fn fill(&mut self, page: &Page, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        while out.len() < CHUNK - 4096 && self.metric != Metric::Done {
            let (name, help, kind) = match self.metric {
                Metric::Connections => (
                    "khan_connection",
                    "Tracked connections between two ends in the latest snapshot of the node's connection tracking table.",
                    page.metric_type.as_str(),
                ),
                Metric::Idle => (
                    "khan_connection_idle",
                    "Of khan_connection, established TCP connections without a packet for the idle threshold.",
                    "gauge",
                ),
                Metric::Stalled => (
                    "khan_connection_stalled",
                    "Of khan_connection, established TCP connections whose data nobody acknowledges, seen so in two scans.",
                    "gauge",
                ),
                Metric::Unanswered => (
                    "khan_connection_unanswered",
                    "Of khan_connection, connections that nobody has answered, three seconds after the latest try: TCP in \
                     SYN_SENT, and UDP where answers are usual.",
                    "gauge",
                ),
                Metric::Dead => (
                    "khan_connection_dead_backend",
                    "Of khan_connection, connections to a backend that no living pod has, or that the dialled service no longer \
                     lists, whose last packet is later than that.",
                    "gauge",
                ),
                Metric::Ended => {
                    self.ended(page, out);
                    continue;
                }
                Metric::Whole | Metric::Done => {
                    // Whole lines, which are shorter than what is left of a chunk.
                    let rest = &page.whole[self.next..];
                    let room = rest.floor_char_boundary(CHUNK - out.len());
                    let lines =
                        if room == rest.len() { room } else { rest[..room].rfind('\n').map_or(room, |at| at + 1) };
                    self.exposition.append(out, &rest.as_bytes()[..lines]);
                    self.next += lines;
                    if lines == rest.len() {
                        self.metric = Metric::Done;
                    }
                    break;
                }
            };
            if self.next == 0 {
                self.exposition.about(out, name, help, kind);
            }
            while let Some(one) = page.series.get(self.next) {
                self.next += 1;
                let value = self.metric.value(one);
                if value > 0 {
                    page.line(out, name, one, value);
                    if out.len() >= CHUNK - 4096 {
                        break;
                    }
                }
            }
            if self.next == page.series.len() {
                self.metric = self.metric.next();
                self.next = 0;
            }
        }
        out.len() > before
    }

    fn ended(&mut self, page: &Page, out: &mut Vec<u8>) {
        if self.next == 0 {
            ended::about(self.exposition, out);
        }
        while let Some(line) = page.ended.get(self.next) {
            self.next += 1;
            line.write(self.exposition, out);
            if out.len() >= CHUNK - 4096 {
                break;
            }
        }
        if self.next == page.ended.len() {
            (self.metric, self.next) = (Metric::Whole, 0);
        }
    }
}

/// Names a series across snapshots.
fn identity(endpoints: &[Endpoint], tails: &Tails, one: &Series) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    for end in [one.src, one.dst] {
        let endpoint = &endpoints[end as usize];
        (endpoint.ip, &endpoint.owner.ns, &endpoint.owner.name, endpoint.previous).hash(&mut hasher);
    }
    tails.fragments.get(one.tail).hash(&mut hasher);
    hasher.finish()
}

fn table(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    let table = &snapshot.table;
    let mut metric =
        |name: &str, help: &str, kind: &str, label: &str, values: &mut dyn Iterator<Item = (&str, u64)>| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (value_of, value) in values {
                text.push_str(name);
                if !label.is_empty() {
                    text.push('{');
                    exposition::label(&mut text, label, value_of);
                    text.push('}');
                }
                let _ = writeln!(text, " {value}");
            }
        };
    metric(
        "khan_conntrack_entries",
        "Entries in the latest dump of all connection tables; khan_agent_table_entries has each of them.",
        "gauge",
        "protocol",
        &mut table.protocols.iter().map(|(name, count)| (name.as_str(), *count)),
    );
    metric(
        "khan_conntrack_entries_limit",
        "The most entries that the kernel will hold.",
        "gauge",
        "",
        &mut std::iter::once(("", table.limit)),
    );
    metric(
        "khan_conntrack_stat_total",
        "The kernel's own counters of connection tracking, summed over CPUs.",
        "counter",
        "stat",
        &mut table.stat.iter().map(|(name, count)| (name.as_str(), *count)),
    );
    text
}

/// Whether a label of rows forces zones to be kept apart in the table.
pub fn splits_zones(settings: &Settings) -> bool {
    settings.extra_labels.contains(&ExtraLabel::Zone)
}
