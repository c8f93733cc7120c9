//! Asks every target again and again, and shows the merged answers as they come.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use khan_api::Timestamp;
use khan_serve::backoff::jittered;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::agent_state::AgentState;
use super::details;
use super::fetch::{self, FetchError, Fetched};
use super::targets::Targets;
use crate::feed::{Feeder, Link, News, Request};
use crate::model::table::rows;
use crate::model::{NodeState, Pool, SourceInfo, SourceKind, merge};
use crate::sources::exchange::Bounds;
use crate::sources::nodes::NodeChoice;

/// How agents are asked.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How old data may be; also the pause between two questions to one agent.
    pub interval: Duration,
    /// How many agents are asked at the same time.
    pub max_in_flight: usize,
    /// Bounds of one answer.
    pub bounds: Bounds,
    /// Which nodes' agents. What node an agent named by URL speaks for is known once it has answered.
    pub nodes: NodeChoice,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            max_in_flight: 16,
            bounds: Bounds::default(),
            nodes: NodeChoice::default(),
        }
    }
}

/// What the rows of all agents may take together. Each has its share whatever the others send.
const MOST_BYTES: usize = 96 << 20;

/// While answers come in quick succession they are shown together, at least this far apart.
const GATHER: Duration = Duration::from_millis(150);
/// And at least this many times as far apart as putting them together takes, so that most of the time is left for answers.
const SPARE: u32 = 4;

/// Runs until the viewer is gone.
///
/// Views are unsettled while agents of the first round are still to answer, and while the list of targets is incomplete.
pub async fn run(feeder: Feeder, targets: watch::Receiver<Targets>, plan: Plan, source: SourceInfo) {
    let source = SourceInfo { kind: SourceKind::Agents, ..source };
    let permits = Arc::new(Semaphore::new(plan.max_in_flight.max(1)));
    let poller = Poller {
        feeder,
        targets,
        plan,
        source,
        permits,
        agents: HashMap::new(),
        due: HashMap::new(),
        asked: JoinSet::new(),
        asking: HashMap::new(),
        details: JoinSet::new(),
        pool: Pool::default(),
        link: None,
        dirty: true,
        shown: None,
        gather: GATHER,
    };
    poller.run().await;
}

struct Poller {
    feeder: Feeder,
    targets: watch::Receiver<Targets>,
    plan: Plan,
    source: SourceInfo,
    permits: Arc<Semaphore>,
    /// By [`super::targets::Target::id`].
    agents: HashMap<String, AgentState>,
    /// When each agent that is not being asked now is asked next.
    due: HashMap<String, Instant>,
    asked: JoinSet<(Result<Fetched, FetchError>, Permit)>,
    asking: HashMap<Id, String>,
    details: JoinSet<()>,
    pool: Pool,
    link: Option<Link>,
    dirty: bool,
    /// When the latest view was shown.
    shown: Option<Instant>,
    /// How long after it the next one is, unless the round is complete before.
    gather: Duration,
}

/// A place among those that are asked at the same time. It is kept until the answer is taken in, so that answers never pile
/// up: as they come, they take several times the memory of the table that is made of them.
type Permit = Result<OwnedSemaphorePermit, AcquireError>;

/// How the question of a task ended.
type Answered = Result<(Id, (Result<Fetched, FetchError>, Permit)), JoinError>;

impl Poller {
    async fn run(mut self) {
        let mut clock = interval(Duration::from_secs(1));
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut targets_ended, mut unasked) = (false, false);
        self.enlist();
        loop {
            self.show_if_time();
            let next = self.next_wake();
            tokio::select! {
                () = self.feeder.views.closed() => return,
                changed = self.targets.changed(), if !targets_ended => match changed {
                    Ok(()) => self.enlist(),
                    Err(_) => targets_ended = true,
                },
                Some(answer) = self.asked.join_next_with_id() => self.take(answer),
                Some(_) = self.details.join_next() => {}
                request = self.feeder.requests.recv(), if !unasked => match request {
                    Some(request) => self.obey(request),
                    // Nobody can ask any more, but somebody may still look.
                    None => unasked = true,
                },
                _ = clock.tick() => self.judge(),
                () = sleep_until(next) => self.ask_due(),
            }
        }
    }

    /// When something is to be done without a cause from outside.
    fn next_wake(&self) -> Instant {
        let show = self.shown.filter(|_| self.dirty).map(|shown| shown + self.gather);
        let far = Instant::now() + Duration::from_mins(1);
        self.due.values().copied().chain(show).min().unwrap_or(far)
    }

    /// Takes over the targets: new agents are asked at once, missing ones fade.
    fn enlist(&mut self) {
        let targets = self.targets.borrow_and_update().clone();
        let now = Timestamp::now();
        for agent in self.agents.values_mut() {
            let listed = targets.list.iter().find(|target| target.id == agent.target.id);
            match listed {
                Some(target) => agent.target = target.clone(),
                None if !agent.gone => {
                    agent.leave(now);
                    self.due.remove(&agent.target.id);
                }
                None => {}
            }
        }
        for target in targets.list {
            let id = target.id.clone();
            let known = self.agents.get(&id).is_some_and(|agent| !agent.gone);
            if !known {
                self.agents.insert(id.clone(), AgentState::new(target));
                self.due.insert(id, Instant::now());
            }
        }
        if targets.link != self.link {
            self.link.clone_from(&targets.link);
            self.feeder.tell(News::Link(targets.link.unwrap_or(Link::Up)));
        }
        self.dirty = true;
        self.judge();
        self.ask_due();
    }

    fn ask_due(&mut self) {
        let now = Instant::now();
        let ripe: Vec<_> = self.due.iter().filter(|(_, due)| **due <= now).map(|(id, _)| id.clone()).collect();
        for id in ripe {
            self.due.remove(&id);
            let Some(agent) = self.agents.get(&id) else { continue };
            let (route, etag) = (Arc::clone(&agent.target.route), agent.etag.clone());
            let (permits, interval, bounds) = (Arc::clone(&self.permits), self.plan.interval, self.plan.bounds);
            let handle = self.asked.spawn(async move {
                let permit = permits.acquire_owned().await;
                (fetch::snapshot(&route, Some(interval), etag.as_ref(), bounds).await, permit)
            });
            self.asking.insert(handle.id(), id);
        }
    }

    fn take(&mut self, answered: Answered) {
        let (task, answer, _permit) = match answered {
            Ok((task, (answer, permit))) => {
                (task, answer.map_err(|error| (error.to_string(), error.remedy())), Some(permit))
            }
            Err(error) => (error.id(), Err(("could not be asked (its task ended early)".to_owned(), None)), None),
        };
        let Some(asked) = self.asking.remove(&task) else { return };
        let room = self.room(&asked);
        let Some(agent) = self.agents.get_mut(&asked) else { return };
        if agent.gone {
            return;
        }
        let (id, now) = (agent.target.id.clone(), Timestamp::now());
        let mut news = None;
        let answer = answer.and_then(|fetched| match &fetched.snapshot {
            Some(heard) if rows::bytes(heard) > room => {
                let (rows, addresses) = (heard.rows.len(), heard.endpoints.0.len());
                let most = MOST_BYTES >> 20;
                let reason = format!(
                    "sent {rows} rows with {addresses} addresses, for which the other agents' rows leave no room ({most} MiB \
                     for all): watch fewer nodes (--node)"
                );
                Err((reason, None))
            }
            _ => Ok(fetched),
        });
        let (change, wait) = match answer {
            Ok(fetched) => {
                let change = agent.succeed(fetched, &mut self.pool, self.plan.interval, now);
                if change.turned {
                    news = Some(News::Recovered { at: now, node: agent.status.node.clone() });
                }
                (change, jittered(self.plan.interval, 0.95, 1.05))
            }
            Err((reason, remedy)) => {
                let sentence = format!("{} {reason}", agent.target.name);
                let (change, wait) = agent.fail(sentence.clone(), self.plan.interval, now);
                if change.turned {
                    let message = remedy.map_or(sentence.clone(), |remedy| format!("{sentence}\n{remedy}"));
                    news = Some(News::Error { at: now, node: agent.status.node.clone(), message });
                }
                (change, wait)
            }
        };
        let wanted = agent.is_wanted(&self.plan.nodes);
        if agent.has_rows() && agent.status.failure.is_none() {
            let node = agent.status.node.clone();
            self.agents.retain(|_, other| !(other.gone && other.status.node == node));
        }
        if wanted {
            self.due.insert(id, Instant::now() + wait);
        }
        self.dirty |= change.visible;
        if let Some(news) = news {
            self.feeder.tell(news);
        }
    }

    /// How large an agent's answer may be: what the others leave, and in any case as much as everybody's share is.
    fn room(&self, asked: &str) -> usize {
        let others = self.agents.iter().filter(|(id, _)| *id != asked).map(|(_, agent)| agent.bytes());
        MOST_BYTES.saturating_sub(others.sum()).max(MOST_BYTES / self.agents.len().max(1))
    }

    fn obey(&mut self, request: Request) {
        match request {
            Request::Refresh => {
                let now = Instant::now();
                self.due.values_mut().for_each(|due| *due = now);
                self.ask_due();
            }
            Request::Interval(interval) => {
                self.plan.interval = interval.max(Duration::from_secs(1));
                let latest = Instant::now() + self.plan.interval;
                self.due.values_mut().for_each(|due| *due = latest.min(*due));
            }
            // Agents tell everything anyway.
            Request::Question(_) | Request::Past(_) => {}
            Request::Sample(request, answer) => {
                let nodes = &self.plan.nodes;
                let agents = self.agents.values().filter(|agent| !agent.gone && agent.is_wanted(nodes));
                let holders = details::holders(&request, agents);
                let (permits, bounds) = (Arc::clone(&self.permits), self.plan.bounds);
                self.details.spawn(details::answer(request, holders, permits, bounds, answer));
            }
        }
    }

    /// Lets data grow old.
    fn judge(&mut self) {
        let now = Timestamp::now();
        for agent in self.agents.values_mut() {
            self.dirty |= agent.judge(self.plan.interval, now);
        }
        let before = self.agents.len();
        self.agents.retain(|_, agent| !agent.gone || agent.has_rows());
        self.dirty |= self.agents.len() != before;
    }

    /// Shows what is new: at once when nothing was shown lately or the round is complete, else after a while.
    fn show_if_time(&mut self) {
        let lately = self.shown.is_some_and(|shown| shown.elapsed() < self.gather);
        if !self.dirty || (lately && !self.asking.is_empty()) {
            return;
        }
        let begun = Instant::now();
        let wanted = self.agents.values().filter(|agent| agent.is_wanted(&self.plan.nodes));
        let inputs = wanted.map(AgentState::input).collect();
        let mut view = merge(self.source.clone(), inputs, Timestamp::now());
        let targets = self.targets.borrow();
        view.settled &= targets.settled;
        view.notes.extend(targets.notes.iter().cloned());
        view.notes.extend(dropped(&view.nodes));
        if view.settled && view.nodes.iter().all(|node| node.taken.is_some()) {
            view.missing.extend(self.plan.nodes.missing(&view.nodes, "no agent speaks for"));
        }
        drop(targets);
        self.feeder.show(Arc::new(view));
        self.pool.prune();
        self.gather = GATHER.max(begun.elapsed() * SPARE);
        (self.dirty, self.shown) = (false, Some(Instant::now()));
    }
}

/// Says which nodes are missing from the totals.
fn dropped(nodes: &[crate::model::NodeStatus]) -> Option<String> {
    const NAMED: usize = 5;
    let missing = nodes.iter().filter(|node| !node.counted && node.state != NodeState::Waiting);
    let names: Vec<_> = missing.map(|node| node.node.as_str()).collect();
    let (listed, more) = names.split_at(names.len().min(NAMED));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    let nodes = if names.len() == 1 { "node" } else { "nodes" };
    (!names.is_empty()).then(|| format!("totals exclude {} {nodes}: {}{more}", names.len(), listed.join(", ")))
}
