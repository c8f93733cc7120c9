//! Wires everything and owns the order in which it stops.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use khan_api::Timestamp;
use khan_serve::exit::Failure;
use khan_serve::exposition::Exposition;
use khan_serve::readiness::Readiness;
use khan_serve::server::{Bound, Server};
use khan_serve::shutdown::Shutdown;
use khan_serve::web_config::WebConfig;
use khan_serve::{descriptors, listen, logging, tls_provider};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::api::{self, Api};
use crate::arguments::Arguments;
use crate::budget::Budget;
use crate::flows::{Choice, DumpError};
use crate::identities::resolver::{Controller, Resolver};
use crate::identities::{ExternalNames, Held, Identities};
use crate::latest::{Latest, Published};
use crate::metrics_page::fold::Folder;
use crate::metrics_page::page::splits_zones;
use crate::metrics_page::{self, Page};
use crate::naming::Naming;
use crate::scan::{Scanner, timed};
use crate::schedule::{Handle, Schedule};
use crate::self_metrics::SelfMetrics;
use crate::snapshot::{Origin, build};
use crate::table::{self, OwnershipAges};

/// Threads for what takes long: encoding, compression, passwords, looking up names. More would only take memory.
const BLOCKING_THREADS: usize = 8;

/// A running agent.
#[derive(Debug)]
struct Agent {
    /// Where it listens, and when it has stopped.
    bound: Bound,
    scans: Arc<Handle>,
    first: oneshot::Receiver<Result<(), DumpError>>,
}

impl Agent {
    /// Waits for the server to drain, then stops scanning. Fails early when the kernel refuses the very first scan, since
    /// waiting mends neither a missing capability nor a missing module.
    async fn finished(self) -> Result<(), DumpError> {
        match self.first.await {
            Ok(Err(error)) if error.is_final() => return Err(error),
            _ => {}
        }
        self.bound.finished().await;
        drop(self.scans);
        Ok(())
    }
}

/// Runs the program to its end.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    descriptors::prepare().map_err(Failure::other)?;
    logging::start(&arguments.log).map_err(Failure::other)?;
    tls_provider::install();
    let parts = Parts::new(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(Failure::other)?;
    if arguments.once {
        return runtime.block_on(once(arguments, parts));
    }
    runtime.block_on(async {
        let shutdown = Shutdown::on_signals().map_err(Failure::other)?;
        start(arguments, parts, shutdown).await?.finished().await.map_err(Failure::other)
    })
}

/// What is made of the arguments before anything runs.
#[derive(Debug)]
struct Parts {
    origin: Origin,
    identities: Arc<Mutex<Identities>>,
    resolver: Option<Resolver>,
    tables: Choice,
    table: table::Settings,
    page_settings: metrics_page::Settings,
    metrics: Arc<SelfMetrics>,
    web: Option<WebConfig>,
}

impl Parts {
    /// Reads files and checks what the arguments mean.
    fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let node = arguments.node();
        let external = match &arguments.external_names {
            Some(path) => ExternalNames::read(path).map_err(Failure::configuration)?,
            None => ExternalNames::default(),
        };
        let url = arguments.controller_url.as_ref().map(ToString::to_string).unwrap_or_default();
        let identities = Arc::new(Mutex::new(Identities::new(&node, &url, external)));
        let resolver = match &arguments.controller_url {
            Some(url) => {
                let controller = Controller {
                    url: url.clone(),
                    ca: arguments.controller_ca_file.clone(),
                    token: arguments.controller_token_file.clone(),
                };
                Some(Resolver::new(&controller, Arc::clone(&identities)).map_err(Failure::configuration)?)
            }
            None => None,
        };
        let page_settings = metrics_page::Settings {
            extra_labels: arguments.extra_labels.clone(),
            destination: arguments.destination,
            metric_type: arguments.metric_type,
            max_series: arguments.max_series,
        };
        let table = table::Settings {
            idle_threshold: u32::try_from(arguments.idle_threshold.as_secs()).unwrap_or(u32::MAX),
            only_zone: arguments.zone,
            split_zones: splits_zones(&page_settings),
            question_ports: arguments.question_ports.clone(),
            snat_ports: arguments.snat_ports,
            ..table::Settings::default()
        };
        let metrics = Arc::new(SelfMetrics::new().map_err(Failure::other)?);
        let web = arguments.web_config.as_deref().map(WebConfig::open).transpose().map_err(Failure::configuration)?;
        Ok(Self {
            origin: Origin::here(&node),
            identities,
            resolver,
            tables: arguments.tables(),
            table,
            page_settings,
            metrics,
            web,
        })
    }
}

/// Starts an agent. Returns when it listens.
async fn start(arguments: &Arguments, parts: Parts, shutdown: Shutdown) -> Result<Agent, Failure> {
    let listener = listen::bind("--listen", arguments.listen).await.map_err(Failure::other)?;
    let readiness = Readiness::new();
    let naming = parts.resolver.map(|resolver| {
        let first = readiness.wait_for("first answer of the controller");
        Naming::new(resolver, Arc::clone(&parts.metrics), first)
    });
    let first_scan = readiness.wait_for("first scan");
    let (ask, asked) = mpsc::unbounded_channel();
    let ask = naming.is_some().then_some(ask);
    let latest = Arc::new(Latest::default());
    let budget = Arc::new(Budget::new(arguments.max_scan_cpu / 100.0));
    let schedule = Schedule {
        origin: parts.origin.clone(),
        interval: arguments.interval,
        budget: Arc::clone(&budget),
        tables: parts.tables.clone(),
        table: parts.table,
        page_settings: parts.page_settings,
        identities: Arc::clone(&parts.identities),
        ask,
        latest: Arc::clone(&latest),
        metrics: Arc::clone(&parts.metrics),
    };
    let (first, outcome) = oneshot::channel();
    let scans = Arc::new(schedule.start(first_scan, first).map_err(Failure::other)?);
    if let Some(naming) = naming {
        // On a thread of its own: going through the addresses of a large table takes longer than a probe may wait.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::other)?;
        let run = naming.run(asked, Arc::downgrade(&scans));
        std::thread::Builder::new()
            .name("names".to_owned())
            .spawn(move || runtime.block_on(run))
            .map_err(Failure::other)?;
    }
    let api = Api {
        latest,
        metrics: parts.metrics,
        scans: Arc::clone(&scans),
        origin: parts.origin,
        budget,
        tables: parts.tables,
        identities: parts.identities,
    };
    let router = api::router(api, readiness).map_err(Failure::other)?;
    let bound = Server::new(router).web_config(parts.web).start(listener, shutdown).map_err(Failure::other)?;
    Ok(Agent { bound, scans, first: outcome })
}

/// Prints one page.
async fn once(arguments: &Arguments, parts: Parts) -> Result<(), Failure> {
    let mut scanner = Scanner::choosing(parts.tables, parts.table).with_homes(Identities::homes(&parts.identities));
    let began = std::time::Instant::now();
    parts.identities.lock().unwrap_or_else(PoisonError::into_inner).read_local_routes();
    let (scan, cpu) = timed(|| scanner.scan(OwnershipAges::default()));
    let mut scan = scan.map_err(Failure::other)?;
    parts.metrics.spent(cpu);
    parts.metrics.scanned(&scan, scanner.table().counts());
    parts.metrics.interval(arguments.interval);
    if let Some(resolver) = &parts.resolver
        && let Err(error) = resolver.refresh(&Held::of(scanner.table(), scan.stats.has_maps())).await
    {
        parts.metrics.controller_errors.inc();
        warn!(error = khan_serve::exit::chain(&error), "The controller does not answer; addresses have no names");
    }
    let ages = parts.identities.lock().unwrap_or_else(PoisonError::into_inner).ownership_ages(Timestamp::now());
    if scanner.table().outdated(&ages) {
        scan = scanner.scan(ages).map_err(Failure::other)?;
    }
    let snapshot = {
        let identities = parts.identities.lock().unwrap_or_else(PoisonError::into_inner);
        build::build(&parts.origin, 1, arguments.interval, &scan, scanner.table(), &identities)
    };
    let page = Page::new(&snapshot, &parts.page_settings, &mut Folder::default());
    let published = Published::new(snapshot, page, began);
    let mut out = std::io::stdout().lock();
    let (mut writer, mut chunk) = (published.page.writer(Exposition::Text), Vec::new());
    while writer.fill(&published.page, &mut chunk) {
        out.write_all(&chunk)?;
        chunk.clear();
    }
    out.write_all(&parts.metrics.page(Some(&published)))?;
    Ok(out.flush()?)
}
