//! `khan-agent`: the connections of one node, from its connection tables, named, as Prometheus metrics and as snapshots.
//!
//! The modules below stand in the way of the data, and arrows go one way: none names a module below it.
//!
//! ```text
//! kernel ── flows ──► table ──► identities ──► snapshot ──► latest ──► metrics_page, api ──► Prometheus, khan
//!           entries   rows      owners         rows with    for all
//!                               ▲              owners       readers
//!        local_routes ──────────┤
//!        khan-controller ── naming
//! ```
//!
//! `schedule` is the thread that moves it all, on time and on demand, within the `budget`; `visibility` says what it may have
//! missed, and `self_metrics` what it took. [`app`] knows everything; `khan --source local` uses [`local`] alone.

mod product;

pub mod flows;

pub mod local_routes;

pub mod table;

pub mod identities;

pub mod scan;

pub mod snapshot;

pub mod metrics_page;

mod latest;

mod self_metrics;

mod visibility;

mod budget;

mod schedule;

mod naming;

pub mod api;

pub mod arguments;

pub mod app;

pub mod local;
