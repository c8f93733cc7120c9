//! The controller's own metrics. Sizes are read from the live index when somebody scrapes, so none goes stale.

use std::fmt::Write;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::StatusCode;
use khan_serve::exposition;
use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use crate::index::{Index, Limited, ServiceCount};
use crate::kubernetes::{Resource, Role};

/// Namespace and name of a service.
pub(crate) type Service = (Box<str>, Box<str>);

/// Every `khan_controller_*` series.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    objects: IntGaugeVec,
    addresses: IntGaugeVec,
    conflicts: IntGauge,
    previous: IntGauge,
    revision: IntGauge,
    refused: IntCounterVec,
    flawed: IntCounterVec,
    synced: IntGaugeVec,
    restarts: IntCounterVec,
    event_age: GaugeVec,
    resolves: IntCounterVec,
    resolve_seconds: Histogram,
    resolved_addresses: IntCounter,
    reloads: IntCounterVec,
    reviews: IntCounterVec,
}

impl Metrics {
    /// All series at zero.
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let build = Gauge::with_opts(
            Opts::new("khan_controller_build_info", "1, labelled with the version.")
                .const_label("version", env!("CARGO_PKG_VERSION")),
        );
        add(&registry, build).set(1.0);
        let latency = HistogramOpts::new(
            "khan_controller_resolve_duration_seconds",
            "Time from a resolve request's arrival to the last byte of its answer being written.",
        )
        .buckets(vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0]);
        let int = |name: &str, help: &str| add(&registry, IntGauge::new(name, help));
        let ints =
            |name: &str, help: &str, labels: &[&str]| add(&registry, IntGaugeVec::new(Opts::new(name, help), labels));
        let counts =
            |name: &str, help: &str, labels: &[&str]| add(&registry, IntCounterVec::new(Opts::new(name, help), labels));
        Self {
            objects: ints(
                "khan_controller_objects",
                "Objects that claim an address, a range or endpoints.",
                &["resource"],
            ),
            addresses: ints("khan_controller_addresses", "Addresses that have an owner, by its type.", &["type"]),
            conflicts: int("khan_controller_conflicts", "Addresses that several nodes, services or pods claim."),
            previous: int("khan_controller_tombstones", "Remembered previous owners of addresses."),
            revision: int("khan_controller_revision", "Changes of what an address is called since the start."),
            refused: counts(
                "khan_controller_objects_refused_total",
                "Objects that were left out because a field could not be understood.",
                &["resource"],
            ),
            flawed: counts(
                "khan_controller_limits_refused_total",
                "Annotations khan/max-connections that are no whole number above 0 and were passed over.",
                &["resource"],
            ),
            synced: ints(
                "khan_controller_watch_synced",
                "1 when the first complete list has been read.",
                &["resource"],
            ),
            restarts: counts(
                "khan_controller_watch_restarts_total",
                "Times that a list or watch had to begin again, by reason.",
                &["resource", "reason"],
            ),
            event_age: add(
                &registry,
                GaugeVec::new(
                    Opts::new(
                        "khan_controller_watch_age_seconds",
                        "Seconds since the API server last responded, bookmarks included.",
                    ),
                    &["resource"],
                ),
            ),
            resolves: counts("khan_controller_resolve_requests_total", "Resolve requests, by HTTP status.", &["code"]),
            resolve_seconds: add(&registry, Histogram::with_opts(latency)),
            resolved_addresses: add(
                &registry,
                IntCounter::new("khan_controller_resolve_addresses_total", "Addresses asked for in resolve requests."),
            ),
            reviews: counts(
                "khan_controller_token_reviews_total",
                "Questions to the API server about tokens, by result.",
                &["result"],
            ),
            reloads: counts(
                "khan_controller_file_reloads_total",
                "Times that a watched file was read again, by flag and result.",
                &["flag", "result"],
            ),
            registry,
        }
    }

    /// The page, with the sizes of `index`.
    pub(crate) fn page(&self, index: &Index) -> Vec<u8> {
        let counts = index.counts();
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        for (resource, count) in Resource::ALL.iter().zip(counts.objects) {
            self.objects.with_label_values(&[resource.definition().plural]).set(number(count));
        }
        for (role, count) in Role::ALL.iter().zip(counts.addresses) {
            self.addresses.with_label_values(&[role.kind().as_str()]).set(number(count));
        }
        self.conflicts.set(number(counts.conflicts));
        self.previous.set(number(counts.previous));
        self.revision.set(i64::try_from(index.cursor().revision).unwrap_or(i64::MAX));
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut page).expect("memory takes all that is written");
        khan_serve::shed::write(&mut page);
        page
    }

    /// The endpoints of the next services after this one, as lines of the page, and the last of these services; `None` when
    /// there are no more. There may be tens of thousands, so the page is made while it is being read.
    pub(crate) fn endpoints(index: &Index, after: Option<&Service>) -> Option<(Vec<u8>, Service)> {
        const SERVICES: usize = 32;
        let counts = index.service_counts(after, SERVICES);
        let mut text = String::new();
        if after.is_none() {
            text.push_str(
                "# HELP khan_service_endpoints Endpoint addresses of a service, by what its EndpointSlices say of them.\n\
                 # TYPE khan_service_endpoints gauge\n",
            );
        }
        for ServiceCount { service: (ns, name), endpoints } in &counts {
            for (condition, count) in ["ready", "serving", "terminating"].iter().zip(endpoints) {
                for (separator, label, value) in [
                    ("khan_service_endpoints{", "dst_ns", &**ns),
                    (",", "dst_name", name),
                    (",", "condition", condition),
                ] {
                    text.push_str(separator);
                    exposition::label(&mut text, label, value);
                }
                let _ = writeln!(text, "}} {count}");
            }
        }
        counts.into_iter().next_back().map(|last| (text.into_bytes(), last.service))
    }

    /// The limits of what the operator named outside the cluster, as lines of the page, after the lines about the metric.
    pub(crate) fn external_limits(index: &Index) -> Vec<u8> {
        let mut text = format!("# HELP {LIMIT} {LIMIT_HELP}\n# TYPE {LIMIT} gauge\n");
        for (name, connections) in index.external_limits() {
            limit(&mut text, ["", "", name], connections);
        }
        text.into_bytes()
    }

    /// The limits of the next pods and services after this one, as [`Metrics::endpoints`].
    pub(crate) fn limits(index: &Index, after: Option<&Limited>) -> Option<(Vec<u8>, Limited)> {
        const DESTINATIONS: usize = 128;
        let limits = index.limits(after, DESTINATIONS);
        let mut text = String::new();
        for (Limited { ns, app, name }, connections) in &limits {
            limit(&mut text, [ns, app, name], *connections);
        }
        limits.last().map(|(last, _)| (text.into_bytes(), (*last).clone()))
    }

    /// A resolve request has been answered.
    pub(crate) fn resolved(&self, status: StatusCode, took: Duration) {
        self.resolves.with_label_values(&[status.as_str()]).inc();
        self.resolve_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn resolved_addresses(&self, count: usize) {
        self.resolved_addresses.inc_by(count as u64);
    }

    pub(crate) fn refused(&self, resource: Resource) {
        self.refused.with_label_values(&[resource.definition().plural]).inc();
    }

    pub(crate) fn flawed(&self, resource: Resource) {
        self.flawed.with_label_values(&[resource.definition().plural]).inc();
    }

    pub(crate) fn synced(&self, resource: Resource, synced: bool) {
        self.synced.with_label_values(&[resource.definition().plural]).set(synced.into());
    }

    pub(crate) fn restarted(&self, resource: Resource, reason: &str) {
        self.restarts.with_label_values(&[resource.definition().plural, reason]).inc();
    }

    /// The API server does not have this resource: there is nothing to be in sync with.
    pub(crate) fn absent(&self, resource: Resource) {
        // An error says that the series is not there.
        let _ = self.synced.remove_label_values(&[resource.definition().plural]);
        let _ = self.event_age.remove_label_values(&[resource.definition().plural]);
    }

    pub(crate) fn watch_age(&self, resource: Resource, age: Duration) {
        self.event_age.with_label_values(&[resource.definition().plural]).set(age.as_secs_f64());
    }

    pub(crate) fn reloaded(&self, flag: &str, worked: bool) {
        self.reloads.with_label_values(&[flag, result(worked)]).inc();
    }

    pub(crate) fn reviewed(&self, worked: bool) {
        self.reviews.with_label_values(&[result(worked)]).inc();
    }
}

const LIMIT: &str = "khan_connection_limit";
const LIMIT_HELP: &str = "How many connections a destination can take, as the annotation khan/max-connections of a pod or service \
                          says, or the file of external names.";

fn limit(text: &mut String, names: [&str; 3], connections: NonZeroU32) {
    text.push_str(LIMIT);
    for ((separator, label), value) in [("{", "dst_ns"), (",", "dst_app"), (",", "dst_name")].into_iter().zip(names) {
        text.push_str(separator);
        exposition::label(text, label, value);
    }
    let _ = writeln!(text, "}} {connections}");
}

const fn result(worked: bool) -> &'static str {
    if worked { "success" } else { "failure" }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, collector: prometheus::Result<C>) -> C {
    let collector = collector.expect("names and labels are constants");
    registry.register(Box::new(collector.clone())).expect("each name is registered once");
    collector
}
