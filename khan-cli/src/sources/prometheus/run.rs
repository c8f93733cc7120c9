//! Asks a Prometheus again and again, and shows what it knows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join;
use khan_api::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::client::{Client, PromError};
use super::label_set::LabelSet;
use super::promql;
use super::round::{self, Node, Round};
use crate::duration;
use crate::feed::{DetailError, Feed, Feeder, Link, News, Request, channel};
use crate::model::node::Failure;
use crate::model::{NodeInput, NodeState, NodeStatus, NodeTable, Pool, SourceInfo, SourceKind, View, merge};
use crate::sources::nodes::NodeChoice;
use crate::sources::retry;
use crate::sources::staleness::Evidence;

/// What is asked, and how often.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The pause between two rounds, unless they take so long that it has to grow.
    pub interval: Duration,
    /// How far back the past is asked for at the start; zero for not at all.
    pub window: Duration,
    /// Whether that was asked for by name, so that a shorter past is a part that is missing.
    pub since: bool,
    /// What is needed of every series. Grows with the questions that are asked of the feed.
    pub labels: LabelSet,
    /// Which nodes' series.
    pub nodes: NodeChoice,
}

/// Rounds take at most this share of the time.
const REST_PER_ROUND: u32 = 10;
/// How many points the past has.
const POINTS: u32 = 60;
/// Points of the past are at least this far apart.
const CLOSEST: Duration = Duration::from_secs(10);
/// Prometheus scrapes at most so often, where nothing else is known.
const USUAL_SCRAPE: Duration = Duration::from_secs(30);

/// Asks once, so that whoever starts it learns at once what is wrong, and then again and again until nobody looks at the
/// feed any more. Failures after the first answer are told by the feed, and what was known is kept.
pub async fn start(client: Client, plan: Plan, source: SourceInfo) -> Result<Feed, PromError> {
    let source = SourceInfo { kind: SourceKind::Prometheus, detail: client.url().to_owned(), ..source };
    let begun = Instant::now();
    let first = Round::ask(&client, &plan.labels, &plan.nodes).await?;
    if first.is_empty() {
        return Err(Box::pin(why_empty(&client, &plan)).await);
    }
    let (feeder, mut feed) = channel(View::empty(source.clone()));
    feed.past = !plan.window.is_zero();
    let runner = Runner {
        feeder,
        client,
        plan,
        source,
        nodes: BTreeMap::new(),
        pool: Pool::default(),
        depth: 0,
        failure: None,
        missing: Vec::new(),
        forgotten: None,
        earlier: BTreeMap::new(),
    };
    tokio::spawn(runner.run(first, begun));
    Ok(feed)
}

/// Why there is nothing: the server never scraped an agent, or did so too long ago.
async fn why_empty(client: &Client, plan: &Plan) -> PromError {
    if !plan.nodes.is_all() {
        let everywhere = Round::ask(client, &plan.labels, &NodeChoice::default()).await;
        if everywhere.is_ok_and(|round| !round.is_empty()) {
            return PromError::NoNode(plan.nodes.names().collect::<Vec<_>>().join(", "));
        }
    }
    let found = client.query(promql::LAST, None).await.ok();
    let last = found.as_ref().and_then(|answer| answer.series.first()?.value());
    let now = Timestamp::now();
    last.map(|point| round::timestamp(point.value)).filter(|at| at.millis() > 0 && *at <= now).map_or(
        PromError::NoSeries,
        |at| PromError::Old { at: Timestamp::from_seconds(at.seconds()), age: now.since(at) },
    )
}

/// What a node said last.
struct Kept {
    status: NodeStatus,
    table: Option<Arc<NodeTable>>,
    /// How far apart its data usually is.
    rhythm: Duration,
}

struct Runner {
    feeder: Feeder,
    client: Client,
    plan: Plan,
    source: SourceInfo,
    nodes: BTreeMap<String, Kept>,
    pool: Pool,
    /// How often more was asked than before.
    depth: u32,
    failure: Option<Failure>,
    /// What answers lack, as the server warns, or why there is none.
    missing: Vec<String>,
    /// Why the past is shorter than asked for.
    forgotten: Option<String>,
    /// Each node's tables within the range that was asked for by name: their rows are shown, even where they are gone.
    earlier: BTreeMap<String, Vec<Earlier>>,
}

/// A table, and when it was there.
type Earlier = (Timestamp, Arc<NodeTable>);

impl Runner {
    async fn run(mut self, first: Round, mut begun: Instant) {
        let mut unasked = false;
        let mut asked = Ok(first);
        let mut past_due = !self.plan.window.is_zero();
        loop {
            let wait = match asked {
                Ok(round) => self.take(&round, begun.elapsed()),
                Err(error) => self.fail(&error),
            };
            self.show();
            if std::mem::take(&mut past_due) {
                self.tell_past().await;
            }
            let mut at = Instant::now() + wait;
            while Instant::now() < at {
                tokio::select! {
                    () = sleep_until(at) => {}
                    () = self.feeder.views.closed() => return,
                    request = self.feeder.requests.recv(), if !unasked => match request {
                        Some(Request::Refresh) => at = Instant::now(),
                        Some(Request::Interval(interval)) => {
                            self.plan.interval = interval.max(Duration::from_secs(1));
                            at = at.min(begun + self.plan.interval);
                        }
                        Some(Request::Past(window)) => {
                            (self.plan.window, self.plan.since) = (window, true);
                            past_due = !window.is_zero();
                            at = Instant::now();
                        }
                        Some(Request::Question(query)) => {
                            let labels = self.plan.labels.and(LabelSet::of(&query));
                            if labels != self.plan.labels {
                                self.plan.labels = labels;
                                self.depth += 1;
                                // Rows that are distinguished from now on have a past, too.
                                past_due = !self.plan.window.is_zero();
                                at = Instant::now();
                            }
                        }
                        Some(Request::Sample(_, answer)) => {
                            drop(answer.send(Err(DetailError::CountsOnly("Prometheus"))));
                        }
                        None => unasked = true,
                    },
                }
            }
            begun = Instant::now();
            asked = tokio::select! {
                answer = Round::ask(&self.client, &self.plan.labels, &self.plan.nodes) => answer,
                () = self.feeder.views.closed() => return,
            };
        }
    }

    fn take(&mut self, round: &Round, took: Duration) -> Duration {
        self.missing = round.warnings().map(|warning| format!("{} warns: {warning}", self.client.url())).collect();
        self.missing.sort();
        self.missing.dedup();
        let nodes = round.nodes(&self.plan.labels, self.client.url(), &mut self.pool);
        let now = Timestamp::now();
        if nodes.is_empty() {
            self.missing.push(format!("{} {}", self.client.url(), PromError::NoSeries));
        }
        let mut missing = std::mem::take(&mut self.nodes);
        for node in nodes {
            let before = missing.remove(&node.status.node);
            self.keep(node, before, now);
        }
        for (name, mut kept) in missing {
            let reason = format!("{} has no fresh series of node {name}", self.client.url());
            fail(&mut kept.status, &reason, now, None);
            self.nodes.insert(name, kept);
        }
        if self.failure.take().is_some() {
            self.feeder.tell(News::Link(Link::Up));
            self.feeder.tell(News::Recovered { at: now, node: String::new() });
        }
        self.plan.interval.max(took * REST_PER_ROUND)
    }

    fn keep(&mut self, node: Node, before: Option<Kept>, now: Timestamp) {
        let (mut rhythm, mut failing) = (USUAL_SCRAPE, None);
        if let Some(before) = before {
            rhythm = before.rhythm;
            failing = before.status.failure;
            if let (Some(last), Some(taken)) = (before.status.taken, node.status.taken)
                && taken > last
            {
                // A missed scrape must not pass for a slow rhythm.
                rhythm = taken.since(last).clamp(Duration::from_secs(1), 2 * rhythm);
            }
        }
        if failing.is_some() {
            self.feeder.tell(News::Recovered { at: now, node: node.status.node.clone() });
        }
        let kept = Kept { status: node.status, table: Some(node.table), rhythm };
        self.nodes.insert(kept.status.node.clone(), kept);
    }

    fn fail(&mut self, error: &PromError) -> Duration {
        let now = Timestamp::now();
        let reason = format!("{} {error}", self.client.url());
        let last = self.failure.take();
        if last.as_ref().is_none_or(|last| last.reason != reason) {
            self.feeder.tell(News::Error { at: now, node: String::new(), message: reason.clone() });
        }
        let (failure, wait) = retry::failed(reason.clone(), last.as_ref(), now);
        if let Some(next) = failure.next {
            self.feeder.tell(News::Link(Link::Retrying { reason: reason.clone(), attempt: failure.attempts, next }));
        }
        for kept in self.nodes.values_mut() {
            fail(&mut kept.status, &reason, now, failure.next);
        }
        self.missing = vec![reason];
        self.failure = Some(failure);
        wait
    }

    fn show(&mut self) {
        let now = Timestamp::now();
        for kept in self.nodes.values_mut() {
            let status = &mut kept.status;
            let evidence = Evidence {
                failing: status.failure.is_some(),
                answered: true,
                rows: kept.table.is_some(),
                age: status.age(now),
                // Between a scan and the next, its scrape, and our round lies up to the sum of all three.
                interval: status.interval + kept.rhythm,
                scan: status.scan + self.plan.interval,
            };
            let (state, rows) = evidence.judge();
            status.state = state;
            kept.table = kept.table.take().filter(|_| rows);
        }
        // A node that was taken away for good is forgotten; one that fails because the server does is not.
        let reachable = self.failure.is_none();
        self.nodes.retain(|_, kept| kept.table.is_some() || !(reachable && kept.status.state == NodeState::Failed));
        if self.plan.since {
            self.remember(now);
        }
        let inputs = self.nodes.values().map(|kept| {
            let table = kept.table.as_ref().map(|table| match self.earlier.get(&kept.status.node) {
                Some(earlier) => Arc::new(table.with_absent(earlier.iter().map(|(_, table)| &**table))),
                None => Arc::clone(table),
            });
            NodeInput { status: kept.status.clone(), table }
        });
        let mut view = merge(self.source.clone(), inputs.collect(), now);
        view.depth = self.depth;
        view.missing.extend(self.missing.iter().chain(&self.forgotten).cloned());
        if reachable {
            let lack = format!("{} has no fresh series of", self.client.url());
            view.missing.extend(self.plan.nodes.missing(&view.nodes, &lack));
        }
        self.feeder.show(Arc::new(view));
        self.pool.prune();
    }

    /// Keeps what is there now for as long as the range is, and lets go what is older.
    fn remember(&mut self, now: Timestamp) {
        let (window, step) = (self.plan.window, self.step());
        for kept in self.nodes.values() {
            let Some(tables) = self.earlier.get_mut(&kept.status.node) else { continue };
            tables.retain(|(at, _)| now.since(*at) <= window);
            let due = tables.last().is_none_or(|(at, _)| now.since(*at) >= step);
            tables.extend(kept.table.clone().filter(|_| due).map(|table| (now, table)));
        }
    }

    /// How far apart moments of the past are.
    fn step(&self) -> Duration {
        (self.plan.window / POINTS).max(CLOSEST)
    }

    /// Views from before the first one, so that changes and trends are there at once.
    async fn tell_past(&mut self) {
        let window = self.plan.window;
        let step = self.step();
        let end = Timestamp::now().millis() as f64 / 1000.0;
        let (expression, times) =
            (promql::connections(&self.plan.labels, &self.plan.nodes), promql::taken_by_node(&self.plan.nodes));
        let (start, end) = (end - window.as_secs_f64(), end - step.as_secs_f64());
        let ask = |expression| self.client.query_range(expression, start, end, step);
        match try_join(ask(&expression), ask(&times)).await {
            Ok((series, taken)) => {
                let past =
                    round::past(&series.series, &taken.series, &self.plan.labels, self.client.url(), &mut self.pool);
                let view = |(at, nodes): (Timestamp, Vec<Node>)| {
                    let inputs =
                        nodes.into_iter().map(|node| NodeInput { status: node.status, table: Some(node.table) });
                    let mut view = merge(self.source.clone(), inputs.collect(), at);
                    view.depth = self.depth;
                    Arc::new(view)
                };
                let past: Vec<_> = past.into_iter().map(view).collect();
                let short = shorter(&past, start, step, window).filter(|_| self.plan.since);
                self.forgotten = short.map(|short| format!("{} {short}", self.client.url()));
                self.earlier.clear();
                if self.plan.since {
                    for (view, (node, table)) in past.iter().flat_map(|view| view.tables().map(move |of| (view, of))) {
                        let tables = self.earlier.entry(view.nodes[node as usize].node.clone()).or_default();
                        tables.push((view.assembled, Arc::clone(table)));
                    }
                    self.show();
                }
                self.feeder.tell_surely(News::Past(past)).await;
            }
            Err(error) => {
                let message = format!("{} gave no history: it {error}", self.client.url());
                if self.plan.since {
                    self.forgotten = Some(message.clone());
                    self.show();
                }
                self.feeder.tell(News::Error { at: Timestamp::now(), node: String::new(), message });
                self.feeder.tell_surely(News::Past(Vec::new())).await;
            }
        }
    }
}

/// How a past falls short of `window`, which begins at `start`, as the rest of a sentence. Moments are a `step` apart.
fn shorter(past: &[Arc<View>], start: f64, step: Duration, window: Duration) -> Option<String> {
    let asked = duration::text(window);
    let Some(first) = past.first().map(|view| view.assembled) else {
        return Some(format!("knows nothing of the last {asked} before now"));
    };
    let late = first.millis() as f64 / 1000.0 - start;
    (late > 2.0 * step.as_secs_f64()).then(|| {
        format!(
            "knows nothing from before {}, which is less than the {asked} asked for",
            Timestamp::from_seconds(first.seconds())
        )
    })
}

fn fail(status: &mut NodeStatus, reason: &str, now: Timestamp, next: Option<Timestamp>) {
    status.failure = Some(Failure::after(status.failure.as_ref(), reason.to_owned(), now, next));
}
