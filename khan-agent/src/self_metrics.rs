//! The agent's metrics about itself: `khan_agent_*`. The metrics of connections are not made here.

use prometheus::{Encoder, Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::flows::Retries;
use crate::latest::Published;

/// All of them.
#[derive(Debug)]
pub(crate) struct SelfMetrics {
    registry: Registry,
    /// Scans by outcome.
    pub(crate) scans: IntCounterVec,
    retries: IntCounterVec,
    flows: IntCounter,
    seen_twice: IntCounter,
    refused: IntCounter,
    turned: IntCounter,
    scan_seconds: Gauge,
    scan_cpu_seconds: prometheus::Counter,
    interval: Gauge,
    snapshot_age: Gauge,
    snapshot_compared: Gauge,
    series: IntGauge,
    folded: IntGauge,
    unresolved: IntGauge,
    /// Failed requests to the controller.
    pub(crate) controller_errors: IntCounter,
    names_age: Gauge,
    resident: IntGauge,
    table_entries: IntGaugeVec,
    table_limit: IntGaugeVec,
    table_seconds: prometheus::GaugeVec,
    /// What the agent cannot see, by name.
    pub(crate) blind: IntGaugeVec,
}

impl SelfMetrics {
    /// Registers the metrics in a registry of their own.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let made = Make(&registry);
        let build = made.gauge_vec("khan_agent_build_info", "The agent's version; always 1.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self {
            scans: made.counter_vec("khan_agent_scans_total", "Scans of the table, by outcome.", &["result"])?,
            retries: made.counter_vec(
                "khan_agent_scan_retries_total",
                "Dumps that were spoiled and begun again, by cause.",
                &["cause"],
            )?,
            flows: made.counter("khan_agent_flows_read_total", "Entries read from the kernel.")?,
            seen_twice: made.counter(
                "khan_agent_flows_seen_twice_total",
                "Entries that a dump held more than once and that were counted once.",
            )?,
            refused: made
                .counter("khan_agent_flows_refused_total", "Entries that could not be understood and were left out.")?,
            turned: made.counter(
                "khan_agent_flows_turned_total",
                "Entries picked up in midstream that stood the wrong way round and were turned.",
            )?,
            scan_seconds: made.gauge("khan_agent_scan_duration_seconds", "Wall time of the latest scan.")?,
            scan_cpu_seconds: {
                let counter = prometheus::Counter::with_opts(Opts::new(
                    "khan_agent_scan_cpu_seconds_total",
                    "CPU time of all scans, the kernel's part and failed scans included.",
                ))?;
                registry.register(Box::new(counter.clone()))?;
                counter
            },
            interval: made.gauge(
                "khan_agent_scan_interval_seconds",
                "The period that scans now keep; longer than configured while scans cost too much.",
            )?,
            snapshot_age: made.gauge(
                "khan_agent_snapshot_age_seconds",
                "Time since the dump of the snapshot on this page began; NaN while there is none.",
            )?,
            snapshot_compared: made.gauge(
                "khan_agent_snapshot_compared_seconds",
                "Time between the scan of the snapshot on this page and the one before. Comparing the two shows what is stalled, \
                 unanswered and closed; NaN while there is nothing to compare.",
            )?,
            series: made.int_gauge("khan_agent_series", "Lines of khan_connection on this page.")?,
            folded: made.int_gauge(
                "khan_agent_folded_series",
                "Series that were summed into others to keep within --max-series.",
            )?,
            unresolved: made.int_gauge(
                "khan_agent_unresolved_addresses",
                "Addresses in the snapshot that are inside the cluster's ranges and have no known owner.",
            )?,
            controller_errors: made
                .counter("khan_agent_controller_errors_total", "Failed requests to the controller.")?,
            names_age: made.gauge(
                "khan_agent_names_age_seconds",
                "Time since the controller last answered; NaN while it never did.",
            )?,
            resident: made.int_gauge("process_resident_memory_bytes", "Resident memory size in bytes.")?,
            table_entries: made.gauge_vec(
                "khan_agent_table_entries",
                "Entries in each connection table that the latest scan read.",
                &["table"],
            )?,
            table_limit: made.gauge_vec(
                "khan_agent_table_limit",
                "Maximum number of entries of each connection table.",
                &["table"],
            )?,
            table_seconds: {
                let opts = Opts::new("khan_agent_table_scan_seconds", "Wall time that the latest scan spent on each table.");
                let gauge = prometheus::GaugeVec::new(opts, &["table"])?;
                registry.register(Box::new(gauge.clone()))?;
                gauge
            },
            blind: made.gauge_vec(
                "khan_agent_blind",
                "1 while something keeps the agent from seeing all connections, by reason.",
                &["reason"],
            )?,
            registry,
        })
    }

    /// Counts a scan that succeeded.
    pub(crate) fn scanned(&self, scan: &crate::scan::Scan, counts: &crate::table::Counts) {
        self.scans.with_label_values(&["success"]).inc();
        self.flows.inc_by(scan.dumped.flows);
        self.refused.inc_by(scan.dumped.refused);
        self.seen_twice.inc_by(counts.seen_twice);
        self.turned.inc_by(counts.turned);
        self.scan_seconds.set(scan.wall.as_secs_f64());
        // Tables come and go with who makes them.
        self.table_entries.reset();
        self.table_limit.reset();
        self.table_seconds.reset();
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        for table in &scan.stats.tables {
            let labels = [table.name];
            self.table_entries.with_label_values(&labels).set(number(table.entries));
            self.table_seconds.with_label_values(&labels).set(table.took.as_secs_f64());
            if table.limit > 0 {
                self.table_limit.with_label_values(&labels).set(number(table.limit));
            }
        }
    }

    /// Adds what a scan took, whether it succeeded or not.
    pub(crate) fn spent(&self, cpu: std::time::Duration) {
        self.scan_cpu_seconds.inc_by(cpu.as_secs_f64());
    }

    /// Adds the retries of one scan.
    pub(crate) fn retried(&self, before: &Retries, after: &Retries) {
        for ((cause, before), (_, after)) in before.by_cause().into_iter().zip(after.by_cause()) {
            self.retries.with_label_values(&[cause]).inc_by(after - before);
        }
    }

    /// Sets the period of scans.
    pub(crate) fn interval(&self, interval: std::time::Duration) {
        self.interval.set(interval.as_secs_f64());
    }

    /// The page in the text format; what depends on the moment is taken now.
    pub(crate) fn page(&self, published: Option<&Published>) -> Vec<u8> {
        let now = khan_api::Timestamp::now();
        let age = published.map_or(f64::NAN, |published| now.since(published.snapshot.taken).as_secs_f64());
        self.snapshot_age.set(age);
        let compared = published.and_then(|published| {
            let snapshot = &published.snapshot;
            Some(snapshot.taken.since(snapshot.since?).as_secs_f64())
        });
        self.snapshot_compared.set(compared.unwrap_or(f64::NAN));
        let answered = published.and_then(|published| published.snapshot.names.updated);
        self.names_age.set(answered.map_or(f64::NAN, |time| now.since(time).as_secs_f64()));
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.series.set(published.map_or(0, |published| count(published.page.series())));
        let folded = published.map_or(0, |published| published.page.folded().series);
        self.folded.set(i64::try_from(folded).unwrap_or(i64::MAX));
        let unresolved = published.map_or(0, |published| published.snapshot.names.unresolved);
        self.unresolved.set(i64::try_from(unresolved).unwrap_or(i64::MAX));
        self.resident.set(resident().unwrap_or(0));
        // Encoding fails only on metrics without a name or values, and these have both.
        let mut page = Vec::with_capacity(8 * 1024);
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut page);
        khan_serve::shed::write(&mut page);
        page
    }
}

/// `/proc/self/statm`, in bytes.
fn resident() -> Option<i64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * i64::try_from(rustix::param::page_size()).ok()?)
}

struct Make<'a>(&'a Registry);

impl Make<'_> {
    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        let counter = IntCounter::new(name, help)?;
        self.0.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    fn counter_vec(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<Gauge> {
        let gauge = Gauge::new(name, help)?;
        self.0.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn int_gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        let gauge = IntGauge::new(name, help)?;
        self.0.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn gauge_vec(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }
}
